/**
 * A trie of topic levels, the index behind both trees. A key whose remaining levels it shares with no
 * other key is kept whole, as a *leaf*, in the slot where it branches off; only where keys really part
 * is there a node. So a key costs one slot, not a node a level, and a match ends in one comparison.
 *
 * Keys are topic keys (topic.ts), valid as filters. A topic name is a filter without wildcards.
 */

import { HASH, PLUS } from './topic.js';

/** What is stored: it knows its key, so that a leaf needs no copy of it. */
export interface Keyed {
  readonly key: string;
}

/** What stands behind one level of a node: a node, or the only entry whose key goes on from here. */
export type Slot<E extends Keyed> = LevelNode<E> | E;

/** The levels that may follow one prefix. The empty prefix is the root. */
export class LevelNode<E extends Keyed> {
  /** The entry whose key is the prefix itself. */
  entry: E | null = null;
  /** The entry whose key is the prefix and `#`. */
  multiWildcard: E | null = null;
  /** What follows the prefix and `+`. */
  singleWildcard: Slot<E> | null = null;
  /** The one literal level that follows, while there has been no second; its slot is `child`. */
  childLevel = '';
  child: Slot<E> | null = null;
  /**
   * All literal levels that follow, from the second on: a Map for each node would cost more than the rest.
   * It stays a Map until the node goes, so that whoever iterates it live may trust it.
   */
  children: Map<string, Slot<E>> | null = null;
}

/** Where the level that begins at `start` ends: at the next `/`, or with the key. */
export function levelEnd(key: string, start: number): number {
  const slash = key.indexOf('/', start);
  return slash < 0 ? key.length : slash;
}

/** The slot of the literal level `key[start, end)` in `node`, or null. */
export function literalSlot<E extends Keyed>(
  node: LevelNode<E>,
  key: string,
  start: number,
  end: number,
): Slot<E> | null {
  if (node.children !== null) return node.children.get(key.substring(start, end)) ?? null;
  if (node.child === null || node.childLevel.length !== end - start) return null;
  return key.startsWith(node.childLevel, start) ? node.child : null;
}

/**
 * Whether the levels of `filterKey` from `filterStart` on match those of `topicKey` from `topicStart` on.
 * Both starts are at the beginning of a level, or one past the end of a key that has no more levels.
 */
export function tailMatches(
  filterKey: string,
  filterStart: number,
  topicKey: string,
  topicStart: number,
): boolean {
  let f = filterStart;
  let t = topicStart;
  while (f <= filterKey.length) {
    const filterEnd = levelEnd(filterKey, f);
    const filterLength = filterEnd - f;
    if (filterLength === 1 && filterKey.charCodeAt(f) === HASH) return true;
    if (t > topicKey.length) return false;
    const topicEnd = levelEnd(topicKey, t);
    if (filterLength !== 1 || filterKey.charCodeAt(f) !== PLUS) {
      if (topicEnd - t !== filterLength) return false;
      for (let i = 0; i < filterLength; i++) {
        if (filterKey.charCodeAt(f + i) !== topicKey.charCodeAt(t + i)) return false;
      }
    }
    f = filterEnd + 1;
    t = topicEnd + 1;
  }
  return t > topicKey.length;
}

/** Adds an entry whose key is not in the trie yet. */
export function addEntry<E extends Keyed>(root: LevelNode<E>, entry: E): void {
  const key = entry.key;
  let node = root;
  let start = 0;
  for (;;) {
    const slot = slotFor(node, key, start);
    if (slot === null) {
      setSlot(node, key, start, entry);
      return;
    }
    const next = levelEnd(key, start) + 1;
    if (slot instanceof LevelNode) {
      node = slot;
    } else {
      // Two keys share this level: a node takes the leaf's place, and the leaf moves one level down.
      const inner = new LevelNode<E>();
      setSlot(inner, slot.key, next, slot);
      setSlot(node, key, start, inner);
      node = inner;
    }
    start = next;
  }
}

/** Removes an entry that is in the trie, and the nodes that held nothing else. */
export function removeEntry<E extends Keyed>(root: LevelNode<E>, entry: E): void {
  removeBelow(root, entry, 0);
}

/** @returns true when `node` is empty now. Recursion is bounded by TOPIC_LEVELS_MAX. */
function removeBelow<E extends Keyed>(node: LevelNode<E>, entry: E, start: number): boolean {
  const slot = slotFor(node, entry.key, start);
  if (slot instanceof LevelNode) {
    if (!removeBelow(slot, entry, levelEnd(entry.key, start) + 1)) return false;
  } else if (slot !== entry) {
    return false;
  }
  clearSlot(node, entry.key, start);
  return isEmpty(node);
}

function isEmpty<E extends Keyed>(node: LevelNode<E>): boolean {
  return (
    node.entry === null &&
    node.multiWildcard === null &&
    node.singleWildcard === null &&
    node.child === null &&
    (node.children === null || node.children.size === 0)
  );
}

/** Which field of a node the level of `key` at `start` lives in. */
const Place = { entry: 0, multiWildcard: 1, singleWildcard: 2, literal: 3 } as const;
type Place = (typeof Place)[keyof typeof Place];

function placeOf(key: string, start: number): Place {
  if (start > key.length) return Place.entry;
  const code = key.charCodeAt(start);
  if (code === HASH) return Place.multiWildcard;
  return code === PLUS ? Place.singleWildcard : Place.literal;
}

function slotFor<E extends Keyed>(node: LevelNode<E>, key: string, start: number): Slot<E> | null {
  switch (placeOf(key, start)) {
    case Place.entry:
      return node.entry;
    case Place.multiWildcard:
      return node.multiWildcard;
    case Place.singleWildcard:
      return node.singleWildcard;
    case Place.literal:
      return literalSlot(node, key, start, levelEnd(key, start));
  }
}

function setSlot<E extends Keyed>(
  node: LevelNode<E>,
  key: string,
  start: number,
  slot: Slot<E>,
): void {
  const place = placeOf(key, start);
  if (place === Place.singleWildcard) node.singleWildcard = slot;
  else if (place === Place.literal)
    setLiteral(node, key.substring(start, levelEnd(key, start)), slot);
  else if (slot instanceof LevelNode) throw new Error('a key ends here: nothing goes on below it');
  else if (place === Place.entry) node.entry = slot;
  else node.multiWildcard = slot;
}

function setLiteral<E extends Keyed>(node: LevelNode<E>, level: string, slot: Slot<E>): void {
  if (node.children !== null) {
    node.children.set(level, slot);
  } else if (node.child === null || node.childLevel === level) {
    node.childLevel = level;
    node.child = slot;
  } else {
    node.children = new Map([
      [node.childLevel, node.child],
      [level, slot],
    ]);
    node.childLevel = '';
    node.child = null;
  }
}

function clearSlot<E extends Keyed>(node: LevelNode<E>, key: string, start: number): void {
  switch (placeOf(key, start)) {
    case Place.entry:
      node.entry = null;
      return;
    case Place.multiWildcard:
      node.multiWildcard = null;
      return;
    case Place.singleWildcard:
      node.singleWildcard = null;
      return;
    case Place.literal:
      if (node.children === null) {
        node.childLevel = '';
        node.child = null;
      } else {
        node.children.delete(key.substring(start, levelEnd(key, start)));
      }
  }
}
