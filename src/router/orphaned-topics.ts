/**
 * Topics whose messages a shard keeps that has died: they wait until its successor has found who
 * they are for, or they would be acknowledged and kept by nobody.
 */

import { MatchResult, type Subscriber, SubscriptionTree } from '../topics/subscription-tree.js';
import type { OrphanedFilters } from './records.js';

/** Stands for whoever had subscribed there. */
const SOMEBODY: Subscriber = { matchIndex: 0 };

/** One a shard. */
export class OrphanedTopics {
  readonly #filters = new Map<number, SubscriptionTree<Subscriber>>();
  /** By shard. */
  readonly #deaths = new Map<number, number>();
  readonly #match = new MatchResult<Subscriber>();

  /** There are some. */
  get areAny(): boolean {
    return this.#filters.size > 0;
  }

  hasShard(shardIndex: number): boolean {
    return this.#filters.has(shardIndex);
  }

  onDeath(shardIndex: number): void {
    this.#deaths.set(shardIndex, this.deathsOf(shardIndex) + 1);
  }

  /** How often shards of this index have died. */
  deathsOf(shardIndex: number): number {
    return this.#deaths.get(shardIndex) ?? 0;
  }

  /** A shard has died that had these filters. */
  add(shardIndex: number, filterKeys: Iterable<string>): void {
    const tree = this.#filters.get(shardIndex) ?? new SubscriptionTree<Subscriber>();
    for (const filterKey of filterKeys) tree.subscribe(filterKey, SOMEBODY, 0);
    this.#filters.set(shardIndex, tree);
  }

  /**
   * Another shard has heard of a death, perhaps before this one: sessions of its were leaving for
   * that shard, which it lets go of when all know of their filters.
   */
  onTold({ shard, filters }: OrphanedFilters): void {
    // They are not the last one's, should that have a successor just now.
    this.onDeath(shard);
    this.add(shard, filters);
  }

  /** Its successor has found its sessions. */
  remove(shardIndex: number): void {
    this.#filters.delete(shardIndex);
  }

  /** @param retainedOwner the shard that keeps what the message retains; -1: it retains nothing. */
  has(topicKey: string, retainedOwner: number): boolean {
    if (this.#filters.has(retainedOwner)) return true;
    for (const tree of this.#filters.values()) {
      tree.match(topicKey, this.#match);
      if (this.#match.count > 0) return true;
    }
    return false;
  }
}
