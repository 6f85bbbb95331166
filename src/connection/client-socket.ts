/** The socket of a client, which knows its connection: so all of them share their listeners. */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { CloseReason } from '../base/errors.js';
import type { Connection } from './connection.js';

/** A net.Socket that reads into a buffer of its shard's. */
export class ClientSocket extends Socket {
  connection: Connection | null = null;

  /**
   * @param descriptor an open socket, this object's from here on.
   * @param readBuffer what every read of every socket goes into; it is handled before the next
   * read.
   */
  constructor(descriptor: number, readBuffer: Buffer) {
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: descriptor,
      readable: true,
      writable: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          this.connection?.onRead(length);
          return true;
        },
      },
    };
    super(options);
    this.on('error', ignoreError);
    this.on('end', onEnd);
    this.on('close', onClose);
  }
}

/** 'close' follows, and says all there is to say. */
function ignoreError(): void {}

/** The client has closed its side: it takes nothing more, whatever TCP would allow. */
function onEnd(this: ClientSocket): void {
  this.connection?.close(CloseReason.connectionLost);
}

function onClose(this: ClientSocket): void {
  this.connection?.onSocketClosed();
}
