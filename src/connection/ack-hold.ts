/** Replies that wait. */

const BYTES_MIN = 256;

/** A growing buffer of whole packets; its user keeps to a bound. */
export class HeldReplies {
  length = 0;
  #buffer = Buffer.allocUnsafe(BYTES_MIN);

  /** Room for `length` more bytes. @returns the buffer to write to, at `this.length`. */
  reserve(length: number): Buffer {
    if (this.length + length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.length + length, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.length);
      this.#buffer = larger;
    }
    return this.#buffer;
  }

  /** Everything held; it holds nothing then. Valid until the next `reserve`. */
  release(): Buffer {
    const bytes = this.#buffer.subarray(0, this.length);
    this.length = 0;
    return bytes;
  }
}

/**
 * PUBACKs and PUBRECs that wait until the readers of what they acknowledge have caught up; at most
 * HELD_ACK_BYTES_MAX.
 */
export class AckHold extends HeldReplies {
  isHolding = false;
}
