/**
 * Which local subscribers, and which other shards, want a topic. A filter without a wildcard is found by
 * one lookup, the others by a walk over a trie of levels: what a match costs depends on the topic and on
 * what it matches, not on the number of other filters.
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
import { SubscriberList } from './subscriber-list.js';
import { beginsWithDollar, hasWildcard } from './topic.js';

/** Who subscribes. The tree owns the scratch word; start it at 0. */
export interface Subscriber {
  /** Where in the result of the match at hand this subscriber stands, if it stands there at all. */
  matchIndex: number;
}

/** What `unsubscribe` did. */
export const Unsubscribed = {
  /** There was no such subscription. */
  absent: 0,
  /** Removed; the filter has other local subscribers. */
  removed: 1,
  /** Removed, and it was the filter's last local subscriber: this shard wants it no more. */
  last: 2,
} as const;
export type Unsubscribed = (typeof Unsubscribed)[keyof typeof Unsubscribed];

/** Filled by `match`. Made once and used again, so that a match allocates nothing. */
export class MatchResult<S extends Subscriber> {
  /** The first `count` are of the last match, each subscriber once. What is behind them means nothing. */
  readonly subscribers: S[] = [];
  /** Highest granted QoS of the subscriber at the same index. */
  readonly qos: number[] = [];
  count = 0;
  /** Bit i: shard i has subscribers for the topic. All 32 bits are used, so it may be negative. */
  shardMask = 0;
}

/** A filter somebody wants. One subscriber is held in place, more in a list. */
class FilterEntry<S extends Subscriber> implements Keyed {
  readonly key: string;
  shardMask = 0;
  qos = 0;
  subscriber: S | null = null;
  list: SubscriberList<S> | null = null;
  constructor(key: string) {
    this.key = key;
  }
}

/** Subscriptions of one shard, and the interest of the others, by topic filter key (topic.ts). */
export class SubscriptionTree<S extends Subscriber> {
  /** Every filter. A topic name looked up here finds only the filter equal to it: a name has no wildcard. */
  readonly #entries = new Map<string, FilterEntry<S>>();
  /** The filters with wildcards. */
  readonly #wildcards = new LevelNode<FilterEntry<S>>();

  /** Distinct filters with a local subscriber or an interested shard. */
  get filterCount(): number {
    return this.#entries.size;
  }

  /**
   * Subscribes, or replaces the QoS of a subscription [MQTT-3.8.4-3]. The filter must be valid.
   * @returns true when this is the filter's first local subscriber.
   */
  subscribe(filterKey: string, subscriber: S, qos: 0 | 1 | 2): boolean {
    const entry = this.#entryFor(filterKey);
    if (entry.list !== null) {
      entry.list.set(subscriber, qos);
      return false;
    }
    if (entry.subscriber === null || entry.subscriber === subscriber) {
      const isFirst = entry.subscriber === null;
      entry.subscriber = subscriber;
      entry.qos = qos;
      return isFirst;
    }
    entry.list = new SubscriberList(entry.subscriber, entry.qos, subscriber, qos);
    entry.subscriber = null;
    return false;
  }

  /** Removes a subscription, comparing filters character by character [MQTT-3.10.4-1]. */
  unsubscribe(filterKey: string, subscriber: S): Unsubscribed {
    const entry = this.#entries.get(filterKey);
    if (entry === undefined) return Unsubscribed.absent;
    if (entry.list !== null) {
      if (!entry.list.delete(subscriber)) return Unsubscribed.absent;
      if (entry.list.subscribers.length === 1) {
        entry.subscriber = entry.list.subscribers[0]!;
        entry.qos = entry.list.qos[0]!;
        entry.list = null;
      }
      return Unsubscribed.removed;
    }
    if (entry.subscriber !== subscriber) return Unsubscribed.absent;
    entry.subscriber = null;
    this.#dropIfUnwanted(entry);
    return Unsubscribed.last;
  }

  /** Notes that shard `shardIndex` (0 to 31) has subscribers of the filter. */
  addShard(filterKey: string, shardIndex: number): void {
    this.#entryFor(filterKey).shardMask |= 1 << shardIndex;
  }

  /** Notes that shard `shardIndex` has no subscriber of the filter any more. */
  removeShard(filterKey: string, shardIndex: number): void {
    const entry = this.#entries.get(filterKey);
    if (entry === undefined) return;
    entry.shardMask &= ~(1 << shardIndex);
    this.#dropIfUnwanted(entry);
  }

  /** Forgets all interest of a shard that died. Looks at every filter. */
  removeShardEverywhere(shardIndex: number): void {
    const bit = 1 << shardIndex;
    for (const entry of this.#entries.values()) {
      if ((entry.shardMask & bit) === 0) continue;
      entry.shardMask &= ~bit;
      this.#dropIfUnwanted(entry);
    }
  }

  /** The filters with a local subscriber, each once. Lazy; filters may come and go meanwhile. */
  *localFilters(): Generator<string, void, undefined> {
    for (const entry of this.#entries.values()) {
      if (entry.subscriber !== null || entry.list !== null) yield entry.key;
    }
  }

  /**
   * Finds who wants a message of this topic, a valid topic name: every subscriber once, at the highest
   * QoS of its matching filters [MQTT-3.3.5-1], and the shards with subscribers. Replaces what `result` held.
   */
  match(topicKey: string, result: MatchResult<S>): void {
    const countBefore = result.count;
    result.count = 0;
    result.shardMask = 0;
    const exact = this.#entries.get(topicKey);
    if (exact !== undefined) collect(exact, result);
    const root = this.#wildcards;
    if (beginsWithDollar(topicKey)) {
      const end = levelEnd(topicKey, 0);
      const slot = literalSlot(root, topicKey, 0, end);
      if (slot !== null) enter(slot, end + 1, topicKey, end + 1, result);
    } else {
      visit(root, 0, topicKey, 0, result);
    }
    forget(result, countBefore);
  }

  #entryFor(filterKey: string): FilterEntry<S> {
    let entry = this.#entries.get(filterKey);
    if (entry === undefined) {
      entry = new FilterEntry<S>(filterKey);
      this.#entries.set(filterKey, entry);
      if (hasWildcard(filterKey)) addEntry(this.#wildcards, entry);
    }
    return entry;
  }

  #dropIfUnwanted(entry: FilterEntry<S>): void {
    if (entry.shardMask !== 0 || entry.subscriber !== null || entry.list !== null) return;
    this.#entries.delete(entry.key);
    if (hasWildcard(entry.key)) removeEntry(this.#wildcards, entry);
  }
}

/**
 * Collects the filters below `node`. `filterStart` and `topicStart` are where the next level begins in
 * the filters and in the topic; they differ because `+` is one character.
 */
function visit<S extends Subscriber>(
  node: LevelNode<FilterEntry<S>>,
  filterStart: number,
  topicKey: string,
  topicStart: number,
  result: MatchResult<S>,
): void {
  // `#` includes the parent level, so it counts even where the topic has ended.
  if (node.multiWildcard !== null) collect(node.multiWildcard, result);
  if (topicStart > topicKey.length) {
    if (node.entry !== null) collect(node.entry, result);
    return;
  }
  const end = levelEnd(topicKey, topicStart);
  if (node.singleWildcard !== null) {
    enter(node.singleWildcard, filterStart + 2, topicKey, end + 1, result);
  }
  const slot = literalSlot(node, topicKey, topicStart, end);
  if (slot !== null) {
    enter(slot, filterStart + end - topicStart + 1, topicKey, end + 1, result);
  }
}

function enter<S extends Subscriber>(
  slot: Slot<FilterEntry<S>>,
  filterStart: number,
  topicKey: string,
  topicStart: number,
  result: MatchResult<S>,
): void {
  if (slot instanceof LevelNode) visit(slot, filterStart, topicKey, topicStart, result);
  else if (tailMatches(slot.key, filterStart, topicKey, topicStart)) collect(slot, result);
}

function collect<S extends Subscriber>(entry: FilterEntry<S>, result: MatchResult<S>): void {
  result.shardMask |= entry.shardMask;
  const list = entry.list;
  if (list === null) {
    if (entry.subscriber !== null) merge(entry.subscriber, entry.qos, result);
    return;
  }
  const { subscribers, qos } = list;
  for (let i = 0; i < subscribers.length; i++) merge(subscribers[i]!, qos[i]!, result);
}

/**
 * Adds a subscriber, or raises its QoS if it is in the result. Its scratch word may be left from any match
 * of any tree: it is believed only if that place of this result holds the subscriber.
 */
function merge<S extends Subscriber>(subscriber: S, qos: number, result: MatchResult<S>): void {
  const at = subscriber.matchIndex;
  if (at < result.count && result.subscribers[at] === subscriber) {
    if (qos > result.qos[at]!) result.qos[at] = qos;
    return;
  }
  subscriber.matchIndex = result.count;
  result.subscribers[result.count] = subscriber;
  result.qos[result.count] = qos;
  result.count++;
}

/** Lets go of the subscribers of the match before, so that the result keeps no closed session alive. */
function forget<S extends Subscriber>(result: MatchResult<S>, countBefore: number): void {
  if (result.count < countBefore) result.subscribers.fill(undefined as never, result.count);
}
