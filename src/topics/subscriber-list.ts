/**
 * The subscribers of a filter that has more than one, as parallel arrays: a match runs through them
 * in a plain loop. A long list also knows each subscriber's position, so that joining and leaving a
 * filter with 100,000 subscribers is no search.
 */

import type { Grant } from './grant.js';

/**
 * From this length on a list keeps positions; below, a search of a few words is cheaper than a Map.
 */
const POSITIONS_FROM = 32;
/**
 * Positions are given up well below POSITIONS_FROM, so that one subscriber coming and going is no
 * work.
 */
const POSITIONS_UNTIL = 16;

export class SubscriberList<S> {
  readonly subscribers: S[];
  /** Grant of the subscriber at the same index. */
  readonly grants: Grant[];
  private positions: Map<S, number> | null = null;

  /** A list of two different subscribers: one alone needs no list. */
  constructor(first: S, firstGrant: Grant, second: S, secondGrant: Grant) {
    this.subscribers = [first, second];
    this.grants = [firstGrant, secondGrant];
  }

  /** Adds a subscriber or, if it is here, replaces its grant [MQTT-3.8.4-3]. */
  set(subscriber: S, grant: Grant): void {
    const at = this.indexOf(subscriber);
    if (at >= 0) {
      this.grants[at] = grant;
      return;
    }
    const count = this.subscribers.push(subscriber);
    this.grants.push(grant);
    if (this.positions !== null) this.positions.set(subscriber, count - 1);
    else if (count >= POSITIONS_FROM) this.positions = positionsOf(this.subscribers);
  }

  /** Removes a subscriber; the last one takes its place. @returns false when it is not here. */
  delete(subscriber: S): boolean {
    const at = this.indexOf(subscriber);
    if (at < 0) return false;
    const last = this.subscribers.pop()!;
    const lastGrant = this.grants.pop()!;
    this.positions?.delete(subscriber);
    if (at < this.subscribers.length) {
      this.subscribers[at] = last;
      this.grants[at] = lastGrant;
      this.positions?.set(last, at);
    }
    if (this.subscribers.length <= POSITIONS_UNTIL) this.positions = null;
    return true;
  }

  private indexOf(subscriber: S): number {
    if (this.positions === null) return this.subscribers.indexOf(subscriber);
    return this.positions.get(subscriber) ?? -1;
  }
}

function positionsOf<S>(subscribers: readonly S[]): Map<S, number> {
  const positions = new Map<S, number>();
  for (let i = 0; i < subscribers.length; i++) positions.set(subscribers[i]!, i);
  return positions;
}
