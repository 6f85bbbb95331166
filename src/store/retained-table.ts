/**
 * Retained messages on disk, in the order of their rows' keys: one by its topic, or those of a
 * filter, some at a time. Topics of all shards stand there together; each sees its own.
 */
import {
  KEY_TEXT_BYTES_MAX,
  RETAINED_ROW_STEPS,
  RETAINED_ROWS_PASSED,
  RETAINED_SEEK_STEPS,
  RETAINED_SLICE_BYTES,
  RETAINED_SLICE_MESSAGES,
  RETAINED_SLICE_ROW_BYTES,
  RETAINED_SLICE_ROWS,
  RETAINED_STEP_BYTES,
} from '../base/limits.js';
import { behindTopic, type FilterRange } from '../topics/filter-range.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import { matchesKey } from '../topics/topic.js';
import { retainedKeyFrom } from './keys.js';
import type { InPlaceDecoder, Scan } from './scan.js';
import { lengthOfRetained, messageOfRetained, topicKeyOfRetained } from './stored-retained.js';

/** Messages, and their characters as router/retained-message.ts has them. */
export interface RetainedTotals {
  messages: number;
  bytes: number;
}

/** What a look at the table wants, and what it has come to. */
export interface Slice {
  readonly range: FilterRange;
  /** Rows behind this one are left; null: none. */
  readonly to: string | null;
  /** Rows that are left out; null: none is. */
  readonly hidden: { get(rowKey: string): object | undefined } | null;
  /** In the order of their rows. */
  readonly found: RetainedMatch<string>[];
  /** What it has cost, in levels. */
  steps: number;
}

/** What is left of what a look may have. */
interface Budget {
  rows: number;
  bytes: number;
}

/** Before all keys: none is empty, or has such a character. */
const FIRST_ROW = '\0';

/** One a shard. Reads what is committed: see StoreReader. */
export class RetainedTable {
  readonly #rows: Scan<string | null>;
  readonly #isOwn: ((topicKey: string) => boolean) | null;
  /** Of the row that was read last. */
  #topicKey = '';
  /** What rows are looked for; null: all are read. */
  #range: FilterRange | null = null;
  /** No row before it is wanted; null: none behind it is either. */
  #wantedFrom: string | null = '';
  #rowBytes = 0;
  /** The row that is read is named, and no key is read before it. */
  #isOneRow = false;

  /**
   * @param scan the table of retained messages.
   * @param isOwn whether a topic is this shard's; null: all are.
   */
  constructor(
    scan: (decode: InPlaceDecoder<string | null>) => Scan<string | null>,
    isOwn: ((topicKey: string) => boolean) | null,
  ) {
    this.#isOwn = isOwn;
    this.#rows = scan((memory, length, rowKey) => this.#decode(memory, length, rowKey));
  }

  get(rowKey: string): string | undefined {
    this.#isOneRow = true;
    const message = this.#rows.get(rowKey) ?? undefined;
    this.#isOneRow = false;
    return message;
  }

  /** How long the message is; 0: there is none. */
  lengthOf(rowKey: string): number {
    const row = this.#rows.getBytes(rowKey);
    return row === undefined ? 0 : lengthOfRetained(row);
  }

  /**
   * Looks at some of what there is of a filter.
   * @param from the first row, or where that would stand.
   * @returns where to go on; null: nothing more is wanted.
   */
  read(from: string, slice: Slice): string | null {
    const first = retainedKeyFrom(slice.range.start);
    let start: string | null = from < first ? first : from;
    const budget: Budget = { rows: RETAINED_SLICE_ROWS, bytes: RETAINED_SLICE_BYTES };
    this.#range = slice.range;
    this.#rowBytes = 0;
    for (let isAtEnd = false; start !== null && !isAtEnd; ) {
      slice.steps += RETAINED_SEEK_STEPS;
      start = this.#readFrom(start, slice, budget);
      isAtEnd = this.#isSpent(budget);
    }
    slice.steps += this.#rowBytes / RETAINED_STEP_BYTES;
    return start;
  }

  /** @returns where to go on; null: nowhere. */
  #readFrom(start: string, slice: Slice, budget: Budget): string | null {
    const { to, found, hidden } = slice;
    this.#wantedFrom = start;
    let passed = 0;
    for (const { key, value } of this.#rows.range({ start: start || FIRST_ROW })) {
      if (to !== null && key > to) return null;
      slice.steps += RETAINED_ROW_STEPS;
      budget.rows--;
      if (value !== null && hidden?.get(key) === undefined) {
        // A long one is read by itself, and is kept by nobody.
        if (found.length > 0 && value.length > budget.bytes) {
          budget.bytes = 0;
          return key;
        }
        budget.bytes -= key.length + value.length;
        if (found.push([this.#topicKey, value]) >= RETAINED_SLICE_MESSAGES) budget.rows = 0;
      }
      const wanted = this.#wantedFrom;
      if (wanted === null) return null;
      passed = wanted > key ? passed + 1 : 0;
      if (passed > RETAINED_ROWS_PASSED || this.#isSpent(budget)) {
        return wanted > key ? wanted : behindTopic(key);
      }
    }
    return null;
  }

  #isSpent({ rows, bytes }: Budget): boolean {
    return rows <= 0 || bytes <= 0 || this.#rowBytes >= RETAINED_SLICE_ROW_BYTES;
  }

  /** Counts this shard's, some at a time. */
  *totals(rowsAtATime: number): Generator<RetainedTotals> {
    for (let start: string | null = FIRST_ROW; start !== null; ) {
      const totals = { messages: 0, bytes: 0 };
      start = this.#count(start, rowsAtATime, totals);
      yield totals;
    }
  }

  /** @returns where to go on; null: nowhere. */
  #count(start: string, limit: number, totals: RetainedTotals): string | null {
    let rows = 0;
    let last = start;
    this.#range = null;
    for (const { key, value } of this.#rows.range({ start, limit })) {
      rows++;
      last = key;
      if (value === null) continue;
      totals.messages++;
      totals.bytes += value.length;
    }
    return rows < limit ? null : behindTopic(last);
  }

  /** @returns null for what is not wanted. */
  #decode(memory: Buffer, length: number, rowKey: string): string | null {
    if (this.#isOneRow) return messageOfRetained(memory, length);
    const range = this.#range;
    this.#rowBytes += length;
    if (range === null) return this.#readOwn(memory, length, rowKey);
    if (this.#wantedFrom === null || rowKey < this.#wantedFrom) return null;
    if (rowKey.length > KEY_TEXT_BYTES_MAX) {
      const isWanted = matchesKey(range.filterKey, topicKeyOfRetained(memory, length));
      return isWanted ? this.#readOwn(memory, length, rowKey) : null;
    }
    if (range.admits(rowKey)) return this.#readOwn(memory, length, rowKey);
    this.#wantedFrom = range.next === null ? null : retainedKeyFrom(range.next);
    return null;
  }

  #readOwn(memory: Buffer, length: number, rowKey: string): string | null {
    const isLong = rowKey.length > KEY_TEXT_BYTES_MAX;
    this.#topicKey = isLong ? topicKeyOfRetained(memory, length) : rowKey;
    return this.#isOwn?.(this.#topicKey) === false ? null : messageOfRetained(memory, length);
  }
}
