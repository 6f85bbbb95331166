/**
 * What becomes of what is on disk of a session's replays (stored-replay.ts). A session has one
 * replay at a time; topics of one that has ended go some at a time, and generations tell them from
 * those of the next.
 */
import { STORE_DROPPED_ROWS, STORE_READ_ROWS } from '../base/limits.js';
import type { Table } from './environment.js';
import {
  behindAll,
  endedKey,
  kindsStart,
  owedKey,
  ReplayRow,
  sentKey,
  topicsOfEnded,
} from './keys.js';
import { readRows } from './read-rows.js';
import { owedRow, sentRow } from './stored-replay.js';

const REMOVED = -1;
const NO_BYTES = Buffer.from([0]);

/** Of one session, what a transaction changes. */
export class ReplayChanges {
  /** Generations of replays that have ended. */
  readonly ended = new Set<number>();
  /** By filter: the SUBSCRIBE; REMOVED: it goes. */
  readonly #filters = new Map<string, number>();
  /** By topic, likewise. */
  readonly #topics = new Map<string, number>();
  /** Of all of these: what was of others has ended. */
  #generation = 0;

  put(kind: ReplayRow, generation: number, text: string, since: number): void {
    this.#generation = generation;
    this.#of(kind).set(text, since);
  }

  remove(kind: ReplayRow, generation: number, text: string): void {
    this.#generation = generation;
    this.#of(kind).set(text, REMOVED);
  }

  end(generation: number): void {
    this.ended.add(generation);
    this.#filters.clear();
    this.#topics.clear();
  }

  /** What is on disk of replays that have ended must have gone before. */
  write(table: Table, session: number): void {
    const generation = this.#generation;
    for (const [filterKey, since] of this.#filters) {
      const key = owedKey(session, filterKey);
      if (since === REMOVED) table.removeSync(key);
      else table.putSync(key, owedRow(filterKey, since, generation));
    }
    for (const [topicKey, since] of this.#topics) {
      const key = sentKey(session, generation, topicKey);
      if (since === REMOVED) table.removeSync(key);
      else table.putSync(key, sentRow(topicKey, since));
    }
  }

  #of(kind: ReplayRow): Map<string, number> {
    return kind === ReplayRow.filter ? this.#filters : this.#topics;
  }
}

/** Takes rows of replays away, of many topics no more at a time than others wait for. */
export class EndedReplays {
  readonly #table: Table;
  /** Keys of those whose topics are on their way out, in latin1. */
  #ended: Set<string>;
  /** What they are when the transaction has succeeded. */
  #endedThen: Set<string>;

  constructor(table: Table) {
    this.#table = table;
    const rows = readRows(table, kindsStart(ReplayRow.ended), kindsStart(ReplayRow.ended + 1));
    this.#ended = new Set(Array.from(rows, ({ key }) => key.toString('latin1')));
    this.#endedThen = this.#ended;
  }

  get areAny(): boolean {
    return this.#ended.size > 0;
  }

  /** A transaction begins. */
  begin(): void {
    this.#endedThen = new Set(this.#ended);
  }

  /** It has succeeded. */
  onWritten(): void {
    this.#ended = this.#endedThen;
  }

  /** All filters of a session go, and topics of one replay, or of all. */
  remove(session: number, generation: number | null): void {
    const filters = owedKey(session);
    while (!this.#removeSome(filters, STORE_READ_ROWS));
    const key = endedKey(session, generation);
    if (this.#removeSome(topicsOfEnded(key), STORE_DROPPED_ROWS)) return;
    this.#table.putSync(key, NO_BYTES);
    this.#endedThen.add(key.toString('latin1'));
  }

  /** Takes away some more of one that has ended before. */
  sweep(): void {
    for (const text of this.#ended) {
      const key = Buffer.from(text, 'latin1');
      if (!this.#removeSome(topicsOfEnded(key), STORE_DROPPED_ROWS)) return;
      this.#table.removeSync(key);
      this.#endedThen.delete(text);
      return;
    }
  }

  /** @returns whether all whose keys begin so are gone. */
  #removeSome(start: Buffer, limit: number): boolean {
    const found = [...this.#table.getKeys({ start, end: behindAll(start), limit })];
    for (const key of found) this.#table.removeSync(key);
    return found.length < limit;
  }
}
