/** Reading that stops late: TLS and WebSocket give what they have already deciphered or split. */
import { Fifo } from './fifo.js';

export class HeldReads {
  readonly #onRead: (buffer: Buffer, length: number) => boolean;
  readonly #held = new Fifo<Buffer>();
  #heldBytes = 0;
  #isStopped = false;

  /** @param onRead of the transport's owner. */
  constructor(onRead: (buffer: Buffer, length: number) => boolean) {
    this.#onRead = onRead;
  }

  /** Bytes that are kept. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Gives bytes, or keeps a copy of them while nothing is to be given.
   * @returns false when no more should come.
   */
  push(buffer: Buffer, length: number): boolean {
    if (this.#isStopped) {
      this.#held.push(Buffer.from(buffer.subarray(0, length)));
      this.#heldBytes += length;
    } else this.#isStopped = !this.#onRead(buffer, length);
    return !this.#isStopped;
  }

  /** Gives what was kept. @returns false when no more should come: it was stopped again. */
  resume(): boolean {
    this.#isStopped = false;
    while (!this.#isStopped) {
      const chunk = this.#held.shift();
      if (chunk === undefined) break;
      this.#heldBytes -= chunk.length;
      this.#isStopped = !this.#onRead(chunk, chunk.length);
    }
    return !this.#isStopped;
  }
}
