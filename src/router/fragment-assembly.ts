/**
 * Puts the fragments of one source's record together. There is one at a time: fragments are never
 * interleaved.
 */
import { invariant } from '../base/assert.js';
import { copyBytes } from '../base/copy-bytes.js';
import { REMAINING_LENGTH_MAX, RING_RECORD_OVERHEAD_BYTES } from '../base/limits.js';

/** Largest record: the largest PUBLISH, and room for what the caller puts before it. */
export const ASSEMBLED_BYTES_MAX = REMAINING_LENGTH_MAX + RING_RECORD_OVERHEAD_BYTES;

/** One record that is on its way in parts. */
export class FragmentAssembly {
  #buffer: Buffer | null = null;
  #length = 0;

  /**
   * The first fragment states the total. @throws Error when it is beyond every record that can be
   * sent.
   */
  begin(totalBytes: number): void {
    invariant(
      totalBytes > 0 && totalBytes <= ASSEMBLED_BYTES_MAX,
      `a record in fragments has at most ${ASSEMBLED_BYTES_MAX} bytes, not ${totalBytes}`,
    );
    this.#buffer = Buffer.allocUnsafeSlow(totalBytes);
    this.#length = 0;
  }

  /**
   * Adds `source[start, end)`. @throws Error when nothing was begun or it is more than was
   * announced.
   */
  add(source: Buffer, start: number, end: number): void {
    const buffer = this.#buffer;
    invariant(buffer !== null, 'a fragment follows a first fragment');
    invariant(this.#length + end - start <= buffer.length, 'fragments keep to their total');
    copyBytes(source, start, end, buffer, this.#length);
    this.#length += end - start;
  }

  /** The whole record, which is the caller's now. @throws Error when a part of it is missing. */
  take(): Buffer {
    const buffer = this.#buffer;
    invariant(buffer !== null && this.#length === buffer.length, 'the last fragment completes it');
    this.#buffer = null;
    return buffer;
  }
}
