/**
 * Which local subscribers, and which other shards, want a topic. A filter without a wildcard is
 * found by one lookup, the others by a walk over a trie of levels: what a match costs depends on
 * the topic and on what it matches, not on the number of other filters.
 */
import { FilterIndex, UNFINISHED } from './filter-index.js';
import { withRoom } from './filter-trie.js';
import type { MatchWalk } from './match-walk.js';
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
  /**
   * The first `count` are of the last match, each subscriber once. What is behind them means
   * nothing.
   */
  readonly subscribers: S[] = [];
  /** Highest granted QoS of the subscriber at the same index. */
  readonly qos: number[] = [];
  count = 0;
  /** Bit i: shard i has subscribers for the topic. All 32 bits are used, so it may be negative. */
  shardMask = 0;
}

/** Words of a filter beside its holder. */
const FilterWord = {
  /** Shards with subscribers of the filter, a bit each. */
  shardMask: 0,
  /** QoS granted to the holder, if that is one subscriber. */
  qos: 1,
} as const;
const FILTER_SHIFT = 1;
/** Four subscribers are collected in the time that a step takes. */
const SUBSCRIBERS_PER_STEP_SHIFT = 2;
/** What it costs to remove a filter, when to look at one costs 1, and how much makes a step. */
const REMOVAL_COST = 64;
const REMOVAL_STEP_COST = 4_096;

/** Subscriptions of one shard, and the interest of the others, by topic filter key (topic.ts). */
export class SubscriptionTree<S extends Subscriber> {
  readonly #index = new FilterIndex();
  /** By filter id: its only local subscriber, or a list of them, or nobody. */
  readonly #holders: (S | SubscriberList<S> | null)[] = [null];
  /** By filter id: FilterWord. The mask of a free id is 0. */
  #words = new Int32Array(16 << FILTER_SHIFT);
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
    const id = this.#idFor(filterKey);
    const qosAt = (id << FILTER_SHIFT) + FilterWord.qos;
    const holder = this.#holders[id]!;
    if (holder instanceof SubscriberList) {
      holder.set(subscriber, qos);
    } else if (holder === null || holder === subscriber) {
      this.#holders[id] = subscriber;
      this.#words[qosAt] = qos;
    } else {
      this.#holders[id] = new SubscriberList(holder, this.#words[qosAt]!, subscriber, qos);
    }
    return holder === null;
  }

  /** Removes a subscription, comparing filters character by character [MQTT-3.10.4-1]. */
  unsubscribe(filterKey: string, subscriber: S): Unsubscribed {
    const id = this.#index.find(filterKey);
    if (id === 0) return Unsubscribed.absent;
    const holder = this.#holders[id]!;
    if (holder instanceof SubscriberList) {
      if (!holder.delete(subscriber)) return Unsubscribed.absent;
      if (holder.subscribers.length === 1) {
        this.#holders[id] = holder.subscribers[0]!;
        this.#words[(id << FILTER_SHIFT) + FilterWord.qos] = holder.qos[0]!;
      }
      return Unsubscribed.removed;
    }
    if (holder !== subscriber) return Unsubscribed.absent;
    this.#holders[id] = null;
    this.#dropIfUnwanted(id);
    return Unsubscribed.last;
  }

  /** Notes that shard `shardIndex` (0 to 31) has subscribers of the filter. */
  addShard(filterKey: string, shardIndex: number): void {
    const id = this.#idFor(filterKey);
    this.#words[(id << FILTER_SHIFT) + FilterWord.shardMask]! |= 1 << shardIndex;
  }

  /** Notes that shard `shardIndex` has no subscriber of the filter any more. */
  removeShard(filterKey: string, shardIndex: number): void {
    const id = this.#index.find(filterKey);
    if (id !== 0) this.#removeShardBit(id, shardIndex);
  }

  /**
   * Forgets all interest of a shard that died. Looks at every filter, in steps that take some
   * tenths of a millisecond each.
   */
  *removeShardEverywhere(shardIndex: number): Generator<void, void, undefined> {
    let cost = 0;
    for (let id = 1; id < this.#holders.length; id++) {
      cost += this.#removeShardBit(id, shardIndex) ? REMOVAL_COST : 1;
      if (cost < REMOVAL_STEP_COST) continue;
      cost = 0;
      yield;
    }
  }

  /**
   * The filters with a local subscriber, each once. Lazy: filters may come and go meanwhile, and
   * those that come may be left out.
   */
  *localFilters(): Generator<string, void, undefined> {
    for (let id = 1; id < this.#holders.length; id++) {
      if (this.#holders[id] !== null) yield this.#index.keyOf(id);
    }
  }

  /**
   * Finds who wants a message of this topic, a valid topic name: every subscriber once, at the
   * highest QoS of its matching filters [MQTT-3.3.5-1], and the shards with subscribers. Replaces
   * what `result` held.
   */
  match(topicKey: string, result: MatchResult<S>): void {
    this.#fill(result, this.#index.match(topicKey, this.#matchedIds));
  }

  /**
   * As `match`, but leaves off beyond `stepsMax` steps of it (see `matchSteps`).
   * @returns null when `result` has it all; else what to go on with by `resumeMatch`, in this turn
   * or a later one, or to give up by `abandonMatch`. `result` is as it was then.
   */
  matchWithin(topicKey: string, result: MatchResult<S>, stepsMax: number): MatchWalk | null {
    const found = this.#index.match(topicKey, this.#matchedIds, stepsMax);
    if (found === UNFINISHED) return this.#index.leave();
    this.#fill(result, found);
    return null;
  }

  /**
   * Goes on with a match for another `stepsMax` steps. Subscriptions may have been made and ended
   * meanwhile: it finds what `match` would find when it comes to its end.
   * @returns whether it has: `walk` is used up then.
   */
  resumeMatch(walk: MatchWalk, result: MatchResult<S>, stepsMax: number): boolean {
    const found = this.#index.resume(walk, this.#matchedIds, stepsMax);
    if (found === UNFINISHED) return false;
    this.#fill(result, found);
    return true;
  }

  /** Gives up a match that was left. */
  abandonMatch(walk: MatchWalk): void {
    this.#index.abandon(walk);
  }

  /**
   * Steps that all matches have taken: filters looked at or found, levels followed, and a part of
   * one for each subscriber. One takes 20 to 200 ns.
   */
  get matchSteps(): number {
    return this.#index.steps;
  }

  #fill(result: MatchResult<S>, found: number): void {
    const countBefore = result.count;
    result.count = 0;
    result.shardMask = 0;
    const ids = this.#matchedIds;
    for (let i = 0; i < found; i++) this.#collect(ids[i]!, result);
    // The subscribers of the match before are let go of: the result keeps no closed session alive.
    if (result.count < countBefore) {
      result.subscribers.fill(undefined as never, result.count, countBefore);
    }
    this.#index.steps += found + (result.count >> SUBSCRIBERS_PER_STEP_SHIFT);
  }

  #collect(id: number, result: MatchResult<S>): void {
    const at = id << FILTER_SHIFT;
    result.shardMask |= this.#words[at + FilterWord.shardMask]!;
    const holder = this.#holders[id]!;
    if (holder === null) return;
    if (!(holder instanceof SubscriberList)) {
      merge(holder, this.#words[at + FilterWord.qos]!, result);
      return;
    }
    const { subscribers, qos } = holder;
    for (let i = 0; i < subscribers.length; i++) merge(subscribers[i]!, qos[i]!, result);
  }

  /** The id of a filter, which is added if it is not here. */
  #idFor(filterKey: string): number {
    const known = this.#index.find(filterKey);
    if (known !== 0) return known;
    const id = this.#index.add(filterKey);
    this.#words = withRoom(this.#words, (id + 1) << FILTER_SHIFT);
    this.#holders[id] = null;
    return id;
  }

  /** @returns whether it was set. */
  #removeShardBit(id: number, shardIndex: number): boolean {
    const at = (id << FILTER_SHIFT) + FilterWord.shardMask;
    const bit = 1 << shardIndex;
    if ((this.#words[at]! & bit) === 0) return false;
    this.#words[at]! &= ~bit;
    this.#dropIfUnwanted(id);
    return true;
  }

  #dropIfUnwanted(id: number): void {
    const mask = this.#words[(id << FILTER_SHIFT) + FilterWord.shardMask]!;
    if (mask === 0 && this.#holders[id] === null) this.#index.remove(id);
  }
}

/**
 * Adds a subscriber, or raises its QoS if it is in the result. Its scratch word may be left from
 * any match of any tree: it is believed only if that place of this result holds the subscriber.
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
