/**
 * SUBSCRIBEs of one session that the other shards have not confirmed yet: what is published with
 * RETAIN meanwhile may or may not come here, so it is left to the replay behind the SUBACK.
 */
import type { Session } from '../sessions/session.js';
import { matchesKey } from '../topics/topic.js';
import type { Opening } from './opening.js';
import { FILTERS_LOOKED_THROUGH, type Filters } from './replay-filters.js';

/** A SUBSCRIBE whose SUBACK waits for other shards. */
export interface Unconfirmed {
  readonly filters: Filters;
  readonly since: number;
  /**
   * Of them those that the session did not have, or that were unconfirmed too; null: it has too
   * many filters to hold anything back, or too many hold something back already.
   */
  readonly fresh: Set<string> | null;
  /** Of the filters those unsubscribed since; null: none, or there are too many. */
  left: Set<string> | null;
  /** What other shards are asked for before the SUBACK; null: nothing. */
  opening: Opening | null;
}

export class UnconfirmedSubscribes {
  readonly #session: Session;
  readonly #all: Unconfirmed[] = [];
  /** Those of them that hold anything back: few, where there may be 16,000. */
  readonly #holding: Unconfirmed[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  get all(): readonly Unconfirmed[] {
    return this.#all;
  }

  /** @param since which SUBSCRIBE of the replay it is. */
  add(filters: Filters, since: number): Unconfirmed {
    const { subscriptions } = this.#session;
    let fresh: Set<string> | null = null;
    const most = Math.max(filters.length, subscriptions.size, this.#holding.length + 1);
    if (most <= FILTERS_LOOKED_THROUGH) {
      fresh = new Set();
      for (const [filterKey] of filters) {
        if (!subscriptions.has(filterKey) || this.#isFresh(filterKey)) fresh.add(filterKey);
      }
    }
    const unconfirmed: Unconfirmed = { filters, since, fresh, left: null, opening: null };
    this.#all.push(unconfirmed);
    if (fresh !== null) this.#holding.push(unconfirmed);
    return unconfirmed;
  }

  #isFresh(filterKey: string): boolean {
    return this.#holding.some(({ fresh }) => fresh?.has(filterKey) === true);
  }

  /** A filter is unsubscribed: an earlier SUBSCRIBE begins nothing any more. */
  noteLeft(filterKey: string): void {
    for (const unconfirmed of this.#holding) {
      if (!unconfirmed.filters.some(([each]) => each === filterKey)) continue;
      unconfirmed.left ??= new Set();
      unconfirmed.left.add(filterKey);
    }
  }

  /** The SUBACK of a SUBSCRIBE has gone out. @returns null: it is none of these. */
  confirm(filters: Filters): Unconfirmed | null {
    const at = this.#all.findIndex((each) => each.filters === filters);
    if (at < 0) return null;
    const [confirmed] = this.#all.splice(at, 1) as [Unconfirmed];
    const held = this.#holding.indexOf(confirmed);
    if (held >= 0) this.#holding.splice(held, 1);
    // What is published from here on comes live, whatever later SUBSCRIBEs of it wait for.
    for (const [filterKey] of filters) {
      if (confirmed.left?.has(filterKey) === true) continue;
      for (const { fresh } of this.#holding) fresh?.delete(filterKey);
    }
    return confirmed;
  }

  /** See ReplayGuard. */
  isHeldBack(topicKey: string): boolean {
    const { subscriptions } = this.#session;
    if (this.#all.length === 0 || subscriptions.size > FILTERS_LOOKED_THROUGH) return false;
    let isFound = false;
    for (const filterKey of subscriptions.keys()) {
      if (!matchesKey(filterKey, topicKey)) continue;
      if (!this.#isFresh(filterKey)) return false;
      isFound = true;
    }
    return isFound;
  }

  /** Whether an opening wants the newest of a topic. */
  wants(topicKey: string, isLocal: boolean): boolean {
    return this.#holding.some(({ opening }) => opening?.wants(topicKey, isLocal) === true);
  }

  /** Those that do. */
  wanting(topicKey: string, isLocal: boolean): Opening[] {
    const wanting: Opening[] = [];
    for (const { opening } of this.#holding) {
      if (opening?.wants(topicKey, isLocal) === true) wanting.push(opening);
    }
    return wanting;
  }

  clear(): void {
    this.#all.length = 0;
    this.#holding.length = 0;
  }
}
