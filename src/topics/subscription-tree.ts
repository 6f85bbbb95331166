/**
 * Which local subscribers, and which other shards, want a topic. A filter without a wildcard is
 * found by one lookup, the others by a walk over a trie of levels: what a match costs depends on
 * the topic and on what it matches, not on the number of other filters.
 */
import { FilterIndex, UNFINISHED } from './filter-index.js';
import { withRoom } from './filter-trie.js';
import {
  type Grant,
  identifierOf,
  type MatchedGrant,
  matchedGrant,
  mergeGrants,
  NO_LOCAL,
} from './grant.js';
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
  /** What the subscriber at the same index is granted by all its matching filters. */
  readonly grants: MatchedGrant[] = [];
  /**
   * Subscription Identifiers of the subscriber at the same index, where it has any; empty when
   * nobody has. The lists are not used again.
   */
  readonly identifiers: (number[] | undefined)[] = [];
  /** Of them those of subscriptions without No Local: for what the subscriber itself publishes. */
  readonly ownIdentifiers: (number[] | undefined)[] = [];
  count = 0;
  /** Bit i: shard i has subscribers for the topic. All 32 bits are used, so it may be negative. */
  shardMask = 0;
  /** Of these shards those that keep what is for some of them in a store. */
  keptMask = 0;
  /** This shard does. */
  isKeptHere = false;
}

/** Words of a filter beside its holder. */
const FilterWord = {
  /** Shards with subscribers of the filter, a bit each. */
  shardMask: 0,
  /** Grant of the holder, if that is one subscriber. */
  grant: 1,
  /** Of the shards with subscribers those whose store keeps what is for some of them. */
  keptMask: 2,
  /** 1: the store of this shard does. */
  isKeptHere: 3,
} as const;
const FILTER_SHIFT = 2;
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
   * Subscribes, or replaces the grant of a subscription [MQTT-3.8.4-3]. The filter must be valid.
   * @returns true when this is the filter's first local subscriber.
   */
  subscribe(filterKey: string, subscriber: S, grant: Grant): boolean {
    const id = this.#idFor(filterKey);
    const grantAt = (id << FILTER_SHIFT) + FilterWord.grant;
    const holder = this.#holders[id]!;
    if (holder instanceof SubscriberList) {
      holder.set(subscriber, grant);
    } else if (holder === null || holder === subscriber) {
      this.#holders[id] = subscriber;
      this.#words[grantAt] = grant;
    } else {
      this.#holders[id] = new SubscriberList(holder, this.#words[grantAt]!, subscriber, grant);
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
        this.#words[(id << FILTER_SHIFT) + FilterWord.grant] = holder.grants[0]!;
      }
      return Unsubscribed.removed;
    }
    if (holder !== subscriber) return Unsubscribed.absent;
    this.#holders[id] = null;
    this.#words[(id << FILTER_SHIFT) + FilterWord.isKeptHere] = 0;
    this.#dropIfUnwanted(id);
    return Unsubscribed.last;
  }

  /** Notes that shard `shardIndex` (0 to 31) has subscribers of the filter. */
  addShard(filterKey: string, shardIndex: number): void {
    const id = this.#idFor(filterKey);
    this.#words[(id << FILTER_SHIFT) + FilterWord.shardMask]! |= 1 << shardIndex;
  }

  /**
   * Notes that shard `shardIndex`, which has subscribers of the filter, keeps what is for some of
   * them in a store: as long as it has any.
   */
  keepShard(filterKey: string, shardIndex: number): void {
    const at = this.#index.find(filterKey) << FILTER_SHIFT;
    const bit = (this.#words[at + FilterWord.shardMask] ?? 0) & (1 << shardIndex);
    this.#words[at + FilterWord.keptMask]! |= bit;
  }

  /** The filters that shard `shardIndex` keeps messages of in its store. */
  *filtersKeptBy(shardIndex: number): Generator<string, void, undefined> {
    for (let id = 1; id < this.#holders.length; id++) {
      const mask = this.#words[(id << FILTER_SHIFT) + FilterWord.keptMask]!;
      if (((mask >>> shardIndex) & 1) === 1) yield this.#index.keyOf(id);
    }
  }

  /** The same of this shard. @returns whether that is new. */
  keepHere(filterKey: string): boolean {
    const id = this.#index.find(filterKey);
    if (id === 0 || this.#holders[id] === null || this.isKeptHere(filterKey)) return false;
    this.#words[(id << FILTER_SHIFT) + FilterWord.isKeptHere] = 1;
    return true;
  }

  /** Whether this shard keeps what is for some subscriber of the filter in a store. */
  isKeptHere(filterKey: string): boolean {
    const at = this.#index.find(filterKey) << FILTER_SHIFT;
    return this.#words[at + FilterWord.isKeptHere] === 1;
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
   * Finds who wants a message of this topic, a valid topic name: every subscriber once, with what
   * its matching filters grant together [MQTT-3.3.5-1], and the shards with subscribers. Replaces
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
    result.keptMask = 0;
    result.isKeptHere = false;
    if (result.identifiers.length > 0) {
      result.identifiers.length = 0;
      result.ownIdentifiers.length = 0;
    }
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
    result.keptMask |= this.#words[at + FilterWord.keptMask]!;
    if (this.#words[at + FilterWord.isKeptHere] === 1) result.isKeptHere = true;
    const holder = this.#holders[id]!;
    if (holder === null) return;
    if (!(holder instanceof SubscriberList)) {
      merge(holder, this.#words[at + FilterWord.grant]!, result);
      return;
    }
    const { subscribers, grants } = holder;
    for (let i = 0; i < subscribers.length; i++) merge(subscribers[i]!, grants[i]!, result);
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
    this.#words[at + FilterWord.keptMask]! &= ~bit;
    this.#dropIfUnwanted(id);
    return true;
  }

  #dropIfUnwanted(id: number): void {
    const mask = this.#words[(id << FILTER_SHIFT) + FilterWord.shardMask]!;
    if (mask === 0 && this.#holders[id] === null) this.#index.remove(id);
  }
}

/**
 * Adds a subscriber, or what it is granted if it is in the result. Its scratch word may be left
 * from any match of any tree: it is believed only if that place of this result holds the
 * subscriber.
 */
function merge<S extends Subscriber>(subscriber: S, grant: Grant, result: MatchResult<S>): void {
  let at = subscriber.matchIndex;
  if (at < result.count && result.subscribers[at] === subscriber) {
    result.grants[at] = mergeGrants(result.grants[at]!, matchedGrant(grant));
  } else {
    at = result.count;
    subscriber.matchIndex = at;
    result.subscribers[at] = subscriber;
    result.grants[at] = matchedGrant(grant);
    result.count++;
  }
  const identifier = identifierOf(grant);
  if (identifier === 0) return;
  addIdentifier(result.identifiers, at, identifier);
  if ((grant & NO_LOCAL) === 0) addIdentifier(result.ownIdentifiers, at, identifier);
}

/** All that match are told, each as often as it matches [MQTT-3.3.4-4] [MQTT-3.3.4-5]. */
function addIdentifier(lists: (number[] | undefined)[], at: number, identifier: number): void {
  const list = lists[at];
  if (list === undefined) lists[at] = [identifier];
  else list.push(identifier);
}
