/** A first-in-first-out queue of runs: 16 bytes an entry, nothing before the first one. */
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import type { QueuedTotal } from './queued-total.js';

/** Entries of the first allocation: most queues never hold more. */
const CAPACITY_MIN = 4;
/** Puts the message count beside the header byte. */
const COUNT_SHIFT = 8;

const NO_RUNS: (Run | null)[] = [];
const NO_METAS: number[] = [];

/** A run on its way from one window to another: the frames in `bytes[start, end)`. */
export interface MovedRun extends Run {
  readonly start: number;
  readonly end: number;
  /** Header byte to deliver with. */
  readonly deliveryHeader: number;
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
  readonly #total: QueuedTotal;

  /** @param total of the shard: what this queue holds counts. */
  constructor(total: QueuedTotal) {
    this.#total = total;
  }

  /** Appends an entry: the first `count` messages of `run`, to be delivered with `header`. */
  push(run: Run, header: number, count: number): void {
    const capacity = this.#mask + 1;
    if (this.length === capacity) this.#resize(capacity === 0 ? CAPACITY_MIN : capacity * 2);
    const slot = (this.#first + this.length) & this.#mask;
    this.#runs[slot] = run;
    this.#total.hold(run);
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
    this.#total.letGo(this.#runs[this.#first] as Run);
    this.#runs[this.#first] = null;
    this.#first = (this.#first + 1) & this.#mask;
    this.length--;
    if (this.#first > 0) return;
    const capacity = this.#mask + 1;
    if (capacity > CAPACITY_MIN && this.#peak <= capacity >> 2) this.#resize(capacity >> 1);
    this.#peak = this.length;
  }

  /** Removes all entries. */
  clear(): void {
    for (let index = 0; index < this.length; index++) this.#total.letGo(this.runAt(index));
    this.length = 0;
    this.release();
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

  /** Bytes of the messages that entry `index` stands for. */
  bytesAt(index: number): number {
    const { bytes, count } = this.runAt(index);
    const taken = this.countAt(index);
    return taken === count ? bytes.length : framesEnd(bytes, 0, taken);
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

/** The end of `count` frames that begin at `position`. */
export function framesEnd(bytes: Buffer, position: number, count: number): number {
  let end = position;
  for (let left = count; left > 0; left--) end = frameEnd(bytes, end);
  return end;
}

/** How many of the `count` frames at `position` fit `room` bytes. */
export function framesWithin(bytes: Buffer, position: number, count: number, room: number): number {
  const limit = position + room;
  let end = position;
  for (let frames = 0; frames < count; frames++) {
    end = frameEnd(bytes, end);
    if (end > limit) return frames;
  }
  return count;
}
