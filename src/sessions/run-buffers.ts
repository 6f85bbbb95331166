/**
 * Memory for runs that wait a moment: a client that keeps up acknowledges what it has within a
 * turn, and what was queued for it meanwhile is gone again. A new Buffer for each of these is fresh
 * memory, which costs more than the copy, and work for the garbage collector.
 */
import { RUN_BUFFER_BYTES, RUN_BUFFER_BYTES_MIN, RUN_BUFFERS_MAX } from '../base/limits.js';

/** One a shard. A buffer that is not given back is left to the garbage collector. */
export class RunBuffers {
  readonly #free: Buffer[] = [];
  #out = 0;

  /**
   * @returns RUN_BUFFER_BYTES bytes for a run of `length`, or null when it is too small or too
   * large for one, or so many are out that they may be waiting for long: the caller allocates then.
   */
  take(length: number): Buffer | null {
    if (length < RUN_BUFFER_BYTES_MIN || length > RUN_BUFFER_BYTES) return null;
    if (this.#out >= RUN_BUFFERS_MAX) return null;
    this.#out++;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(RUN_BUFFER_BYTES);
  }

  /** Takes a buffer back: nobody reads it any more. */
  give(buffer: Buffer): void {
    this.#out--;
    this.#free.push(buffer);
  }

  /** A buffer that was taken will not come back. */
  forget(): void {
    this.#out--;
  }
}
