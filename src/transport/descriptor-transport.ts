/**
 * A client's plain descriptor: what is read comes by the event loop, or past it, and what is
 * written goes to the kernel at once, with one system call and nothing allocated. The stream is
 * used for what the kernel does not take.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { readDescriptor, writeDescriptor } from './descriptor-io.js';
import { hasLeft, socketPeer, waitingBytesOf } from './socket-facts.js';
import type { Peer, Transport, TransportOwner } from './transport.js';

/** Options of a socket, those among them that net.Socket has no type for. */
interface SocketOptions extends SocketConstructorOpts {
  readonly onread: OnReadOpts;
  readonly emitClose: boolean;
  readonly autoDestroy: boolean;
  readonly decodeStrings: boolean;
}

/**
 * A net.Socket that reads into a buffer of its shard's. It is the transport itself, not a part of
 * it: one object less for each of many idle connections.
 */
export class DescriptorTransport extends Socket implements Transport {
  owner: TransportOwner | null = null;
  readonly #listener: string;
  /** -1 when a write past the stream has failed: the connection is lost. */
  #descriptor: number;

  /**
   * @param descriptor an open socket, this object's from here on.
   * @param readBuffer what every read of every socket goes into; it is handled before the next
   * read.
   * @param listener URI of the listener that the client came by.
   */
  constructor(descriptor: number, readBuffer: Buffer, listener: string) {
    const options: SocketOptions = {
      fd: descriptor,
      readable: true,
      writable: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => this.owner?.onRead(length) ?? true,
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
    this.#descriptor = descriptor;
    this.#listener = listener;
    this.on('error', ignoreError);
    this.on('end', onEnd);
    this.on('close', onClose);
  }

  get peer(): Peer {
    return socketPeer(this, this.#listener);
  }

  get isDestroyed(): boolean {
    return this.destroyed;
  }

  get isPolledOnly(): boolean {
    return false;
  }

  get hasLeft(): boolean {
    return hasLeft(this);
  }

  get waitingBytes(): number {
    return waitingBytesOf(this);
  }

  writeNow(buffer: Buffer, start: number, end: number): number {
    if (this.#descriptor < 0 || this.destroyed) return 0;
    const written = writeDescriptor(this.#descriptor, buffer, start, end);
    if (written >= 0) return written;
    // The stream will find that for itself and report it once.
    this.#descriptor = -1;
    return 0;
  }

  /** At the end of the stream it answers 0 too: the stream finds that for itself. */
  readNow(buffer: Buffer, at: number, length: number): number {
    if (this.#descriptor < 0 || this.destroyed) return -1;
    return readDescriptor(this.#descriptor, buffer, at, length);
  }

  probeAfter(seconds: number): void {
    this.setKeepAlive(true, seconds * 1000);
  }
}

/** 'close' follows, and says all there is to say. */
function ignoreError(): void {}

function onEnd(this: DescriptorTransport): void {
  this.owner?.onEnd();
}

function onClose(this: DescriptorTransport): void {
  this.owner?.onTransportClosed();
}
