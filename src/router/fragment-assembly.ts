/**
 * Puts the fragments of one source's record together. There is one at a time: fragments are never
 * interleaved.
 */
import { copyBytes } from '../base/copy-bytes.js';
import { RecordError } from '../base/errors.js';
import { REMAINING_LENGTH_MAX, RING_RECORD_OVERHEAD_BYTES } from '../base/limits.js';

/** Largest record: the largest PUBLISH, and room for what the caller puts before it. */
export const ASSEMBLED_BYTES_MAX = REMAINING_LENGTH_MAX + RING_RECORD_OVERHEAD_BYTES;

/** One record that is on its way in parts. */
export class FragmentAssembly {
  #buffer: Buffer | null = null;
  #length = 0;
  /** A part was not what it should be: the others of its record are passed over. */
  #isBroken = false;

  /**
   * The first fragment states the total. @throws RecordError when it is beyond every record that
   * can be sent.
   */
  begin(totalBytes: number): void {
    if (totalBytes <= 0 || totalBytes > ASSEMBLED_BYTES_MAX) {
      this.#break(
        `a record in fragments has at most ${ASSEMBLED_BYTES_MAX} bytes, not ${totalBytes}`,
      );
    }
    this.#buffer = Buffer.allocUnsafeSlow(totalBytes);
    this.#length = 0;
    this.#isBroken = false;
  }

  /**
   * Adds `source[start, end)`, but to a record that is broken already.
   * @throws RecordError when nothing was begun or it is more than was announced.
   */
  add(source: Buffer, start: number, end: number): void {
    if (this.#isBroken) return;
    const buffer = this.#buffer;
    if (buffer === null) this.#break('a fragment follows a first fragment');
    if (this.#length + end - start > buffer.length) this.#break('fragments keep to their total');
    copyBytes(source, start, end, buffer, this.#length);
    this.#length += end - start;
  }

  /**
   * The whole record, which is the caller's now; null when it was broken, which was said then.
   * @throws RecordError when a part of it is missing.
   */
  take(): Buffer | null {
    if (this.#isBroken) return null;
    const buffer = this.#buffer;
    if (buffer === null || this.#length !== buffer.length) {
      this.#break('the last fragment completes it');
    }
    this.#buffer = null;
    return buffer;
  }

  #break(what: string): never {
    this.#buffer = null;
    this.#isBroken = true;
    throw new RecordError(what);
  }
}
