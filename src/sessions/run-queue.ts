/** A first-in-first-out queue of runs: 8 bytes an entry, nothing before the first one. */
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import type { QueuedTotal } from './queued-total.js';

/** Entries of the first allocation: most queues never hold more. */
const CAPACITY_MIN = 4;
/**
 * Entries of the ring at most, a power of two; what comes behind waits in blocks of as many. Ten
 * thousand queues with the same runs all grow within one delivery while they are as long as each
 * other: their rings by 3 MB at most. Their blocks do not end together (`places`).
 */
const BLOCK_ENTRIES = 32;
const BLOCK_SHIFT = 5;
/** Added from queue to queue to where its first block begins: odd, so that all places come. */
const PLACE_STEP = 13;
let places = 0;
/** Puts the message count beside the header byte; both together are below PLACE_UNIT. */
const COUNT_SHIFT = 8;
const PLACE_UNIT = 2 ** 25;
const PLACE_PART = 2 ** -25;

/**
 * An entry is a whole number: the place of its run among those that the shard holds, and behind it
 * `count << COUNT_SHIFT | header`. V8 keeps an array of numbers that are not all small as bare
 * doubles: nothing in it to follow for the garbage collector, half of what two elements would take.
 */
type Entries = number[];
/** What makes an array one of doubles from the start. */
const NO_ENTRY = -0.5;
const NO_ENTRIES: Entries = [];
const NO_BLOCKS: Entries[] = [];
/** Copied for each block, which is much faster than to make and fill an array. */
const EMPTY_BLOCK: Entries = new Array<number>(BLOCK_ENTRIES).fill(NO_ENTRY);

/** A run on its way from one window to another: the frames in `bytes[start, end)`. */
export interface MovedRun extends Run {
  readonly start: number;
  readonly end: number;
  /** Header byte to deliver with. */
  readonly deliveryHeader: number;
}

/**
 * A ring of entries: a run, the header byte to deliver it with, and how many of its messages. The
 * runs are shared with other queues and never changed. Entry 0 is the oldest. The ring doubles when
 * it is full, up to BLOCK_ENTRIES, and halves when it has gone round once without having been more
 * than a quarter full.
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
  /** Places at the beginning of the first block that are not used. */
  #skipped = 0;
  /** A block that was emptied, for the next one. */
  #spare: Entries | null = null;
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
    const entry = this.#total.hold(run) * PLACE_UNIT + meta;
    this.length++;
    if (this.#ringLength === BLOCK_ENTRIES || this.#blocks.length > 0) {
      this.#pushBehind(entry);
      return;
    }
    const capacity = this.#mask + 1;
    if (this.#ringLength === capacity) this.#resize(capacity === 0 ? CAPACITY_MIN : capacity * 2);
    const slot = (this.#first + this.#ringLength) & this.#mask;
    this.#ring[slot] = entry;
    this.#ringLength++;
    if (this.#ringLength > this.#peak) this.#peak = this.#ringLength;
  }

  /** The run of entry `index`, 0 <= index < length. */
  runAt(index: number): Run {
    return this.#total.runAt(placeOf(this.#entryAt(index)));
  }

  /** How many of its run's messages entry `index` stands for. */
  countAt(index: number): number {
    return metaOf(this.#entryAt(index)) >> COUNT_SHIFT;
  }

  /** The PUBLISH header byte, without DUP, that entry `index` is delivered with. */
  headerAt(index: number): number {
    return metaOf(this.#entryAt(index)) & 0xff;
  }

  /** Lets go of the oldest entry's run, whose bytes somebody else keeps from here on. */
  shiftKept(): void {
    this.#total.keepBytes(placeOf(this.#ring[this.#first]));
    this.shift();
  }

  /** Removes the oldest entry; the queue must not be empty. */
  shift(): void {
    this.#total.letGo(placeOf(this.#ring[this.#first]));
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
    for (let index = 0; index < this.length; index++) {
      this.#total.letGo(placeOf(this.#entryAt(index)));
    }
    this.length = 0;
    this.release();
  }

  /** Gives the arrays of an empty queue back. */
  release(): void {
    if (this.length > 0) return;
    this.#ring = NO_ENTRIES;
    this.#blocks = NO_BLOCKS;
    this.#spare = null;
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

  #entryAt(index: number): number {
    if (index < this.#ringLength) return this.#ring[(this.#first + index) & this.#mask];
    const behind = index - this.#ringLength + this.#skipped;
    return this.#blocks[behind >> BLOCK_SHIFT][behind & (BLOCK_ENTRIES - 1)];
  }

  /** Puts the last entry, which `length` counts already, behind those of the ring. */
  #pushBehind(entry: number): void {
    if (this.#blocks.length === 0) {
      places += PLACE_STEP;
      this.#skipped = places & (BLOCK_ENTRIES - 1);
      if (this.#blocks === NO_BLOCKS) this.#blocks = [];
      this.#blocks.push(this.#newBlock());
    }
    const at = (this.length - 1 - this.#ringLength + this.#skipped) & (BLOCK_ENTRIES - 1);
    if (at === 0 && this.length - 1 > this.#ringLength) this.#blocks.push(this.#newBlock());
    this.#blocks[this.#blocks.length - 1][at] = entry;
  }

  #newBlock(): Entries {
    const spare = this.#spare;
    this.#spare = null;
    return spare ?? EMPTY_BLOCK.slice();
  }

  /** The oldest block becomes the ring, which is empty. */
  #takeBlock(): void {
    this.#spare = this.#ring;
    this.#ring = this.#blocks.shift()!;
    this.#first = this.#skipped;
    this.#mask = BLOCK_ENTRIES - 1;
    this.#ringLength = Math.min(BLOCK_ENTRIES - this.#skipped, this.length);
    this.#skipped = 0;
    this.#peak = this.#ringLength;
  }

  #resize(capacity: number): void {
    const ring = EMPTY_BLOCK.slice(0, capacity);
    for (let index = 0; index < this.#ringLength; index++) {
      ring[index] = this.#ring[(this.#first + index) & this.#mask];
    }
    this.#ring = ring;
    this.#first = 0;
    this.#mask = capacity - 1;
  }
}

function placeOf(entry: number): number {
  return Math.floor(entry * PLACE_PART);
}

function metaOf(entry: number): number {
  // Bits are those of the low 32 of a whole number.
  return entry & (PLACE_UNIT - 1);
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
