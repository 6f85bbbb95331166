/**
 * How far the writer of a ring is ahead of its slowest reader, in work rather than bytes: a ring
 * holds some 100,000 small records, and a quiet client's message behind them would wait for as long
 * as all of them take to be handled.
 */
import { RING_LEAD_MARK_WORK, RING_LEAD_MARKS, RING_LEAD_WORK_MAX } from '../base/limits.js';

/** Bytes of a record that take as long as a small record does. */
const BYTES_PER_WORK_SHIFT = 11;

/** What a record of so many bytes costs its reader, 1 at least. */
export function workOfRecord(bytes: number): number {
  return 1 + (bytes >> BYTES_PER_WORK_SHIFT);
}

/** One for each writer. Work is counted in 32 bits that wrap, and told apart by differences. */
export class RingLead {
  /** Where the ring's head was when so much work had been put, oldest first, in a ring. */
  readonly #positions = new Int32Array(RING_LEAD_MARKS);
  readonly #works = new Int32Array(RING_LEAD_MARKS);
  #first = 0;
  #count = 0;
  /** Work put so far, and of that what all readers have certainly passed. */
  #put = 0;
  #passed = 0;
  #marked = 0;

  /** @param put work put before; tests begin shortly before it wraps. */
  constructor(put = 0) {
    this.#put = put | 0;
    this.#passed = this.#put;
    this.#marked = this.#put;
  }

  /** `work` was put on the ring, up to `headPosition`. @returns whether to look at the readers. */
  add(work: number, headPosition: number): boolean {
    this.#put = (this.#put + work) | 0;
    if (((this.#put - this.#marked) | 0) >= RING_LEAD_MARK_WORK && this.#count < RING_LEAD_MARKS) {
      const place = (this.#first + this.#count++) % RING_LEAD_MARKS;
      this.#positions[place] = headPosition;
      this.#works[place] = this.#put;
      this.#marked = this.#put;
    }
    return this.work > RING_LEAD_WORK_MAX;
  }

  /** All readers have passed `tail`; `headPosition` is where the ring ends now. */
  onTail(tail: number, headPosition: number): void {
    while (this.#count > 0 && ((tail - this.#positions[this.#first]!) | 0) >= 0) {
      this.#passed = this.#works[this.#first]!;
      this.#first = (this.#first + 1) % RING_LEAD_MARKS;
      this.#count--;
    }
    if (tail === headPosition) this.#passed = this.#put;
  }

  /** Work that the slowest reader may have before it, up to one mark more than it really has. */
  get work(): number {
    return (this.#put - this.#passed) | 0;
  }
}
