/**
 * The bytes of one turn. Runs and acks are laid here once, outboxes note only positions, and the
 * flush at the end of the turn writes them to the sockets. So after a flush the arena begins anew:
 * no allocation, and the memory stays in the processor's cache. What a socket does not take is
 * copied by its outbox, or, when it is much, stays where it is: the block is pinned, and the arena
 * goes on in another one until the last outbox has let go of it.
 */
import { copyBytes } from '../base/copy-bytes.js';
import {
  ARENA_BLOCKS_PINNED_MAX,
  ARENA_BLOCKS_SPARE_MAX,
  TURN_ARENA_BYTES,
} from '../base/limits.js';

/** A piece of memory that an arena lays bytes in. */
export interface ArenaBlock {
  readonly buffer: Buffer;
  /** Outboxes that have unsent bytes in it. */
  pins: number;
}

/** One a shard. */
export class TurnArena {
  /** Valid until the next `reserve`. */
  buffer: Buffer;
  /** Bytes in use since the last rewind. */
  position = 0;
  /** How often it has begun anew: whoever keeps a position across a `reserve` must look. */
  rewinds = 0;
  /**
   * What is laid out comes of a run whose traces in the journal must not be torn apart, as a flush
   * would: the arena grows instead, until `rewind` at the latest.
   */
  isHeld = false;
  #block: ArenaBlock = newBlock();
  /** Blocks that are pinned and were left behind. */
  #pinned = 0;
  readonly #spare: ArenaBlock[] = [];
  /** Empties every outbox that refers to the arena; ends with `rewind`. */
  readonly #flush: () => void;

  constructor(flush: () => void) {
    this.buffer = this.#block.buffer;
    this.#flush = flush;
  }

  /**
   * Makes room for `length` bytes, flushing first when there is none. A packet longer than the
   * arena gets a buffer of its own until the next rewind.
   * @returns where to write in `buffer`.
   */
  reserve(length: number): number {
    while (this.position + length > this.buffer.length) {
      if (this.isHeld) {
        this.#grow(length);
        break;
      }
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

  /** Such a reservation would have it grow: what can wait in a queue is not laid out now. */
  isCrowded(length: number): boolean {
    return this.isHeld && this.position + length > this.buffer.length;
  }

  /** What is laid out stays at its positions. */
  #grow(length: number): void {
    const { buffer, position } = this;
    this.buffer = Buffer.allocUnsafeSlow(Math.max(2 * buffer.length, position + length));
    copyBytes(buffer, 0, position, this.buffer, 0);
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

  /**
   * Keeps the bytes in `buffer` from being overwritten until `unpin`.
   * @returns null when it cannot: the caller must copy. It is no block, or too many are pinned.
   */
  pin(buffer: Buffer): ArenaBlock | null {
    const block = this.#block;
    if (buffer !== block.buffer) return null;
    if (block.pins === 0 && this.#pinned >= ARENA_BLOCKS_PINNED_MAX) return null;
    block.pins++;
    return block;
  }

  /** Takes one `pin` back. */
  unpin(block: ArenaBlock): void {
    block.pins--;
    if (block.pins > 0 || block === this.#block) return;
    this.#pinned--;
    if (this.#spare.length < ARENA_BLOCKS_SPARE_MAX) this.#spare.push(block);
  }

  /** Everything was flushed: begin anew. */
  rewind(): void {
    this.position = 0;
    this.isHeld = false;
    this.rewinds++;
    if (this.#block.pins > 0) {
      this.#pinned++;
      this.#block = this.#spare.pop() ?? newBlock();
    }
    this.buffer = this.#block.buffer;
  }
}

function newBlock(): ArenaBlock {
  return { buffer: Buffer.allocUnsafeSlow(TURN_ARENA_BYTES), pins: 0 };
}
