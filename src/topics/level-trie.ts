/**
 * A trie of topic levels that can be walked. A topic that shares its remaining levels with no other
 * is kept whole, as a *leaf*, where it branches off; only where topics part is there a node. So a
 * topic costs one place in a node, not a node a level.
 */
import { invariant } from '../base/assert.js';
import { levelEnd } from './topic.js';

/** What is stored. It knows its topic key (topic.ts), so that a leaf needs no copy of it. */
export interface Keyed {
  readonly key: string;
}

/**
 * What stands behind one level of a node: a node, or the only entry whose key goes on from here.
 */
export type Branch<E extends Keyed> = LevelNode<E> | E;

/** The levels that may follow one prefix. The empty prefix is the root. */
export class LevelNode<E extends Keyed> {
  /** The entry whose key is the prefix itself. */
  entry: E | null = null;
  /** The one level that follows, while there has been no second, and what is behind it. */
  childLevel = '';
  child: Branch<E> | null = null;
  /**
   * All levels that follow, from the second on: a Map for each node would cost more than all the
   * rest. It stays a Map for as long as the node lives, so that whoever iterates it sees every
   * change.
   */
  children: Map<string, Branch<E>> | null = null;
}

/** What is behind the level `key[start, end)` of `node`, or null. */
export function childAt<E extends Keyed>(
  node: LevelNode<E>,
  key: string,
  start: number,
  end: number,
): Branch<E> | null {
  if (node.children !== null) return node.children.get(key.substring(start, end)) ?? null;
  if (node.child === null || node.childLevel.length !== end - start) return null;
  return key.startsWith(node.childLevel, start) ? node.child : null;
}

/** Adds an entry whose key is not in the trie yet. */
export function addEntry<E extends Keyed>(root: LevelNode<E>, entry: E): void {
  const { key } = entry;
  let node = root;
  // `start` is where the level behind `node` begins: past the end of the key when there is no more.
  for (let start = 0; start <= key.length; ) {
    const end = levelEnd(key, start);
    let branch = childAt(node, key, start, end);
    if (branch === null) {
      setChild(node, key.substring(start, end), entry);
      return;
    }
    if (!(branch instanceof LevelNode)) {
      // Two keys share this level: a node takes the leaf's place, and the leaf moves one level
      // down.
      const inner: LevelNode<E> = nodeOf(branch, end + 1);
      setChild(node, key.substring(start, end), inner);
      branch = inner;
    }
    node = branch;
    start = end + 1;
  }
  node.entry = entry;
}

/** Removes an entry that is in the trie, and the nodes that led to it alone. */
export function removeEntry<E extends Keyed>(root: LevelNode<E>, entry: E): void {
  removeBelow(root, entry, 0);
}

/** @returns true when `node` holds nothing now. Recursion is bounded by TOPIC_LEVELS_MAX. */
function removeBelow<E extends Keyed>(node: LevelNode<E>, entry: E, start: number): boolean {
  const { key } = entry;
  if (start > key.length) {
    node.entry = null;
  } else {
    const end = levelEnd(key, start);
    const branch = childAt(node, key, start, end);
    if (branch instanceof LevelNode) {
      if (!removeBelow(branch, entry, end + 1)) return false;
    } else {
      invariant(branch === entry, 'an entry is where its key leads');
    }
    removeChild(node, key, start, end);
  }
  const hasChildren = node.child !== null || (node.children !== null && node.children.size > 0);
  return node.entry === null && !hasChildren;
}

/** A node that holds one entry, whose key goes on at `start`. */
function nodeOf<E extends Keyed>(entry: E, start: number): LevelNode<E> {
  const node = new LevelNode<E>();
  if (start > entry.key.length) node.entry = entry;
  else setChild(node, entry.key.substring(start, levelEnd(entry.key, start)), entry);
  return node;
}

function setChild<E extends Keyed>(node: LevelNode<E>, level: string, branch: Branch<E>): void {
  if (node.children !== null) {
    node.children.set(level, branch);
  } else if (node.child === null || node.childLevel === level) {
    node.childLevel = level;
    node.child = branch;
  } else {
    node.children = new Map([
      [node.childLevel, node.child],
      [level, branch],
    ]);
    node.childLevel = '';
    node.child = null;
  }
}

function removeChild<E extends Keyed>(
  node: LevelNode<E>,
  key: string,
  start: number,
  end: number,
): void {
  if (node.children !== null) {
    node.children.delete(key.substring(start, end));
  } else {
    node.childLevel = '';
    node.child = null;
  }
}
