/**
 * The bytes of one turn. Runs and acks are laid here once, outboxes note only positions, and the
 * flush at the end of the turn writes them to the sockets; what a socket does not take is copied by
 * its outbox. So after a flush the arena begins anew: no allocation, and the memory stays in the
 * processor's cache.
 */
import { copyBytes } from '../base/copy-bytes.js';
import { TURN_ARENA_BYTES } from '../base/limits.js';

/** One a shard. */
export class TurnArena {
  /** Valid until the next `reserve`. */
  buffer: Buffer;
  /** Bytes in use since the last rewind. */
  position = 0;
  /** How often it has begun anew: whoever keeps a position across a `reserve` must look. */
  rewinds = 0;
  readonly #standard: Buffer;
  /** Empties every outbox that refers to the arena; ends with `rewind`. */
  readonly #flush: () => void;

  constructor(flush: () => void) {
    this.#standard = Buffer.allocUnsafeSlow(TURN_ARENA_BYTES);
    this.buffer = this.#standard;
    this.#flush = flush;
  }

  /**
   * Makes room for `length` bytes, flushing first when there is none. A packet longer than the
   * arena gets a buffer of its own until the next rewind.
   * @returns where to write in `buffer`.
   */
  reserve(length: number): number {
    while (this.position + length > this.buffer.length) {
      this.#flush();
      // A flush may let publishers go on, whose acks are the first to be laid out anew: those must
      // go out of the same buffer they lie in.
      if (this.position === 0 && length > this.buffer.length) {
        this.buffer = Buffer.allocUnsafeSlow(length);
      }
    }
    const at = this.position;
    this.position = at + length;
    return at;
  }

  /** Copies bytes [start, end) of `source` in. @returns where they begin in `buffer`. */
  copy(source: Buffer, start: number, end: number): number {
    const length = end - start;
    const at = this.reserve(length);
    copyBytes(source, start, end, this.buffer, at);
    return at;
  }

  /** Gives back the unused end of what was reserved last. */
  shrink(end: number): void {
    this.position = end;
  }

  /** Everything was flushed: begin anew. */
  rewind(): void {
    this.position = 0;
    this.rewinds++;
    this.buffer = this.#standard;
  }
}
