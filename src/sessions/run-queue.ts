/** A first-in-first-out queue of runs that costs 16 bytes an entry and nothing while it is empty. */
import type { Run } from '../protocol/run.js';

/** Entries of the first allocation, and of the smallest. */
const CAPACITY_MIN = 16;
/** Up to this many entries an emptied queue keeps its arrays: the next burst will want them again. */
const CAPACITY_KEPT = 64;
/** Multiplier that puts the message count beside the header byte in one small integer. */
const COUNT_UNIT = 256;

const NO_RUNS: (Run | null)[] = [];
const NO_METAS: number[] = [];

/**
 * A ring of (run, header byte to deliver with, messages taken). The run objects are shared with other
 * queues and never changed. Entry 0 is the oldest.
 */
export class RunQueue {
  /** Number of entries. */
  length = 0;
  #runs: (Run | null)[] = NO_RUNS;
  /** count * COUNT_UNIT + header; a run has at most 65,536 messages, so this is a small integer. */
  #metas: number[] = NO_METAS;
  #first = 0;
  #mask = -1;

  /** Appends an entry: the first `count` messages of `run`, to be delivered with `header`. */
  push(run: Run, header: number, count: number): void {
    if (this.length > this.#mask)
      this.#resize(this.#mask < 0 ? CAPACITY_MIN : (this.#mask + 1) * 2);
    const slot = (this.#first + this.length) & this.#mask;
    this.#runs[slot] = run;
    this.#metas[slot] = count * COUNT_UNIT + header;
    this.length++;
  }

  /** The run of entry `index`, 0 <= index < length. */
  runAt(index: number): Run {
    return this.#runs[(this.#first + index) & this.#mask] as Run;
  }

  /** How many of its run's messages entry `index` stands for. */
  countAt(index: number): number {
    return this.#metas[(this.#first + index) & this.#mask] >> 8;
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
    const capacity = this.#mask + 1;
    if (capacity > CAPACITY_KEPT && this.length < capacity >> 3) this.#resize(capacity >> 1);
  }

  /** Gives the arrays of an empty queue back. */
  release(): void {
    if (this.length > 0) return;
    this.#runs = NO_RUNS;
    this.#metas = NO_METAS;
    this.#first = 0;
    this.#mask = -1;
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
