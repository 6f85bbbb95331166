/** Reads rows of a table some at a time, so that nothing is held in between. */
import type { RangeOptions } from 'lmdb';
import { STORE_READ_ROWS } from '../base/limits.js';
import type { Table } from './environment.js';
import type { Scan } from './scan.js';

export interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Before all keys: none is empty. */
export const FIRST_KEY: Buffer = Buffer.from([0]);

/** All rows, or those from `start` to before `end`, in order; what is committed as they come. */
export function* readRows(table: Table, start?: Buffer, end?: Buffer): Generator<Row> {
  let from = start ?? FIRST_KEY;
  let isBehind = false;
  for (;;) {
    const range: RangeOptions = { start: from, limit: STORE_READ_ROWS, exclusiveStart: isBehind };
    const found: Row[] = [...table.getRange(end === undefined ? range : { ...range, end })];
    yield* found;
    if (found.length < STORE_READ_ROWS) return;
    from = found[found.length - 1].key;
    isBehind = true;
  }
}

/** What is decoded of rows, likewise, with their keys as latin1 texts. */
export function* scanRows<V>(
  scan: Scan<V>,
  start?: Buffer,
  end?: Buffer,
): Generator<{ readonly key: string; readonly value: V }> {
  let from = (start ?? FIRST_KEY).toString('latin1');
  let isBehind = false;
  const to = end === undefined ? {} : { end: end.toString('latin1') };
  for (;;) {
    const range = { start: from, limit: STORE_READ_ROWS, exclusiveStart: isBehind, ...to };
    const found = [...scan.range(range)];
    yield* found;
    if (found.length < STORE_READ_ROWS) return;
    from = found[found.length - 1].key;
    isBehind = true;
  }
}

/** The last key of a range; null: it is empty. */
export function lastKeyOf(table: Table, start: Buffer, end?: Buffer): Buffer | null {
  const range = end === undefined ? {} : { start: end };
  const options = { ...range, end: start, inclusiveEnd: true, reverse: true, limit: 1 };
  for (const key of table.getKeys(options)) return key;
  return null;
}
