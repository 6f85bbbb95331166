/**
 * Topic filters with wildcards in a trie of levels. A filter that shares its remaining levels with
 * no other is a *leaf*: it stands, whole, where it branches off, and one comparison ends the
 * search. Only where filters part is there a node. The literal levels of all nodes are in one hash
 * table, by node and level; what follows by `+` or `#` is in the node itself. filter-index.ts
 * searches it.
 *
 * A *reference* is a node (> 0), a leaf (minus its filter's id), or nothing (0).
 */
import { invariant } from '../base/assert.js';
import { hashLevel, mixHash } from './key-hash.js';
import { SlotTable } from './slot-table.js';
import { HASH, levelEnd, PLUS } from './topic.js';

/** Words of a node. Eight make half a cache line. */
export const NodeWord = {
  /** The node above; 0 of the root. In a free node: the next free one. */
  parent: 0,
  /** Reference: what follows by `+`. */
  singleWildcard: 1,
  /** Id of the filter that ends with `#` here, or 0. */
  multiWildcard: 2,
  /** Id of the filter that ends here, or 0. */
  own: 3,
  /** How many literal levels follow. */
  literals: 4,
  /** How often it was freed: tells a match that was left for a while that it is another node. */
  stamp: 5,
} as const;
export const NODE_SHIFT = 3;
export const ROOT = 1;
const NODES_MIN = 8;
/** Sets equal levels of different nodes apart. Odd, so that no two nodes have one value. */
const NODE_MULTIPLIER = 0x9e3779b1 | 0;

/** Filters with wildcards, by ids that its owner gives. */
export class FilterTrie {
  nodes: Int32Array<ArrayBuffer> = new Int32Array(NODES_MIN << NODE_SHIFT);
  /** By node: the level it stands behind. */
  readonly nodeLevels: string[] = ['', ''];
  /** References by node and literal level: see `tagOfLevel`. */
  readonly byLevel = new SlotTable();
  /**
   * By filter id: the node under which the filter is a leaf, if it is one below a literal level.
   */
  leafParents: Int32Array<ArrayBuffer> = new Int32Array(NODES_MIN);
  readonly #keys: readonly string[];
  #freeNode = 0;

  /** @param keys filters by id; the owner's, who adds to them before and removes behind. */
  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /** Nodes in use, the root included. */
  get nodeCount(): number {
    let free = 0;
    for (let node = this.#freeNode; node !== 0; node = this.nodes[node << NODE_SHIFT]!) free++;
    return this.nodeLevels.length - 1 - free;
  }

  /** Removes a filter that is here, and the nodes that led to it alone. */
  remove(id: number): void {
    this.#removeBelow(ROOT, id, this.#keys[id]!, 0);
  }

  // `start` is where in the key the level behind `node` begins: past its end when there is no more.

  /** Adds a filter that is not here. */
  add(id: number): void {
    const key = this.#keys[id]!;
    this.leafParents = withRoom(this.leafParents, id + 1);
    let node = ROOT;
    let start = 0;
    for (;;) {
      let reference = this.#referenceAt(node, key, start);
      if (reference === 0) {
        this.#setReference(node, key, start, 0, -id);
        return;
      }
      const next = levelEnd(key, start) + 1;
      if (reference < 0) {
        // Two filters share this level: a node takes the leaf's place, the leaf moves below it.
        const leaf = reference;
        reference = this.#makeNode(node, key.substring(start, next - 1));
        this.#setReference(node, key, start, leaf, reference);
        this.#setReference(reference, this.#keys[-leaf]!, next, 0, leaf);
      }
      node = reference;
      start = next;
    }
  }

  /** @returns true when `node` leads to nothing now. Recursion is bounded by TOPIC_LEVELS_MAX. */
  #removeBelow(node: number, id: number, key: string, start: number): boolean {
    const reference = this.#referenceAt(node, key, start);
    if (reference > 0) {
      if (!this.#removeBelow(reference, id, key, levelEnd(key, start) + 1)) return false;
    } else {
      invariant(reference === -id, 'a filter is where its key leads');
    }
    this.#setReference(node, key, start, reference, 0);
    if (reference > 0) this.#freeNodeAt(reference);
    const base = node << NODE_SHIFT;
    for (let word = NodeWord.singleWildcard; word <= NodeWord.literals; word++) {
      if (this.nodes[base + word] !== 0) return false;
    }
    return true;
  }

  #referenceAt(node: number, key: string, start: number): number {
    const base = node << NODE_SHIFT;
    if (start > key.length) return -this.nodes[base + NodeWord.own]!;
    const code = key.charCodeAt(start);
    if (code === HASH) return -this.nodes[base + NodeWord.multiWildcard]!;
    if (code === PLUS) return this.nodes[base + NodeWord.singleWildcard]!;
    return this.#literalAt(node, key, start, levelEnd(key, start));
  }

  #literalAt(node: number, key: string, start: number, end: number): number {
    const tag = tagOfLevel(node, hashLevel(key, start, end));
    const { words, shift } = this.byLevel;
    const mask = words.length - 1;
    for (let at = (tag >>> shift) << 1; ; at = (at + 2) & mask) {
      const reference = words[at + 1]!;
      if (reference === 0) return 0;
      if (words[at] === tag && this.#isOfLevel(reference, node, key, start, end)) return reference;
    }
  }

  /** Whether a reference with the tag of level `key[start, end)` of `node` is of that level. */
  #isOfLevel(reference: number, node: number, key: string, start: number, end: number): boolean {
    const length = end - start;
    if (reference > 0) {
      const level = this.nodeLevels[reference]!;
      const isBelow = this.nodes[reference << NODE_SHIFT] === node;
      return isBelow && level.length === length && key.startsWith(level, start);
    }
    if (this.leafParents[-reference] !== node) return false;
    // A leaf of the same node begins with the same levels, so this level begins at the same place.
    const leafKey = this.#keys[-reference]!;
    if (levelEnd(leafKey, start) !== end) return false;
    return key.startsWith(leafKey.substring(start, end), start);
  }

  /** Puts reference `to` (0: nothing) where `from` (0: nothing) is. */
  #setReference(node: number, key: string, start: number, from: number, to: number): void {
    const base = node << NODE_SHIFT;
    if (start > key.length) {
      this.nodes[base + NodeWord.own] = -to;
      return;
    }
    const code = key.charCodeAt(start);
    if (code === HASH) {
      this.nodes[base + NodeWord.multiWildcard] = -to;
    } else if (code === PLUS) {
      this.nodes[base + NodeWord.singleWildcard] = to;
    } else {
      const tag = tagOfLevel(node, hashLevel(key, start, levelEnd(key, start)));
      if (to < 0) this.leafParents[-to] = node;
      if (from === 0) {
        this.byLevel.add(tag, to);
        this.nodes[base + NodeWord.literals]!++;
      } else if (to === 0) {
        this.byLevel.remove(tag, from);
        this.nodes[base + NodeWord.literals]!--;
      } else {
        this.byLevel.replace(tag, from, to);
      }
    }
  }

  #makeNode(parent: number, level: string): number {
    let node = this.#freeNode;
    if (node !== 0) {
      this.#freeNode = this.nodes[node << NODE_SHIFT]!;
    } else {
      node = this.nodeLevels.length;
      this.nodes = withRoom(this.nodes, (node + 1) << NODE_SHIFT);
    }
    this.nodes[node << NODE_SHIFT] = parent;
    this.nodeLevels[node] = level;
    return node;
  }

  /** Frees a node whose words but `parent` and `stamp` are 0. */
  #freeNodeAt(node: number): void {
    this.nodes[(node << NODE_SHIFT) + NodeWord.stamp]!++;
    this.nodes[node << NODE_SHIFT] = this.#freeNode;
    this.nodeLevels[node] = '';
    this.#freeNode = node;
  }
}

/** What a literal level of a node stands under in `byLevel`. */
export function tagOfLevel(node: number, hash: number): number {
  return mixHash((hash + Math.imul(node, NODE_MULTIPLIER)) | 0);
}

/**
 * `array` if it has `length` words, or else a larger copy: twice the size, so that growing is rare.
 */
export function withRoom(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const larger = new Int32Array(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
}
