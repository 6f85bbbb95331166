/**
 * How a sleeping shard is woken: one byte on a pipe. Measured one way: pipe 5-6 us, MessagePort 10
 * us, `Atomics.waitAsync` 20-30 us. The primary makes the pipe; the shard owns the read end, the
 * primary the write end.
 */
import { writeSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { errorCode } from '../base/error-code.js';

/** What is written: its value says nothing. */
const RING = Buffer.from([1]);
/** Rings that one read takes off the pipe. */
const READ_BYTES = 64;
/**
 * Failures to ring that need no ringing: a full pipe has rung already (EAGAIN), and a shard that
 * died reads no more (EPIPE, EBADF).
 */
const HARMLESS: readonly string[] = ['EAGAIN', 'EPIPE', 'EBADF'];

/**
 * Wakes the shard that reads the other end of `writeFd`; -1 is a shard that polls. Never blocks.
 * @throws Error for anything but a full pipe or a dead reader.
 */
export function ringDoorbell(writeFd: number): void {
  if (writeFd < 0) return;
  try {
    writeSync(writeFd, RING, 0, 1);
  } catch (error) {
    if (!HARMLESS.includes(errorCode(error))) throw error;
  }
}

/** The read end of a shard's doorbell. It keeps the thread alive until it is closed. */
export class DoorbellReader {
  readonly #socket: Socket;

  /**
   * @param readFd read end of a pipe; it is this object's from here on.
   * @param onRing called once for all rings that one read finds.
   */
  constructor(readFd: number, onRing: () => void) {
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: readFd,
      readable: true,
      writable: false,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: () => {
          onRing();
          return true;
        },
      },
    };
    this.#socket = new Socket(options);
    this.#socket.resume();
  }

  /** Closes the read end. */
  close(): void {
    this.#socket.destroy();
  }
}
