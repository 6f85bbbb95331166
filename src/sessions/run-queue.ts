/** A first-in-first-out queue of runs: 16 bytes an entry, nothing before the first one. */
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import type { QueuedTotal } from './queued-total.js';

/** Entries of the first allocation: most queues never hold more. */
const CAPACITY_MIN = 4;
/**
 * Entries of the ring at most, a power of two; what comes behind waits in blocks of as many. Were
 * the ring to double on, a thousand queues with the same runs would all copy their entries within
 * one delivery, for hundreds of milliseconds.
 */
const BLOCK_ENTRIES = 128;
const BLOCK_SHIFT = 7;
/** Puts the message count beside the header byte. */
const COUNT_SHIFT = 8;

/** Two elements an entry: its run, and `count << COUNT_SHIFT | header`, a small integer. */
type Entries = (Run | number | null)[];
const NO_ENTRIES: Entries = [];
const NO_BLOCKS: Entries[] = [];

/** A run on its way from one window to another: the frames in `bytes[start, end)`. */
export interface MovedRun extends Run {
  readonly start: number;
  readonly end: number;
  /** Header byte to deliver with. */
  readonly deliveryHeader: number;
}

/**
 * A ring of (run, header byte to deliver with, messages taken). The run objects are shared with
 * other queues and never changed. Entry 0 is the oldest. The ring doubles when it is full, up to
 * BLOCK_ENTRIES, and halves when it has gone round once without having been more than a quarter
 * full.
 */
export class RunQueue {
  /** Number of entries. */
  length = 0;
  #ring: Entries = NO_ENTRIES;
  #first = 0;
  #mask = -1;
  /** Entries in the ring; the rest of them is in the blocks. */
  #ringLength = 0;
  #blocks: Entries[] = NO_BLOCKS;
  /** The most entries in the ring since it last went round. */
  #peak = 0;
  readonly #total: QueuedTotal;

  /** @param total of the shard: what this queue holds counts. */
  constructor(total: QueuedTotal) {
    this.#total = total;
  }

  /** Appends an entry: the first `count` messages of `run`, to be delivered with `header`. */
  push(run: Run, header: number, count: number): void {
    const meta = (count << COUNT_SHIFT) | header;
    this.#total.hold(run);
    this.length++;
    if (this.#ringLength === BLOCK_ENTRIES || this.#blocks.length > 0) {
      this.#pushBehind(run, meta);
      return;
    }
    const capacity = this.#mask + 1;
    if (this.#ringLength === capacity) this.#resize(capacity === 0 ? CAPACITY_MIN : capacity * 2);
    const slot = (this.#first + this.#ringLength) & this.#mask;
    this.#ring[2 * slot] = run;
    this.#ring[2 * slot + 1] = meta;
    this.#ringLength++;
    if (this.#ringLength > this.#peak) this.#peak = this.#ringLength;
  }

  /** The run of entry `index`, 0 <= index < length. */
  runAt(index: number): Run {
    const behind = index - this.#ringLength;
    if (behind < 0) return this.#ring[2 * ((this.#first + index) & this.#mask)] as Run;
    return this.#blocks[behind >> BLOCK_SHIFT][2 * (behind & (BLOCK_ENTRIES - 1))] as Run;
  }

  /** How many of its run's messages entry `index` stands for. */
  countAt(index: number): number {
    return this.#metaAt(index) >> COUNT_SHIFT;
  }

  /** The PUBLISH header byte, without DUP, that entry `index` is delivered with. */
  headerAt(index: number): number {
    return this.#metaAt(index) & 0xff;
  }

  /** Removes the oldest entry; the queue must not be empty. */
  shift(): void {
    this.#total.letGo(this.#ring[2 * this.#first] as Run);
    this.#ring[2 * this.#first] = null;
    this.#first = (this.#first + 1) & this.#mask;
    this.length--;
    this.#ringLength--;
    if (this.#ringLength === 0 && this.#blocks.length > 0) {
      this.#takeBlock();
      return;
    }
    if (this.#first > 0) return;
    const capacity = this.#mask + 1;
    if (capacity > CAPACITY_MIN && this.#peak <= capacity >> 2) this.#resize(capacity >> 1);
    this.#peak = this.#ringLength;
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
    this.#ring = NO_ENTRIES;
    this.#blocks = NO_BLOCKS;
    this.#ringLength = 0;
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

  #metaAt(index: number): number {
    const behind = index - this.#ringLength;
    if (behind < 0) return this.#ring[2 * ((this.#first + index) & this.#mask) + 1] as number;
    return this.#blocks[behind >> BLOCK_SHIFT][2 * (behind & (BLOCK_ENTRIES - 1)) + 1] as number;
  }

  /** Puts the last entry, which `length` counts already, behind those of the ring. */
  #pushBehind(run: Run, meta: number): void {
    const at = (this.length - 1 - this.#ringLength) & (BLOCK_ENTRIES - 1);
    if (at === 0) {
      if (this.#blocks === NO_BLOCKS) this.#blocks = [];
      this.#blocks.push(new Array<Run | number | null>(2 * BLOCK_ENTRIES).fill(null));
    }
    const block = this.#blocks[this.#blocks.length - 1];
    block[2 * at] = run;
    block[2 * at + 1] = meta;
  }

  /** The oldest block becomes the ring, which is empty. */
  #takeBlock(): void {
    this.#ring = this.#blocks.shift()!;
    this.#first = 0;
    this.#mask = BLOCK_ENTRIES - 1;
    this.#ringLength = Math.min(BLOCK_ENTRIES, this.length);
    this.#peak = this.#ringLength;
  }

  #resize(capacity: number): void {
    const ring: Entries = new Array(2 * capacity).fill(null);
    for (let index = 0; index < this.#ringLength; index++) {
      const slot = (this.#first + index) & this.#mask;
      ring[2 * index] = this.#ring[2 * slot];
      ring[2 * index + 1] = this.#ring[2 * slot + 1];
    }
    this.#ring = ring;
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
