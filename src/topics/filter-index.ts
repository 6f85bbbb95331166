/**
 * Topic filters by number, and the filters that match a topic. Numbers and typed arrays throughout:
 * with a million filters the time goes into memory that is far from the processor, so a match is
 * made to touch as little of it as can be, and the garbage collector to find little to follow.
 *
 * - All filters stand in a hash table by their whole key: that finds the one equal to the topic.
 * - Filters with wildcards stand in a trie of levels besides. A filter that shares its remaining
 *   levels with no other is a *leaf*: it stands, whole, where it branches off, and one comparison
 *   ends the search. Only where filters part is there a node. The literal levels of all nodes are
 *   in one hash table, by node and level; what follows by `+` or `#` is in the node itself.
 *
 * A *reference* is a node (> 0), a leaf (minus its filter's id), or nothing (0).
 */
import { invariant } from '../base/assert.js';
import { hashKey, hashLevel, mixHash, TopicLevels } from './key-hash.js';
import { SlotTable } from './slot-table.js';
import { beginsWithDollar, HASH, hasWildcard, levelEnd, matchesTail, PLUS } from './topic.js';

/** Words of a node. Eight make half a cache line. */
const NodeWord = {
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
} as const;
const NODE_SHIFT = 3;
const ROOT = 1;
const NODES_MIN = 8;
/** Sets equal levels of different nodes apart. Odd, so that no two nodes have one value. */
const NODE_MULTIPLIER = 0x9e3779b1 | 0;

/** Filters numbered from 1. All keys given must be valid (topic.ts). */
export class FilterIndex {
  /** By filter id; '' is a free id. */
  readonly #keys: string[] = [''];
  readonly #freeIds: number[] = [];
  readonly #byKey = new SlotTable();

  /**
   * By filter id: the node under which the filter is a leaf, if it is one below a literal level.
   */
  #leafParents = new Int32Array(NODES_MIN);
  #nodes = new Int32Array(NODES_MIN << NODE_SHIFT);
  /** By node: the level it stands behind. */
  readonly #nodeLevels: string[] = ['', ''];
  #freeNode = 0;
  readonly #byLevel = new SlotTable();

  readonly #topic = new TopicLevels();
  #topicKey = '';
  #matched: number[] = [];
  #matchedCount = 0;

  /** Filters in the index. */
  get count(): number {
    return this.#byKey.size;
  }

  /** Nodes in use, the root included. */
  get nodeCount(): number {
    let free = 0;
    for (let node = this.#freeNode; node !== 0; node = this.#nodes[node << NODE_SHIFT]!) free++;
    return this.#nodeLevels.length - 1 - free;
  }

  /** The filter with this id, '' if there is none. */
  keyOf(id: number): string {
    return this.#keys[id]!;
  }

  /** The id of a filter, 0 if it is not here. */
  find(filterKey: string): number {
    return this.#findWhole(filterKey, mixHash(hashKey(filterKey)));
  }

  /** Adds a filter that is not here. @returns its id: free ids are given before new ones. */
  add(filterKey: string): number {
    const id = this.#freeIds.pop() ?? this.#keys.length;
    this.#keys[id] = filterKey;
    this.#byKey.add(mixHash(hashKey(filterKey)), -id);
    if (hasWildcard(filterKey)) this.#addToTrie(id, filterKey);
    return id;
  }

  /** Removes a filter that is here, and the nodes that led to it alone. */
  remove(id: number): void {
    const filterKey = this.#keys[id]!;
    if (hasWildcard(filterKey)) this.#removeBelow(ROOT, id, filterKey, 0);
    this.#byKey.remove(mixHash(hashKey(filterKey)), -id);
    this.#keys[id] = '';
    this.#freeIds.push(id);
  }

  /**
   * Writes the ids of the filters that match a topic name into `ids`, none twice.
   * @returns how many they are; what `ids` holds behind them means nothing.
   */
  match(topicKey: string, ids: number[]): number {
    const topic = this.#topic;
    topic.split(topicKey);
    this.#topicKey = topicKey;
    this.#matched = ids;
    this.#matchedCount = 0;
    const exact = this.#findWhole(topicKey, mixHash(topic.wholeHash));
    if (exact !== 0) this.#matched[this.#matchedCount++] = exact;
    if (beginsWithDollar(topicKey)) this.#visitLiteral(ROOT, 0, 0);
    else this.#visit(ROOT, 0, 0);
    return this.#matchedCount;
  }

  #findWhole(key: string, tag: number): number {
    const { words, shift } = this.#byKey;
    const mask = words.length - 1;
    for (let at = (tag >>> shift) << 1; ; at = (at + 2) & mask) {
      const reference = words[at + 1]!;
      if (reference === 0) return 0;
      if (words[at] === tag && this.#keys[-reference] === key) return -reference;
    }
  }

  /**
   * Collects the filters below a node that the topic's first `depth` levels have led to. In those
   * filters the next level begins at `filterStart`: not where it does in the topic, as `+` is one
   * character.
   */
  #visit(node: number, depth: number, filterStart: number): void {
    const nodes = this.#nodes;
    const base = node << NODE_SHIFT;
    // `#` includes the parent level, so it counts even where the topic has ended.
    const multi = nodes[base + NodeWord.multiWildcard]!;
    if (multi !== 0) this.#matched[this.#matchedCount++] = multi;
    if (depth === this.#topic.count) {
      const own = nodes[base + NodeWord.own]!;
      if (own !== 0) this.#matched[this.#matchedCount++] = own;
      return;
    }
    const single = nodes[base + NodeWord.singleWildcard]!;
    if (single > 0) this.#visit(single, depth + 1, filterStart + 2);
    else if (single < 0) this.#visitLeaf(-single, depth + 1, filterStart + 2);
    if (nodes[base + NodeWord.literals] !== 0) this.#visitLiteral(node, depth, filterStart);
  }

  /** Collects the filters below a node whose next level is that of the topic, literally. */
  #visitLiteral(node: number, depth: number, filterStart: number): void {
    const { hashes, starts } = this.#topic;
    const tag = tagOfLevel(node, hashes[depth]!);
    const { words, shift } = this.#byLevel;
    const mask = words.length - 1;
    // The search does not stop at the first leaf: one with this tag may be of another level.
    for (let at = (tag >>> shift) << 1; ; at = (at + 2) & mask) {
      const reference = words[at + 1]!;
      if (reference === 0) return;
      if (words[at] !== tag) continue;
      if (reference < 0) {
        if (this.#leafParents[-reference] === node) this.#visitLeaf(-reference, depth, filterStart);
      } else if (this.#isNodeOf(reference, node, depth)) {
        this.#visit(reference, depth + 1, filterStart + starts[depth + 1]! - starts[depth]!);
      }
    }
  }

  #isNodeOf(node: number, parent: number, depth: number): boolean {
    if (this.#nodes[node << NODE_SHIFT] !== parent) return false;
    const { starts } = this.#topic;
    const topicKey = this.#topicKey;
    const level = this.#nodeLevels[node]!;
    const start = starts[depth]!;
    if (level.length !== starts[depth + 1]! - 1 - start) return false;
    for (let i = 0; i < level.length; i++) {
      if (level.charCodeAt(i) !== topicKey.charCodeAt(start + i)) return false;
    }
    return true;
  }

  /**
   * Collects a leaf whose levels from `filterStart` on match those of the topic from `depth` on.
   */
  #visitLeaf(id: number, depth: number, filterStart: number): void {
    const topicStart = this.#topic.starts[depth]!;
    if (matchesTail(this.#keys[id]!, filterStart, this.#topicKey, topicStart)) {
      this.#matched[this.#matchedCount++] = id;
    }
  }

  // ---- changes ---------------------------------------------------------------------------------
  // `start` is where in the key the level behind `node` begins: past its end when there is no more.

  #addToTrie(id: number, key: string): void {
    this.#leafParents = withRoom(this.#leafParents, id + 1);
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
      if (this.#nodes[base + word] !== 0) return false;
    }
    return true;
  }

  #referenceAt(node: number, key: string, start: number): number {
    const base = node << NODE_SHIFT;
    if (start > key.length) return -this.#nodes[base + NodeWord.own]!;
    const code = key.charCodeAt(start);
    if (code === HASH) return -this.#nodes[base + NodeWord.multiWildcard]!;
    if (code === PLUS) return this.#nodes[base + NodeWord.singleWildcard]!;
    return this.#literalAt(node, key, start, levelEnd(key, start));
  }

  #literalAt(node: number, key: string, start: number, end: number): number {
    const tag = tagOfLevel(node, hashLevel(key, start, end));
    const { words, shift } = this.#byLevel;
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
      const level = this.#nodeLevels[reference]!;
      const isBelow = this.#nodes[reference << NODE_SHIFT] === node;
      return isBelow && level.length === length && key.startsWith(level, start);
    }
    if (this.#leafParents[-reference] !== node) return false;
    // A leaf of the same node begins with the same levels, so this level begins at the same place.
    const leafKey = this.#keys[-reference]!;
    if (levelEnd(leafKey, start) !== end) return false;
    return key.startsWith(leafKey.substring(start, end), start);
  }

  /** Puts reference `to` (0: nothing) where `from` (0: nothing) is. */
  #setReference(node: number, key: string, start: number, from: number, to: number): void {
    const base = node << NODE_SHIFT;
    if (start > key.length) {
      this.#nodes[base + NodeWord.own] = -to;
      return;
    }
    const code = key.charCodeAt(start);
    if (code === HASH) {
      this.#nodes[base + NodeWord.multiWildcard] = -to;
    } else if (code === PLUS) {
      this.#nodes[base + NodeWord.singleWildcard] = to;
    } else {
      const tag = tagOfLevel(node, hashLevel(key, start, levelEnd(key, start)));
      if (to < 0) this.#leafParents[-to] = node;
      if (from === 0) {
        this.#byLevel.add(tag, to);
        this.#nodes[base + NodeWord.literals]!++;
      } else if (to === 0) {
        this.#byLevel.remove(tag, from);
        this.#nodes[base + NodeWord.literals]!--;
      } else {
        this.#byLevel.replace(tag, from, to);
      }
    }
  }

  #makeNode(parent: number, level: string): number {
    let node = this.#freeNode;
    if (node !== 0) {
      this.#freeNode = this.#nodes[node << NODE_SHIFT]!;
    } else {
      node = this.#nodeLevels.length;
      this.#nodes = withRoom(this.#nodes, (node + 1) << NODE_SHIFT);
    }
    this.#nodes[node << NODE_SHIFT] = parent;
    this.#nodeLevels[node] = level;
    return node;
  }

  /** Frees a node whose words but `parent` are 0. */
  #freeNodeAt(node: number): void {
    this.#nodes[node << NODE_SHIFT] = this.#freeNode;
    this.#nodeLevels[node] = '';
    this.#freeNode = node;
  }
}

function tagOfLevel(node: number, hash: number): number {
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
