/**
 * An entry of a session's queue as its row has it:
 *
 *     byte  0   where its run is: in this row, or in a row of its own
 *           1   delivery header
 *           2   count (varint)
 *               Subscription Identifiers, number of (varint), then each (varint)
 *               group, bytes of (varint), then its key (latin1); 0 is none
 *               the run (stored-run.ts), or its number (6 bytes, big-endian)
 */
import type { Run } from '../protocol/run.js';
import { NUMBER_BYTES } from './keys.js';
import { readRun } from './stored-run.js';

/** First byte of a row. */
export const RunPlace = { inRow: 0, ofItsOwn: 1 } as const;

/** Messages of a queue that are of one run. */
export interface StoredEntry {
  /** Of the first of them. */
  readonly position: number;
  readonly run: Run;
  readonly deliveryHeader: number;
  readonly count: number;
  readonly identifiers: readonly number[];
  /** '': none. */
  readonly group: string;
}

/** What a row says. */
export interface EntryRow {
  readonly deliveryHeader: number;
  readonly count: number;
  readonly identifiers: readonly number[];
  readonly group: string;
  /** The run's number; -1: it stands in the row. */
  readonly runNumber: number;
  /** Where the run begins, or its number. */
  readonly runAt: number;
}

/** How many messages an entry has, whose delivery header stands `at` a place of a segment. */
export function countOfEntry(segment: Buffer, at: number): number {
  return readVarint(segment, { index: at + 1 });
}

/** Reads what stands before the run. @throws RangeError when it is not whole. */
export function readEntryRow(row: Buffer): EntryRow {
  const place = row.readUInt8(0);
  const at = { index: 2 };
  const deliveryHeader = row.readUInt8(1);
  const count = readVarint(row, at);
  const identifiers = new Array<number>(Math.min(readVarint(row, at), row.length));
  for (let n = 0; n < identifiers.length; n++) identifiers[n] = readVarint(row, at);
  const groupLength = readVarint(row, at);
  const runAt = at.index + groupLength;
  const group = groupLength === 0 ? '' : row.toString('latin1', at.index, runAt);
  if (runAt > row.length) throw new RangeError('the group of an entry is cut off');
  const runNumber = place === RunPlace.inRow ? -1 : row.readUIntBE(runAt, NUMBER_BYTES);
  return { deliveryHeader, count, identifiers, group, runNumber, runAt };
}

/** The run of a row that has it. @throws RangeError when it has no whole head. */
export function runInRow(row: Buffer, { runAt }: EntryRow): Run {
  return readRun(row.subarray(runAt));
}

function readVarint(bytes: Buffer, at: { index: number }): number {
  let value = 0;
  for (let scale = 1; scale < 2 ** 35; scale *= 128) {
    const byte = bytes.readUInt8(at.index++);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  throw new RangeError('a number of an entry is too long');
}
