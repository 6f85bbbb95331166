/** A segment while it is written: bytes in memory that grows. */
import { SEGMENT_BYTES_MIN, SEGMENT_BYTES_USUAL } from '../base/limits.js';

/** Of each thing that is written; its room must have been made before. */
export class SegmentWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES_MIN);
  #length = 0;
  /** What the last segments were long: the next begins with room for as much. */
  #usual = SEGMENT_BYTES_MIN;

  get length(): number {
    return this.#length;
  }

  /** Makes room for `more` bytes. @throws RangeError when there is no memory for it. */
  reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#bytes[this.#length++] = value;
  }

  /** A session's number, a position, or a time: 8 bytes. */
  number(value: number): void {
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  /** 4 bytes. @param value 0 to 2^32 - 1. */
  count(value: number): void {
    this.#length = this.#bytes.writeUInt32LE(value, this.#length);
  }

  /** 1 to 5 bytes, 7 bits in each, the lowest first. @param value 0 to 2^32 - 1. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  /** 2 bytes. @param value 0 to 65,535. */
  short(value: number): void {
    this.#length = this.#bytes.writeUInt16LE(value, this.#length);
  }

  /** A latin1 string, without its length. */
  latin1(text: string): void {
    this.#length += this.#bytes.write(text, this.#length, 'latin1');
  }

  /** A string as UTF-8, without its length. */
  utf8(text: string): void {
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
  }

  /** The first `length` bytes of others. */
  raw(bytes: Uint8Array, length: number = bytes.length): void {
    this.#bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), this.#length);
    this.#length += length;
  }

  /** Writes a count, room for which was left `at` a place before. */
  countAt(at: number, value: number): void {
    this.#bytes.writeUInt32LE(value, at);
  }

  /** What was written, in memory that is the caller's from now on; the next segment begins. */
  take(): { readonly bytes: ArrayBuffer; readonly length: number } {
    const taken = { bytes: this.#bytes.buffer as ArrayBuffer, length: this.#length };
    const usual = Math.ceil((this.#usual + this.#length) / 2);
    this.#usual = Math.max(SEGMENT_BYTES_MIN, Math.min(usual, SEGMENT_BYTES_USUAL));
    this.#bytes = Buffer.allocUnsafeSlow(this.#usual);
    this.#length = 0;
    return taken;
  }
}
