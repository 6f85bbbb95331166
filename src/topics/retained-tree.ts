/**
 * Retained messages by topic. A topic is found by one lookup; a filter with wildcards walks a trie of
 * levels, one message at a time, so that a subscriber can be served as it reads.
 */
import {
  addEntry,
  type Keyed,
  LevelNode,
  levelEnd,
  literalSlot,
  removeEntry,
  type Slot,
  tailMatches,
} from './level-trie.js';
import { beginsWithDollar, beginsWithWildcard, HASH, hasWildcard, PLUS } from './topic.js';

class RetainedEntry<V> implements Keyed {
  readonly key: string;
  value: V;
  constructor(key: string, value: V) {
    this.key = key;
    this.value = value;
  }
}

/** Children of a node that are still to be visited, and where filter and keys go on below them. */
interface Frame<V> {
  readonly children: IterableIterator<[level: string, slot: Slot<RetainedEntry<V>>]>;
  /** Where the filter goes on below these levels, or EVERYTHING. */
  readonly filterStart: number;
  /** Where these levels begin in the keys. */
  readonly keyStart: number;
}

/** In place of a position in the filter: below a `#` all matches. */
const EVERYTHING = -1;

/** What a filter asks of a node. */
const Next = { end: 0, literal: 1, anyLevel: 2, everything: 3 } as const;
type Next = (typeof Next)[keyof typeof Next];

function nextOf(filterKey: string, filterStart: number): Next {
  if (filterStart < 0) return Next.everything;
  if (filterStart > filterKey.length) return Next.end;
  const code = filterKey.charCodeAt(filterStart);
  if (code === HASH) return Next.everything;
  return code === PLUS ? Next.anyLevel : Next.literal;
}

/** The values of topics, by topic name key (topic.ts). What a value is, and its bytes, is its owner's. */
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
   * The topics that match a valid filter, and their values, lazily and in no order. It may be left for as
   * long as one likes and the tree changed meanwhile: topics left alone come exactly once; one that is set
   * or deleted meanwhile comes with the value it has when its turn comes, or not at all.
   */
  *match(filterKey: string): Generator<[topicKey: string, value: V], void, undefined> {
    if (!hasWildcard(filterKey)) {
      const entry = this.#entries.get(filterKey);
      if (entry !== undefined) yield [entry.key, entry.value];
      return;
    }
    const hidesDollar = beginsWithWildcard(filterKey);
    const frames: Frame<V>[] = [];
    let slot: Slot<RetainedEntry<V>> | null = this.#root;
    let filterStart = 0;
    let keyStart = 0;
    // Nothing read from a node is used after a yield but the live iterators of Maps, which follow changes.
    for (;;) {
      if (slot === null) {
        const frame: Frame<V> | undefined = frames.at(-1);
        if (frame === undefined) return;
        const step = frame.children.next();
        if (step.done === true) {
          frames.pop();
        } else if (!hidesDollar || frame.keyStart > 0 || !beginsWithDollar(step.value[0])) {
          slot = step.value[1];
          filterStart = frame.filterStart;
          keyStart = frame.keyStart + step.value[0].length + 1;
        }
        continue;
      }
      if (!(slot instanceof LevelNode)) {
        const entry: RetainedEntry<V> = slot;
        slot = null;
        if (filterStart < 0 || tailMatches(filterKey, filterStart, entry.key, keyStart)) {
          yield [entry.key, entry.value];
        }
        continue;
      }
      const node: LevelNode<RetainedEntry<V>> = slot;
      slot = null;
      const next = nextOf(filterKey, filterStart);
      if (next === Next.end || next === Next.everything) {
        // `#` includes the parent level.
        if (node.entry !== null) yield [node.entry.key, node.entry.value];
        if (next === Next.end) continue;
      }
      if (next === Next.literal) {
        const end = levelEnd(filterKey, filterStart);
        slot = literalSlot(node, filterKey, filterStart, end);
        keyStart += end - filterStart + 1;
        filterStart = end + 1;
        continue;
      }
      const below = next === Next.everything ? EVERYTHING : filterStart + 2;
      if (node.children !== null) {
        frames.push({ children: node.children.entries(), filterStart: below, keyStart });
      } else if (node.child !== null) {
        if (hidesDollar && keyStart === 0 && beginsWithDollar(node.childLevel)) continue;
        slot = node.child;
        filterStart = below;
        keyStart += node.childLevel.length + 1;
      }
    }
  }
}
