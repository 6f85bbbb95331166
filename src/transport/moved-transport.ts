/**
 * A socket that the runtime itself moved to this thread. It reads into buffers of its own, which
 * are copied to the shard's, piece by piece, and writes by its stream alone.
 */
import type { Socket } from 'node:net';
import { hasLeft, socketPeer, waitingBytesOf } from './socket-facts.js';
import type { Peer, Transport, TransportOwner } from './transport.js';

/** See above. */
export class MovedTransport implements Transport {
  owner: TransportOwner | null = null;
  readonly isPolledOnly = true;
  readonly #socket: Socket;
  readonly #listener: string;

  /** For the parameters see DescriptorTransport. */
  constructor(socket: Socket, readBuffer: Buffer, listener: string) {
    this.#socket = socket;
    this.#listener = listener;
    socket.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; ) {
        const length = bytes.copy(readBuffer, 0, at);
        at += length;
        if (this.owner?.onRead(length) === false) socket.pause();
      }
    });
    // 'close' follows, and says all there is to say.
    socket.on('error', () => {});
    socket.allowHalfOpen = true;
    socket.on('end', () => this.owner?.onEnd());
    socket.on('close', () => this.owner?.onTransportClosed());
  }

  get peer(): Peer {
    return socketPeer(this.#socket, this.#listener);
  }

  get isDestroyed(): boolean {
    return this.#socket.destroyed;
  }

  get hasLeft(): boolean {
    return hasLeft(this.#socket);
  }

  get waitingBytes(): number {
    return waitingBytesOf(this.#socket);
  }

  writeNow(): number {
    return 0;
  }

  write(bytes: Buffer, onWritten: () => void): void {
    this.#socket.write(bytes, onWritten);
  }

  readNow(): number {
    return 0;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  probeAfter(seconds: number): void {
    this.#socket.setKeepAlive(true, seconds * 1000);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
