/**
 * The write side of one connection. Frames of one turn of the event loop are laid one behind the
 * other and leave in one write: a publisher's messages reach the server as runs.
 */
import {
  CLIENT_BATCH_BYTES,
  CLIENT_BATCH_BYTES_MIN,
  CLIENT_TURN_BYTES,
  CLIENT_WRITE_HIGH_MARK,
} from '../base/limits.js';
import { ACK_BYTES, writeAck } from '../protocol/ack-frame.js';
import { Fifo } from './fifo.js';
import type { Transport } from './transport.js';

/** Who waits for the socket to take what was written before `end`: one promise for a batch. */
interface Gate {
  /** Position in all bytes of the connection. */
  end: number;
  /** Messages that wait. */
  messages: number;
  readonly promise: Promise<void>;
  readonly settle: (error: Error | null) => void;
}

function newGate(end: number): Gate {
  let settle: Gate['settle'] = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === null ? resolve() : reject(error));
  });
  // Nobody need wait for a message; `onLost` tells of it.
  promise.catch(() => {});
  return { end, messages: 0, promise, settle };
}

/** Batches frames for one socket. */
export class Writer {
  /** The buffer that frames are written to, from `position` on, after `reserve` has made room. */
  chunk: Buffer = Buffer.allocUnsafeSlow(CLIENT_BATCH_BYTES_MIN);
  /** Where the next frame goes. */
  position = 0;
  /** Something was written since this was last set to false: keep alive looks at it. */
  hasWritten = false;
  /** Told at the end how many messages waited in vain for the socket to take them. */
  onLost: (messages: number, error: Error) => void = () => {};
  readonly #transport: Transport;
  readonly #onDrain: () => void;
  #isOpen = true;
  /** Bytes of `chunk` before this are the socket's. */
  #sentPosition = 0;
  #chunkBytes = CLIENT_BATCH_BYTES_MIN;
  /** Somebody keeps frames that lie in `chunk`: it must not be filled again from its start. */
  #isKept = false;
  #isScheduled = false;
  #turnBytes = 0;
  #isSocketFull = false;
  /** Bytes handed to the socket, and those of them that it has taken. */
  #handedBytes = 0;
  #takenBytes = 0;
  /** Bytes of the writes whose callback has come. */
  #completedBytes = 0;
  readonly #gates = new Fifo<Gate>();
  /** The last one, while what is written joins it. */
  #openGate: Gate | null = null;
  readonly #onWritten = (error?: Error | null): void => this.#written(error);
  /** Lengths of the writes that the socket has not completed. */
  readonly #writes = new Fifo<number>();

  /**
   * @param onDrain called when a socket that was full, or a turn that was, takes more again, and
   *   when it has taken everything.
   */
  constructor(transport: Transport, onDrain: () => void) {
    this.#transport = transport;
    this.#onDrain = onDrain;
  }

  /** False after `close`: what is written then is lost. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** So much has been written that a publisher should wait for `whenReady`. */
  get isBusy(): boolean {
    return this.#isSocketFull || this.#turnBytes >= CLIENT_TURN_BYTES;
  }

  /** The peer does not take what is sent as fast as it is written. */
  get isSocketFull(): boolean {
    return this.#isSocketFull;
  }

  /** The kernel has not taken everything that it was given, in this turn or before. */
  get isBehind(): boolean {
    return this.#takenBytes < this.#handedBytes;
  }

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.position - this.#sentPosition + this.#transport.waitingBytes;
  }

  /** Where what has been written ends, in all bytes of the connection. */
  get endPosition(): number {
    return this.#handedBytes + this.position - this.#sentPosition;
  }

  /** Where what the socket has taken ends. */
  get takenPosition(): number {
    return this.#takenBytes;
  }

  /**
   * Waits with the message written last: settles when the socket has taken it and the turn, if it
   * is full, has ended. Rejects with what the connection was closed for.
   * @param messages 1, or 0 for one that `onLost` need not tell of.
   */
  whenTaken(messages: number): Promise<void> {
    const end = this.endPosition;
    let gate = this.#openGate;
    if (gate === null) {
      gate = newGate(end);
      this.#openGate = gate;
      this.#gates.push(gate);
    }
    gate.end = end;
    gate.messages += messages;
    return gate.promise;
  }

  /** Makes room for `length` bytes at `position` of `chunk`. Both may change. */
  reserve(length: number): void {
    if (this.position + length > this.chunk.length) this.#makeRoom(length);
  }

  /**
   * The frame that was written ends at `end`.
   * @param isKept its bytes in `chunk` are kept, so they must stay as they are.
   */
  commit(end: number, isKept: boolean): void {
    this.#turnBytes += end - this.position;
    this.position = end;
    if (isKept) this.#isKept = true;
    if (end - this.#sentPosition >= CLIENT_BATCH_BYTES) this.flush();
    if (!this.#isScheduled) this.#schedule();
  }

  /** Writes PUBACK, PUBREC, PUBREL or PUBCOMP. */
  writeAck(type: number, packetId: number): void {
    this.reserve(ACK_BYTES);
    this.commit(writeAck(this.chunk, this.position, type, packetId), false);
  }

  /** Writes whole frames, which are copied. */
  writeFrame(frame: Buffer): void {
    this.reserve(frame.length);
    frame.copy(this.chunk, this.position);
    this.commit(this.position + frame.length, false);
  }

  /** Hands everything to the socket. */
  flush(): void {
    const start = this.#sentPosition;
    const end = this.position;
    if (start === end || !this.#isOpen) return;
    const transport = this.#transport;
    this.#writes.push(end - start);
    this.#handedBytes += end - start;
    this.#openGate = null;
    transport.write(this.chunk.subarray(start, end), this.#onWritten);
    this.#sentPosition = end;
    this.hasWritten = true;
    const unsentBytes = transport.waitingBytes;
    if (unsentBytes >= CLIENT_WRITE_HIGH_MARK) {
      this.#isSocketFull = true;
    } else if (unsentBytes === 0) {
      // The callback comes later; that it was taken is known now.
      this.#takenBytes = this.#handedBytes;
      if (this.#isKept) return;
      // The kernel has taken all of it: the same memory serves again.
      this.position = 0;
      this.#sentPosition = 0;
    }
  }

  /**
   * What was not handed to the socket is dropped, and who waits for it to be taken is told `error`.
   */
  close(error: Error): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#isSocketFull = false;
    let lost = 0;
    for (let gate = this.#gates.shift(); gate !== undefined; gate = this.#gates.shift()) {
      const isTaken = gate.end <= this.#takenBytes;
      if (!isTaken) lost += gate.messages;
      gate.settle(isTaken ? null : error);
    }
    if (lost > 0) this.onLost(lost, error);
  }

  #schedule(): void {
    this.#isScheduled = true;
    setImmediate(() => this.#endTurn());
  }

  #endTurn(): void {
    this.#isScheduled = false;
    const wasBusy = this.isBusy;
    this.flush();
    this.#turnBytes = 0;
    if (!this.#isOpen) return;
    this.#settle();
    if (wasBusy && !this.#isSocketFull) this.#onDrain();
  }

  /** The socket has completed the first of its writes. */
  #written(error: Error | null | undefined): void {
    const bytes = this.#writes.shift() ?? 0;
    if (!this.#isOpen || (error !== null && error !== undefined)) return;
    const wasBehind = this.isBehind;
    const isDrained = this.#isSocketFull && this.#transport.waitingBytes === 0;
    if (isDrained) this.#isSocketFull = false;
    this.#completedBytes += bytes;
    this.#takenBytes = Math.max(this.#takenBytes, this.#completedBytes);
    this.#settle();
    if (isDrained || (wasBehind && !this.isBehind)) this.#onDrain();
  }

  /** Tells those whose bytes have been taken; in a full turn they wait for its end. */
  #settle(): void {
    if (this.#turnBytes >= CLIENT_TURN_BYTES) return;
    for (let gate = this.#gates.peek(); gate !== undefined; gate = this.#gates.peek()) {
      if (gate.end > this.#takenBytes) return;
      this.#gates.shift();
      if (gate === this.#openGate) this.#openGate = null;
      gate.settle(null);
    }
  }

  #makeRoom(length: number): void {
    this.flush();
    if (this.position + length <= this.chunk.length) return;
    this.#chunkBytes = Math.min(this.#chunkBytes * 2, CLIENT_BATCH_BYTES);
    this.chunk = Buffer.allocUnsafeSlow(Math.max(length, this.#chunkBytes));
    this.position = 0;
    this.#sentPosition = 0;
    this.#isKept = false;
  }
}
