/** Reads a segment from its beginning to its end: what segment-writer.ts has written. */

/** Every read is checked: a segment that is not whole ends the store before it writes anything. */
export class SegmentReader {
  readonly bytes: Buffer;
  #at = 0;

  constructor(bytes: ArrayBuffer, length: number) {
    this.bytes = Buffer.from(bytes, 0, length);
  }

  get hasMore(): boolean {
    return this.#at < this.bytes.length;
  }

  /** Where the next thing begins. */
  get at(): number {
    return this.#at;
  }

  /** @throws RangeError behind the end, as all others. */
  byte(): number {
    return this.bytes.readUInt8(this.#at++);
  }

  /** @throws RangeError when it is no whole number from 0 to `max`. */
  number(max: number): number {
    const value = this.bytes.readDoubleLE(this.#at);
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new RangeError(`a segment has ${value} where a number should be`);
    }
    this.#at += Float64Array.BYTES_PER_ELEMENT;
    return value;
  }

  count(): number {
    const value = this.bytes.readUInt32LE(this.#at);
    this.#at += Uint32Array.BYTES_PER_ELEMENT;
    return value;
  }

  /** Bytes with their length before them: where they begin; the next thing stands behind them. */
  skipBytes(): number {
    const length = this.count();
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.bytes.length) throw new RangeError('a segment is cut off');
    return start;
  }

  /** The same, as bytes that stay where they are. */
  blob(): Buffer {
    const start = this.skipBytes();
    return this.bytes.subarray(start, this.#at);
  }

  text(encoding: 'latin1' | 'utf8'): string {
    const start = this.skipBytes();
    return this.bytes.toString(encoding, start, this.#at);
  }
}
