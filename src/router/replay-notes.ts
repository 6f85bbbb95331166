/**
 * What the store has of a replay to a session that is kept there: a SUBACK goes out when it is on
 * disk that something is to follow, and so it does though the process ends meanwhile. Of what is
 * sent at QoS 2 each topic is noted, in the transaction that brings the message, and not sent again
 * [MQTT-4.3.3-1], nor what has come live; what was sent at QoS 0 and 1 of a filter comes again.
 */
import { randomInt } from 'node:crypto';
import { PiecewiseMap } from '../base/piecewise-map.js';
import type { Session } from '../sessions/session.js';
import { ReplayRow } from '../store/keys.js';
import type { OwedFilter } from '../store/stored-replay.js';

/** Where it stands on disk. All but `owed` do nothing for a session that is not kept. */
export interface ReplayRows {
  put(session: Session, kind: ReplayRow, generation: number, text: string, since: number): void;
  remove(session: Session, kind: ReplayRow, generation: number, text: string): void;
  /** All rows of the replay go. */
  end(session: Session, generation: number): void;
  /** The filters of which the session is still to be sent what is retained. */
  owed(session: Session): readonly OwedFilter[];
  /** The last SUBSCRIBE that a topic is not to be sent for; 0: there is none. */
  sentSince(session: Session, generation: number, topicKey: string): number;
}

/** SUBSCRIBEs that there may have been behind the last one that is known of, when a shard ended. */
const SUBSCRIBES_UNKNOWN = 2 ** 20;
/** Filters whose rows are removed one by one, where nothing else is noted. */
const FEW = 8;
/** Generations are below. */
const GENERATIONS = 2 ** 32;

/** One a replay. SUBSCRIBEs are counted from 1. */
export class ReplayNotes {
  readonly #rows: ReplayRows;
  readonly #session: Session;
  /** By filter: the last SUBSCRIBE that is noted of it. */
  readonly #promised = new PiecewiseMap<number>();
  /** Filters that are sent, but for topics that are asked for again. */
  readonly #finished = new Map<string, number>();
  /** There may be rows that are not of `#promised`. */
  #hasMore = false;
  /** What tells its rows from those of other replays of the session: one takes it over. */
  generation: number = randomInt(GENERATIONS);
  /** Of what SUBSCRIBEs up to this one have asked for, the store knows what was sent. */
  notedTo = 0;

  constructor(rows: ReplayRows, session: Session) {
    this.#rows = rows;
    this.#session = session;
  }

  /** Its SUBACK waits until this is on disk. */
  promise(filterKey: string, since: number): void {
    this.#promised.set(filterKey, since);
    this.#finished.delete(filterKey);
    this.#rows.put(this.#session, ReplayRow.filter, this.generation, filterKey, since);
  }

  /** A filter that another shard or process has noted. */
  adopt(filterKey: string, since: number, generation: number): void {
    this.#promised.set(filterKey, since);
    this.generation = generation;
    this.#hasMore = true;
  }

  /** The same, of one that has ended. @returns how many SUBSCRIBEs there may have been. */
  adoptStored({ filterKey, since, generation }: OwedFilter): number {
    this.adopt(filterKey, since, generation);
    this.notedTo = Math.max(this.notedTo, since);
    return since + SUBSCRIBES_UNKNOWN;
  }

  /** What a SUBSCRIBE, or an earlier one, has asked for of a filter is sent, or not wanted. */
  settle(filterKey: string, since: number): void {
    const promised = this.#promised.get(filterKey);
    if (promised === undefined || promised > since) return;
    this.#promised.delete(filterKey);
    this.#rows.remove(this.#session, ReplayRow.filter, this.generation, filterKey);
  }

  /** A filter is sent. @param asksAgain topics are asked for again, of this filter or another. */
  finish(filterKey: string, since: number, asksAgain: boolean): void {
    this.#finished.set(filterKey, since);
    if (asksAgain) return;
    for (const [each, before] of this.#finished) this.settle(each, before);
    this.#finished.clear();
  }

  /** A SUBSCRIBE is not acknowledged, and will not be. @param older the one before it, if any. */
  withdraw(filterKey: string, since: number, older: number | undefined): void {
    if (this.#promised.get(filterKey) !== since) return;
    if (older === undefined) this.settle(filterKey, since);
    else this.#promised.set(filterKey, older);
  }

  /** A topic's message was sent at QoS 2, or a newer one has come live. */
  noteSent(topicKey: string, since: number): void {
    this.#hasMore = true;
    this.#rows.put(this.#session, ReplayRow.topic, this.generation, topicKey, since);
  }

  /** Its newest was dropped: the replay brings it. */
  forgetSent(topicKey: string): void {
    if (!this.#hasMore) return;
    this.#rows.remove(this.#session, ReplayRow.topic, this.generation, topicKey);
  }

  /** Whether a topic is not to be sent for this SUBSCRIBE, where the store alone knows. */
  wasSent(topicKey: string, since: number): boolean {
    if (since > this.notedTo) return false;
    return this.#rows.sentSince(this.#session, this.generation, topicKey) >= since;
  }

  /** All is sent. */
  end(): void {
    if (this.#hasMore || this.#promised.size > FEW) {
      this.#rows.end(this.#session, this.generation);
      return;
    }
    for (const filterKey of this.#promised.keys()) {
      this.#rows.remove(this.#session, ReplayRow.filter, this.generation, filterKey);
    }
  }
}
