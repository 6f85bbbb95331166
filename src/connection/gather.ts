/** Bytes of one connection that were read and could not be handled yet. */

/**
 * An unfinished frame, or frames that must wait. Grows with what arrives, not with what is
 * announced.
 */
export class Gather {
  length = 0;
  /** Whole length of the frame that it begins with, 0 while that is not known. */
  neededBytes = 0;
  #buffer: Buffer | null = null;

  /** The frame it begins with is all here. */
  get isWhole(): boolean {
    return this.neededBytes > 0 && this.length >= this.neededBytes;
  }

  /** Bytes of memory that it takes: it grows ahead of what comes. */
  get capacity(): number {
    return this.#buffer === null ? 0 : this.#buffer.length;
  }

  /** Adds bytes [start, end) of `source`. */
  add(source: Buffer, start: number, end: number, neededBytes: number): void {
    this.neededBytes = neededBytes;
    this.#append(source, start, end);
  }

  /** Holds on to `bytes`, which are its own from here on. It must be empty. */
  hold(bytes: Buffer, neededBytes: number): void {
    this.neededBytes = neededBytes;
    this.#buffer = bytes;
    this.length = bytes.length;
  }

  /** Adds what the unfinished frame still needs. @returns how many bytes that was. */
  take(source: Buffer, start: number, end: number): number {
    const taken = Math.min(end - start, this.neededBytes - this.length);
    this.#append(source, start, start + taken);
    return taken;
  }

  /** Puts everything before `end` of `target` and is empty then. @returns where it begins. */
  moveBefore(target: Buffer, end: number): number {
    const start = end - this.length;
    this.#buffer!.copy(target, start, 0, this.length);
    this.length = 0;
    this.#buffer = null;
    return start;
  }

  /** Everything, which it then holds no more. */
  release(): Buffer {
    const bytes = this.#buffer === null ? Buffer.alloc(0) : this.#buffer.subarray(0, this.length);
    this.length = 0;
    this.#buffer = null;
    return bytes;
  }

  #append(source: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (this.#buffer === null || this.#buffer.length < length) {
      const room = this.#buffer === null ? length : Math.max(length, this.#buffer.length * 2);
      const larger = Buffer.allocUnsafe(
        this.neededBytes > length ? Math.min(room, this.neededBytes) : length,
      );
      this.#buffer?.copy(larger, 0, 0, this.length);
      this.#buffer = larger;
    }
    source.copy(this.#buffer, this.length, start, end);
    this.length = length;
  }
}
