/** The socket of a client, which knows its connection: so all of them share their listeners. */
import { readSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { errorCode } from '../base/error-code.js';
import type { Connection } from './connection.js';

/** Options of a socket, those among them that net.Socket has no type for. */
interface SocketOptions extends SocketConstructorOpts {
  readonly onread: OnReadOpts;
  readonly emitClose: boolean;
  readonly autoDestroy: boolean;
  readonly decodeStrings: boolean;
}

/** A net.Socket that reads into a buffer of its shard's. */
export class ClientSocket extends Socket {
  connection: Connection | null = null;

  /**
   * @param descriptor an open socket, this object's from here on.
   * @param readBuffer what every read of every socket goes into; it is handled before the next
   * read.
   */
  constructor(descriptor: number, readBuffer: Buffer) {
    const options: SocketOptions = {
      fd: descriptor,
      readable: true,
      writable: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => this.connection?.onRead(length) ?? true,
      },
      // The connection decides what a client's end means: it may have sent all it has to say.
      allowHalfOpen: true,
      // What follows net.Socket sets anyway, on a copy of this. Set already, it spares V8 a new
      // shape of that copy for every socket, at which each access to a property would miss its
      // cache: 5 us a socket instead of 26, with Node 20.
      emitClose: false,
      autoDestroy: true,
      decodeStrings: false,
    };
    super(options);
    this.on('error', ignoreError);
    this.on('end', onEnd);
    this.on('close', onClose);
  }
}

/**
 * Has a connection hear of a socket that the runtime moved to this thread, which reads into buffers
 * of its own: they are copied to the shard's, piece by piece.
 */
export function listenToMoved(socket: Socket, connection: Connection, readBuffer: Buffer): void {
  socket.on('data', (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.copy(readBuffer, 0, at);
      at += length;
      if (!connection.onRead(length)) socket.pause();
    }
  });
  socket.on('error', ignoreError);
  socket.allowHalfOpen = true;
  socket.on('end', () => connection.onEnd());
  socket.on('close', () => connection.onSocketClosed());
}

/**
 * Reads past the stream, for which reading has been stopped: at most `length` bytes of a socket
 * that does not block go to `buffer` at `at`.
 * @returns how many; 0 when there are none for now, or at the end of the stream, which finds that
 * for itself; -1 when the connection is lost.
 */
export function readDescriptor(
  descriptor: number,
  buffer: Buffer,
  at: number,
  length: number,
): number {
  try {
    return readSync(descriptor, buffer, at, length, null);
  } catch (error) {
    return errorCode(error) === 'EAGAIN' ? 0 : -1;
  }
}

/** What net.Socket keeps of libuv's stream: no public property says how far a write has come. */
interface Handle {
  readonly writeQueueSize?: number;
}

/**
 * Bytes of the write at hand that the kernel has not taken: fewer whenever it took some, though the
 * write is not done. All of it where the runtime does not say.
 */
export function waitingBytes(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null };
  return handle?.writeQueueSize ?? socket.writableLength;
}

/** 'close' follows, and says all there is to say. */
function ignoreError(): void {}

function onEnd(this: ClientSocket): void {
  this.connection?.onEnd();
}

function onClose(this: ClientSocket): void {
  this.connection?.onSocketClosed();
}
