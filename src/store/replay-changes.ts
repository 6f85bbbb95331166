/**
 * What of a session's replays is on disk: the filters of which retained messages are still to be
 * sent, and topics that are not to be sent again, each with the number of the SUBSCRIBE that it is
 * of. A row is that number (4 bytes, little-endian), of a filter the generation of the replay (4
 * bytes), and the filter key or topic key (latin1). A session has one replay at a time; topics of
 * one that has ended go some at a time, and generations tell them from those of the next.
 */
import { STORE_DROPPED_ROWS, STORE_READ_ROWS } from '../base/limits.js';
import type { Table } from './environment.js';
import {
  behindAll,
  endedKey,
  owedKey,
  ReplayRow,
  replaysStart,
  sentKey,
  topicsOfEnded,
} from './keys.js';
import { readRows } from './read-rows.js';

/** A filter that a session is owed of. */
export interface OwedFilter {
  readonly filterKey: string;
  /** Which SUBSCRIBE has asked. */
  readonly since: number;
  readonly generation: number;
}

/** A topic that is not to be sent again. */
export interface SentTopic {
  readonly topicKey: string;
  readonly since: number;
}

const WORD: number = Uint32Array.BYTES_PER_ELEMENT;
const TOPIC_AT = WORD;
const FILTER_AT = 2 * WORD;
const REMOVED = -1;
const NO_BYTES = Buffer.from([0]);

/** @throws RangeError when the row is cut off. */
export function readOwed(row: Buffer): OwedFilter {
  checkLength(row, FILTER_AT);
  const filterKey = row.toString('latin1', FILTER_AT, row.length);
  return { filterKey, since: row.readUInt32LE(0), generation: row.readUInt32LE(WORD) };
}

/** @throws RangeError when the row is cut off. */
export function readSent(row: Buffer): SentTopic {
  checkLength(row, TOPIC_AT);
  return { topicKey: row.toString('latin1', TOPIC_AT, row.length), since: row.readUInt32LE(0) };
}

function checkLength({ length }: Buffer, bytes: number): void {
  if (length < bytes) throw new RangeError('a row of a replay is cut off');
}

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
      else table.putSync(key, rowOf([since, generation], filterKey));
    }
    for (const [topicKey, since] of this.#topics) {
      const key = sentKey(session, generation, topicKey);
      if (since === REMOVED) table.removeSync(key);
      else table.putSync(key, rowOf([since], topicKey));
    }
  }

  #of(kind: ReplayRow): Map<string, number> {
    return kind === ReplayRow.filter ? this.#filters : this.#topics;
  }
}

function rowOf(words: readonly number[], text: string): Buffer {
  const textAt = words.length * WORD;
  const row = Buffer.allocUnsafe(textAt + text.length);
  for (let index = 0; index < words.length; index++) {
    row.writeUInt32LE(words[index]!, index * WORD);
  }
  row.write(text, textAt, 'latin1');
  return row;
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
    const rows = readRows(table, replaysStart(ReplayRow.ended), replaysStart(ReplayRow.ended + 1));
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
