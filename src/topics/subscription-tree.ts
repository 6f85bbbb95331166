/**
 * Which local subscribers, and which other shards, want a topic. A filter without a wildcard is found by
 * one lookup, the others by a walk over a trie of levels: what a match costs depends on the topic and on
 * what it matches, not on the number of other filters.
 */
import { FilterIndex } from './filter-index.js';
import { SubscriberList } from './subscriber-list.js';

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

/** Who wants a filter. One subscriber is held in place, more in a list. */
class FilterEntry<S extends Subscriber> {
  shardMask = 0;
  qos = 0;
  subscriber: S | null = null;
  list: SubscriberList<S> | null = null;
}

/** Subscriptions of one shard, and the interest of the others, by topic filter key (topic.ts). */
export class SubscriptionTree<S extends Subscriber> {
  readonly #index = new FilterIndex();
  /** By filter id. */
  readonly #entries: (FilterEntry<S> | null)[] = [null];
  readonly #matchedIds: number[] = [];

  /** Distinct filters with a local subscriber or an interested shard. */
  get filterCount(): number {
    return this.#index.count;
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
    const id = this.#index.find(filterKey);
    if (id === 0) return Unsubscribed.absent;
    const entry = this.#entries[id]!;
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
    this.#dropIfUnwanted(id, entry);
    return Unsubscribed.last;
  }

  /** Notes that shard `shardIndex` (0 to 31) has subscribers of the filter. */
  addShard(filterKey: string, shardIndex: number): void {
    this.#entryFor(filterKey).shardMask |= 1 << shardIndex;
  }

  /** Notes that shard `shardIndex` has no subscriber of the filter any more. */
  removeShard(filterKey: string, shardIndex: number): void {
    const id = this.#index.find(filterKey);
    if (id === 0) return;
    const entry = this.#entries[id]!;
    entry.shardMask &= ~(1 << shardIndex);
    this.#dropIfUnwanted(id, entry);
  }

  /** Forgets all interest of a shard that died. Looks at every filter. */
  removeShardEverywhere(shardIndex: number): void {
    const bit = 1 << shardIndex;
    for (let id = 1; id < this.#entries.length; id++) {
      const entry = this.#entries[id]!;
      if (entry === null || (entry.shardMask & bit) === 0) continue;
      entry.shardMask &= ~bit;
      this.#dropIfUnwanted(id, entry);
    }
  }

  /**
   * The filters with a local subscriber, each once. Lazy: filters may come and go meanwhile, and those
   * that come may be left out.
   */
  *localFilters(): Generator<string, void, undefined> {
    for (let id = 1; id < this.#entries.length; id++) {
      const entry = this.#entries[id]!;
      if (entry === null || (entry.subscriber === null && entry.list === null)) continue;
      yield this.#index.keyOf(id);
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
    const ids = this.#matchedIds;
    const found = this.#index.match(topicKey, ids);
    for (let i = 0; i < found; i++) collect(this.#entries[ids[i]!]!, result);
    forget(result, countBefore);
  }

  #entryFor(filterKey: string): FilterEntry<S> {
    const id = this.#index.find(filterKey);
    if (id !== 0) return this.#entries[id]!;
    const entry = new FilterEntry<S>();
    this.#entries[this.#index.add(filterKey)] = entry;
    return entry;
  }

  #dropIfUnwanted(id: number, entry: FilterEntry<S>): void {
    if (entry.shardMask !== 0 || entry.subscriber !== null || entry.list !== null) return;
    this.#index.remove(id);
    this.#entries[id] = null;
  }
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
