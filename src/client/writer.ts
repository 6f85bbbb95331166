/**
 * The write side of one connection. Frames of one turn of the event loop are laid one behind the
 * other and leave in one write: a publisher's messages reach the server as runs.
 */
import type { Socket } from 'node:net';
import {
  CLIENT_BATCH_BYTES,
  CLIENT_BATCH_BYTES_MIN,
  CLIENT_TURN_BYTES,
  CLIENT_WRITE_HIGH_MARK,
} from '../base/limits.js';
import { ACK_BYTES, writeAck } from '../protocol/ack-frame.js';

/** A promise with its resolve function, made when somebody waits. */
interface Gate {
  readonly promise: Promise<void>;
  readonly open: () => void;
}

function newGate(): Gate {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** Batches frames for one socket. */
export class Writer {
  /** The buffer that frames are written to, from `position` on, after `reserve` has made room. */
  chunk: Buffer = Buffer.allocUnsafeSlow(CLIENT_BATCH_BYTES_MIN);
  /** Where the next frame goes. */
  position = 0;
  /** Something was written since this was last set to false: keep alive looks at it. */
  hasWritten = false;
  readonly #socket: Socket;
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
  #turnGate: Gate | null = null;
  #drainGate: Gate | null = null;

  /** @param onDrain called when a socket that was full, or a turn that was, takes more again. */
  constructor(socket: Socket, onDrain: () => void) {
    this.#socket = socket;
    this.#onDrain = onDrain;
    socket.on('drain', () => this.#drained());
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

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.position - this.#sentPosition + this.#socket.writableLength;
  }

  /** Settles when `isBusy` has become false, or the connection is closed. Never rejects. */
  whenReady(): Promise<void> {
    if (this.#isSocketFull) {
      this.#drainGate ??= newGate();
      return this.#drainGate.promise;
    }
    this.#turnGate ??= newGate();
    return this.#turnGate.promise;
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
    const socket = this.#socket;
    socket.write(this.chunk.subarray(start, end));
    this.#sentPosition = end;
    this.hasWritten = true;
    const unsentBytes = socket.writableLength;
    if (unsentBytes >= CLIENT_WRITE_HIGH_MARK) {
      this.#isSocketFull = true;
    } else if (unsentBytes === 0 && !this.#isKept) {
      // The kernel has taken all of it: the same memory serves again.
      this.position = 0;
      this.#sentPosition = 0;
    }
  }

  /** What was not handed to the socket is dropped; nobody waits any longer. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#isSocketFull = false;
    this.#drainGate?.open();
    this.#turnGate?.open();
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
    const gate = this.#turnGate;
    if (this.#isSocketFull || !this.#isOpen) {
      // Who waits for the turn goes on waiting, for the socket.
      if (gate !== null && this.#isOpen) void this.whenReady().then(gate.open);
      this.#turnGate = null;
      return;
    }
    this.#turnGate = null;
    gate?.open();
    if (wasBusy) this.#onDrain();
  }

  #drained(): void {
    if (!this.#isSocketFull) return;
    this.#isSocketFull = false;
    const gate = this.#drainGate;
    this.#drainGate = null;
    gate?.open();
    this.#onDrain();
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
