/** Writes the fields of a packet one behind the other, for packets that are not hot. */
import { invariant } from '../../base/assert.js';
import { STRING_BYTES_MAX } from '../../base/limits.js';
import { variableByteIntegerBytes, writeVariableByteInteger } from './variable-byte-integer.js';

const INITIAL_BYTES = 128;

/** A buffer that grows as it is written to. */
export class ByteWriter {
  #buffer: Buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written: a view, to be copied or used before the next write. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  uint16(value: number): this {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16BE(value, this.#length);
    return this;
  }

  uint32(value: number): this {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32BE(value, this.#length);
    return this;
  }

  /** A Variable Byte Integer, 0 to 268,435,455. */
  variableByteInteger(value: number): this {
    this.#reserve(variableByteIntegerBytes(value));
    this.#length = writeVariableByteInteger(this.#buffer, this.#length, value);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /**
   * Two length bytes and the bytes, or the UTF-8 bytes of the text: at most 65,535, which is the
   * caller's to see to.
   */
  field(content: Uint8Array | string): this {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    invariant(bytes.length <= STRING_BYTES_MAX, 'a field is at most 65,535 bytes');
    return this.uint16(bytes.length).raw(bytes);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
