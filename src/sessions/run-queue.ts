/** A first-in-first-out queue of runs: 16 bytes an entry, nothing before the first one. */
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';

/** Entries of the first allocation: most queues never hold more. */
const CAPACITY_MIN = 4;
/** Puts the message count beside the header byte. */
const COUNT_SHIFT = 8;

const NO_RUNS: (Run | null)[] = [];
const NO_METAS: number[] = [];

/** An entry as plain data: only the messages that are still needed. */
export interface RunSnapshot {
  /** Whole frames, as in Run. */
  readonly bytes: Uint8Array;
  /** Header byte of the frames. */
  readonly header: number;
  /** Header byte to deliver with. */
  readonly deliveryHeader: number;
  readonly topicLength: number;
  readonly count: number;
}

/**
 * A ring of (run, header byte to deliver with, messages taken). The run objects are shared with
 * other queues and never changed. Entry 0 is the oldest. The ring doubles when it is full, and
 * halves when it has gone round once without having been more than a quarter full.
 */
export class RunQueue {
  /** Number of entries. */
  length = 0;
  #runs: (Run | null)[] = NO_RUNS;
  /** count << COUNT_SHIFT | header: a small integer, as a run has at most 65,536 messages. */
  #metas: number[] = NO_METAS;
  #first = 0;
  #mask = -1;
  /** The largest length since the ring last went round. */
  #peak = 0;

  /** Appends an entry: the first `count` messages of `run`, to be delivered with `header`. */
  push(run: Run, header: number, count: number): void {
    const capacity = this.#mask + 1;
    if (this.length === capacity) this.#resize(capacity === 0 ? CAPACITY_MIN : capacity * 2);
    const slot = (this.#first + this.length) & this.#mask;
    this.#runs[slot] = run;
    this.#metas[slot] = (count << COUNT_SHIFT) | header;
    this.length++;
    if (this.length > this.#peak) this.#peak = this.length;
  }

  /** The run of entry `index`, 0 <= index < length. */
  runAt(index: number): Run {
    return this.#runs[(this.#first + index) & this.#mask] as Run;
  }

  /** How many of its run's messages entry `index` stands for. */
  countAt(index: number): number {
    return this.#metas[(this.#first + index) & this.#mask] >> COUNT_SHIFT;
  }

  /** The PUBLISH header byte, without DUP, that entry `index` is delivered with. */
  headerAt(index: number): number {
    return this.#metas[(this.#first + index) & this.#mask] & 0xff;
  }

  /** Removes the oldest entry; the queue must not be empty. */
  shift(): void {
    this.#runs[this.#first] = null;
    this.#first = (this.#first + 1) & this.#mask;
    this.length--;
    if (this.#first > 0) return;
    const capacity = this.#mask + 1;
    if (capacity > CAPACITY_MIN && this.#peak <= capacity >> 2) this.#resize(capacity >> 1);
    this.#peak = this.length;
  }

  /** Gives the arrays of an empty queue back. */
  release(): void {
    if (this.length > 0) return;
    this.#runs = NO_RUNS;
    this.#metas = NO_METAS;
    this.#first = 0;
    this.#mask = -1;
    this.#peak = 0;
  }

  /** All entries as plain data, but for the first `skip` messages of entry 0. */
  snapshot(skip: number): RunSnapshot[] {
    const entries: RunSnapshot[] = [];
    for (let index = 0; index < this.length; index++) {
      const { bytes, header, topicLength, count } = this.runAt(index);
      const from = index === 0 ? skip : 0;
      const to = this.countAt(index);
      const start = framesEnd(bytes, 0, from);
      const end = to === count ? bytes.length : framesEnd(bytes, start, to - from);
      entries.push({
        bytes: bytes.subarray(start, end),
        header,
        deliveryHeader: this.headerAt(index),
        topicLength,
        count: to - from,
      });
    }
    return entries;
  }

  #resize(capacity: number): void {
    const runs = new Array<Run | null>(capacity).fill(null);
    const metas = new Array<number>(capacity).fill(0);
    for (let index = 0; index < this.length; index++) {
      const slot = (this.#first + index) & this.#mask;
      runs[index] = this.#runs[slot];
      metas[index] = this.#metas[slot];
    }
    this.#runs = runs;
    this.#metas = metas;
    this.#first = 0;
    this.#mask = capacity - 1;
  }
}

/** The run of a snapshot, which may have come through msgpackr or a structured clone. */
export function restoreRun({ bytes, header, topicLength, count }: RunSnapshot): Run {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return { bytes: buffer, header, topicLength, count };
}

/** The end of `count` frames that begin at `position`. */
export function framesEnd(bytes: Buffer, position: number, count: number): number {
  let end = position;
  for (let left = count; left > 0; left--) end = frameEnd(bytes, end);
  return end;
}
