/** The socket of a client, which knows its connection: so all of them share their listeners. */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
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
        callback: (length) => {
          this.connection?.onRead(length);
          return true;
        },
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

/** 'close' follows, and says all there is to say. */
function ignoreError(): void {}

function onEnd(this: ClientSocket): void {
  this.connection?.onEnd();
}

function onClose(this: ClientSocket): void {
  this.connection?.onSocketClosed();
}
