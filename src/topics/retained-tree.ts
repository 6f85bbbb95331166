/**
 * Retained messages by topic. A topic is found by one lookup; a filter with wildcards walks a trie
 * of levels, one message at a time, so that a subscriber can be served as it reads.
 */
import {
  addEntry,
  type Branch,
  childAt,
  type Keyed,
  LevelNode,
  removeEntry,
} from './level-trie.js';
import {
  beginsWithDollar,
  beginsWithWildcard,
  HASH,
  hasWildcard,
  levelEnd,
  matchesTail,
  PLUS,
} from './topic.js';

class RetainedEntry<V> implements Keyed {
  readonly key: string;
  value: V;
  constructor(key: string, value: V) {
    this.key = key;
    this.value = value;
  }
}

/** A topic key and the value it has. */
export type RetainedMatch<V> = [topicKey: string, value: V];

/**
 * A node whose children are being visited, or are to be, and where filter and keys go on below
 * them.
 */
interface Frame<V> {
  readonly node: LevelNode<RetainedEntry<V>>;
  /** Null until the first child is visited: until then the node may yet get its Map. */
  children: IterableIterator<[level: string, branch: Branch<RetainedEntry<V>>]> | null;
  /** Where the filter goes on below the children, or EVERYTHING. */
  readonly filterStart: number;
  /** Where the children's levels begin in the keys. */
  readonly keyStart: number;
}

/** In place of a position in the filter: below a `#` all matches. */
const EVERYTHING = -1;

/**
 * The values of topics, by topic name key (topic.ts). What a value is, and its bytes, is its
 * owner's.
 */
export class RetainedTree<V> {
  readonly #entries = new Map<string, RetainedEntry<V>>();
  readonly #root = new LevelNode<RetainedEntry<V>>();

  /** Topics that have a value. */
  get count(): number {
    return this.#entries.size;
  }

  /** Sets the value of a topic [MQTT-3.3.1-5]. @returns the value it replaces, if any. */
  set(topicKey: string, value: V): V | undefined {
    const entry = this.#entries.get(topicKey);
    if (entry === undefined) {
      const added = new RetainedEntry(topicKey, value);
      this.#entries.set(topicKey, added);
      addEntry(this.#root, added);
      return undefined;
    }
    const replaced = entry.value;
    entry.value = value;
    return replaced;
  }

  get(topicKey: string): V | undefined {
    return this.#entries.get(topicKey)?.value;
  }

  /** Removes a topic [MQTT-3.3.1-10]. @returns the value it had, if any. */
  delete(topicKey: string): V | undefined {
    const entry = this.#entries.get(topicKey);
    if (entry === undefined) return undefined;
    this.#entries.delete(topicKey);
    removeEntry(this.#root, entry);
    return entry.value;
  }

  /**
   * The topics that match a valid filter, and their values, lazily and in no order. It may be left
   * for as long as one likes and the tree changed meanwhile: topics left alone come exactly once;
   * one that is set or deleted meanwhile comes with the value it has when its turn comes, or not at
   * all.
   *
   * `+/state` must look at every first level there is, whether or not anything is found. Given
   * `stepsMax`, the generator yields null after every so many levels, so that its caller can do
   * something else first.
   */
  match(filterKey: string): Generator<RetainedMatch<V>, void, undefined>;
  match(filterKey: string, stepsMax: number): Generator<RetainedMatch<V> | null, void, undefined>;
  *match(
    filterKey: string,
    stepsMax = Number.POSITIVE_INFINITY,
  ): Generator<RetainedMatch<V> | null, void, undefined> {
    if (!hasWildcard(filterKey)) {
      const entry = this.#entries.get(filterKey);
      if (entry !== undefined) yield [entry.key, entry.value];
      return;
    }
    const walk = new RetainedWalk<V>(filterKey);
    let entry = walk.visit(this.#root, 0, 0);
    for (let steps = 1; ; steps++) {
      if (entry !== null) yield [entry.key, entry.value];
      if (steps % stepsMax === 0) yield null;
      if (walk.isDone) return;
      entry = walk.step();
    }
  }
}

/**
 * A walk over the topics that match a filter with wildcards. From one step to the next it keeps
 * nodes and live iterators of Maps, which follow every change, and nothing that it has read from
 * them.
 */
class RetainedWalk<V> {
  readonly #filterKey: string;
  /** A wildcard at the first level does not match topics that begin with `$` [MQTT-4.7.2-1]. */
  readonly #hidesDollar: boolean;
  readonly #frames: Frame<V>[] = [];

  constructor(filterKey: string) {
    this.#filterKey = filterKey;
    this.#hidesDollar = beginsWithWildcard(filterKey);
  }

  get isDone(): boolean {
    return this.#frames.length === 0;
  }

  /**
   * Looks at one more level. @returns the entry found there, if any. Not to be called when done.
   */
  step(): RetainedEntry<V> | null {
    const frame = this.#frames.at(-1)!;
    const { node } = frame;
    if (frame.children === null) {
      if (node.children === null) {
        this.#frames.pop();
        return node.child === null ? null : this.#visitChild(frame, node.childLevel, node.child);
      }
      frame.children = node.children.entries();
    }
    const next = frame.children.next();
    if (!next.done) return this.#visitChild(frame, next.value[0], next.value[1]);
    this.#frames.pop();
    return null;
  }

  /**
   * Looks at what is behind the levels that filter and keys have up to `filterStart` and
   * `keyStart`.
   */
  visit(
    branch: Branch<RetainedEntry<V>>,
    filterStart: number,
    keyStart: number,
  ): RetainedEntry<V> | null {
    const filterKey = this.#filterKey;
    let at: Branch<RetainedEntry<V>> | null = branch;
    let f = filterStart;
    let k = keyStart;
    while (at instanceof LevelNode) {
      const code = f < 0 ? HASH : filterKey.charCodeAt(f);
      if (code === HASH) {
        // `#` includes the parent level.
        this.#frames.push({ node: at, children: null, filterStart: EVERYTHING, keyStart: k });
        return at.entry;
      }
      if (code === PLUS) {
        this.#frames.push({ node: at, children: null, filterStart: f + 2, keyStart: k });
        return null;
      }
      if (f > filterKey.length) return at.entry;
      const end = levelEnd(filterKey, f);
      at = childAt(at, filterKey, f, end);
      k += end - f + 1;
      f = end + 1;
    }
    return at !== null && (f < 0 || matchesTail(filterKey, f, at.key, k)) ? at : null;
  }

  #visitChild(
    frame: Frame<V>,
    level: string,
    branch: Branch<RetainedEntry<V>>,
  ): RetainedEntry<V> | null {
    if (this.#hidesDollar && frame.keyStart === 0 && beginsWithDollar(level)) return null;
    return this.visit(branch, frame.filterStart, frame.keyStart + level.length + 1);
  }
}
