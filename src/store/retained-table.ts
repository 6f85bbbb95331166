/**
 * Retained messages on disk, in some parts, and in each in the order of their names: one by its
 * topic, or those of a filter, some at a time. Each shard sees its own topics.
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
import { behindTopic, FIRST_TOPIC, type FilterRange } from '../topics/filter-range.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import { matchesKey } from '../topics/topic.js';
import type { Environment, Scan } from './environment.js';
import { RETAINED_NAME_AT, RETAINED_PARTS, retainedKey, retainedNameOf } from './keys.js';
import { lengthOfRetained, messageOfRetained, topicKeyOfRetained } from './stored-retained.js';

/** Messages, and their characters as router/retained-message.ts has them. */
export interface RetainedTotals {
  messages: number;
  bytes: number;
}

/** What a look at a part wants, and what it has come to. */
export interface Slice {
  readonly part: number;
  readonly range: FilterRange;
  /** Names behind this one are left; null: none. */
  readonly to: string | null;
  /** Names that are left out; null: none is. */
  readonly hidden: { get(name: string): object | undefined } | null;
  /** In the order of their names. */
  readonly found: RetainedMatch<string>[];
  /** What it has cost, in levels. */
  steps: number;
}

/** What is left of what a look may have. */
interface Budget {
  rows: number;
  bytes: number;
}

/** Of a topic, what its row is called within its part. */
export const nameOf: (topicKey: string) => string = retainedNameOf;

/** The parts that a shard's topics are in. */
function partsOf(shardIndex: number, shardCount: number): number[] {
  let common = RETAINED_PARTS;
  while (shardCount % common !== 0) common /= 2;
  const parts = Array.from({ length: RETAINED_PARTS }, (_, part) => part);
  return parts.filter((part) => part % common === shardIndex % common);
}

/** One a shard. Reads what is committed: see StoreReader. */
export class RetainedTable {
  /** Where this shard's topics are. */
  readonly parts: readonly number[];
  readonly #rows: Scan<string | null>;
  /** Null: all in these parts are this shard's. */
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

  /** @param isOwn whether a topic is this shard's, by its hash modulo their number. */
  constructor(
    environment: Environment,
    shardIndex: number,
    shardCount: number,
    isOwn: (topicKey: string) => boolean,
  ) {
    this.parts = partsOf(shardIndex, shardCount);
    this.#isOwn = RETAINED_PARTS % shardCount === 0 ? null : isOwn;
    const decode = (row: Buffer, name: string) => this.#decode(row, name);
    this.#rows = environment.scan('retained', decode, RETAINED_NAME_AT);
  }

  get(part: number, name: string): string | undefined {
    this.#isOneRow = true;
    const message = this.#rows.get(retainedKey(part, name)) ?? undefined;
    this.#isOneRow = false;
    return message;
  }

  /** How long the message is; 0: there is none. */
  lengthOf(part: number, name: string): number {
    const row = this.#rows.getBytes(retainedKey(part, name));
    return row === undefined ? 0 : lengthOfRetained(row);
  }

  /**
   * Looks at some of what a part has of a filter.
   * @param from the first name, or where that would stand.
   * @returns where to go on; null: nothing more is wanted.
   */
  read(from: string, slice: Slice): string | null {
    const first = cutOff(slice.range.start);
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
    for (const { key: name, value } of this.#rows.range(rangeFrom(slice.part, start))) {
      if (to !== null && name > to) return null;
      slice.steps += RETAINED_ROW_STEPS;
      budget.rows--;
      if (value !== null && hidden?.get(name) === undefined) {
        // A long one is read by itself, and is kept by nobody.
        if (found.length > 0 && value.length > budget.bytes) {
          budget.bytes = 0;
          return name;
        }
        budget.bytes -= name.length + value.length;
        if (found.push([this.#topicKey, value]) >= RETAINED_SLICE_MESSAGES) budget.rows = 0;
      }
      const wanted = this.#wantedFrom;
      if (wanted === null) return null;
      passed = wanted > name ? passed + 1 : 0;
      if (passed > RETAINED_ROWS_PASSED || this.#isSpent(budget)) {
        return wanted > name ? wanted : behindTopic(name);
      }
    }
    return null;
  }

  #isSpent({ rows, bytes }: Budget): boolean {
    return rows <= 0 || bytes <= 0 || this.#rowBytes >= RETAINED_SLICE_ROW_BYTES;
  }

  /** Counts this shard's, some at a time. */
  *totals(rowsAtATime: number): Generator<RetainedTotals> {
    for (const part of this.parts) {
      for (let from: string | null = FIRST_TOPIC; from !== null; ) {
        const totals = { messages: 0, bytes: 0 };
        from = this.#count(part, from, rowsAtATime, totals);
        yield totals;
      }
    }
  }

  /** @returns where to go on; null: nowhere. */
  #count(part: number, from: string, limit: number, totals: RetainedTotals): string | null {
    let rows = 0;
    let last = from;
    this.#range = null;
    for (const { key: name, value } of this.#rows.range({ ...rangeFrom(part, from), limit })) {
      rows++;
      last = name;
      if (value === null) continue;
      totals.messages++;
      totals.bytes += value.length;
    }
    return rows < limit ? null : behindTopic(last);
  }

  /** @returns null for what is not wanted. */
  #decode(row: Buffer, name: string): string | null {
    if (this.#isOneRow) return messageOfRetained(row);
    const range = this.#range;
    this.#rowBytes += row.length;
    if (range === null) return this.#readOwn(row, name);
    if (this.#wantedFrom === null || name < this.#wantedFrom) return null;
    if (name.length > KEY_TEXT_BYTES_MAX) {
      const isWanted = matchesKey(range.filterKey, topicKeyOfRetained(row));
      return isWanted ? this.#readOwn(row, name) : null;
    }
    if (range.admits(name)) return this.#readOwn(row, name);
    this.#wantedFrom = range.next === null ? null : cutOff(range.next);
    return null;
  }

  #readOwn(row: Buffer, name: string): string | null {
    this.#topicKey = name.length > KEY_TEXT_BYTES_MAX ? topicKeyOfRetained(row) : name;
    return this.#isOwn?.(this.#topicKey) === false ? null : messageOfRetained(row);
  }
}

function rangeFrom(part: number, name: string): { start: string; end: string } {
  return { start: retainedKey(part, name), end: retainedKey(part + 1, FIRST_TOPIC) };
}

/** No row of a topic that stands at a name or behind it stands before what this makes of that. */
function cutOff(name: string): string {
  return name.length > KEY_TEXT_BYTES_MAX ? name.slice(0, KEY_TEXT_BYTES_MAX) : name;
}
