/**
 * Records that their receiver can check without having seen them: everything about record
 * `sequence` of a sender follows from the sender's seed.
 */

/** Messages from a test to a ring worker. */
export type ToRingWorker =
  | { readonly kind: 'peer-dead'; readonly index: number }
  | {
      readonly kind: 'peer-new';
      readonly index: number;
      readonly incarnation: number;
      readonly ring: SharedArrayBuffer;
      readonly doorbellWriteFd: number;
    }
  /** Send no more than you have, say so to all peers, and end when all have said it. */
  | { readonly kind: 'finish' };

/** Messages from a ring worker to its test. */
export type FromRingWorker =
  /** So many records have been received, once. */
  { readonly kind: 'progress' } | { readonly kind: 'done'; readonly report: RingReport };

/** What a ring worker has seen. */
export interface RingReport {
  readonly sent: number;
  /** Records taken, by the shard that sent them. */
  readonly received: readonly number[];
  /** Records that needed fragments. */
  readonly large: number;
  /** Times that there was a backlog after a flush. */
  readonly fullFlushes: number;
  /** Times that the doorbell woke the shard. */
  readonly wakeUps: number;
}

/** What a ring worker is to do. */
export interface RingWorkerData {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly rings: readonly SharedArrayBuffer[];
  readonly tickets: SharedArrayBuffer;
  readonly doorbellReadFd: number;
  readonly doorbellWriteFds: readonly number[];
  /** Records to send; Infinity: until told to finish. */
  readonly records: number;
  /** Records sent in one turn. */
  readonly batch: number;
  /** Most bytes drained in one turn: a small number makes a slow reader. */
  readonly drainBytes: number;
  /** Which start of this shard it is, and of its peers: their seeds depend on it. */
  readonly incarnations: readonly number[];
  /**
   * True for a shard that starts while its peers are in full flow: their first records may be any.
   */
  readonly isLate: boolean;
  /** Say `progress` after so many records. */
  readonly progressAfter: number;
}

/** What a record is like. */
export class Traffic {
  /** Number of the record; -1 before the first `next`. */
  sequence = -1;
  shardMask = 0;
  length = 0;
  #state: number;
  readonly #peersMask: number;

  constructor(sender: number, incarnation: number, shardCount: number) {
    this.#state = (sender * 7919 + incarnation * 104_729 + 1) | 0;
    this.#peersMask = (2 ** shardCount - 1) & ~(1 << sender);
  }

  /** Goes on to the next record. */
  next(): void {
    this.sequence++;
    const choice = this.#random();
    // A third for one or some peers, the rest for all.
    this.shardMask = choice % 3 === 0 ? (choice >>> 8) & this.#peersMask : this.#peersMask;
    const size = this.#random();
    if (size % 200 === 0) this.length = size % 150_000;
    else if (size % 10 === 0) this.length = size % 8000;
    else this.length = size % 300;
  }

  /** Puts the record's bytes at the begin of `buffer`. */
  fill(buffer: Buffer): void {
    for (let at = 0; at < this.length; at++) buffer[at] = this.sequence + at * 7;
  }

  /** True when `buffer[start, end)` are the record's bytes. */
  holds(buffer: Buffer, start: number, end: number): boolean {
    if (end - start !== this.length) return false;
    for (let at = 0; at < this.length; at++) {
      if (buffer[start + at] !== ((this.sequence + at * 7) & 0xff)) return false;
    }
    return true;
  }

  /** mulberry32: a uint32. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
