/**
 * A connection that a proxy passes on. Its header is read first, to the byte, as TLS or anything
 * else may follow; then a transport is made of the connection as if nothing had come before, and
 * does all there is to do.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { CloseReason } from '../base/errors.js';
import { duplicateDescriptor } from '../base/libc.js';
import type { AddressLimits } from './address-limits.js';
import { NO_PLACE } from './address-table.js';
import { type ProxyHeader, readProxyHeader } from './proxy-header.js';
import { socketPeer } from './socket-facts.js';
import type { Peer, Transport, TransportOwner } from './transport.js';

/** What it needs to know of its shard and listener. */
export interface ProxyTransportOptions {
  readonly listener: string;
  readonly limits: AddressLimits;
  readonly shardIndex: number;
  /** Makes the transport that follows the header. */
  readonly make: (accepted: number | Socket) => Transport;
}

export class ProxyTransport implements Transport, TransportOwner {
  owner: TransportOwner | null = null;
  readonly #options: ProxyTransportOptions;
  readonly #accepted: number | Socket;
  /** Reads the header: by a descriptor of its own, if it is not what was accepted itself. */
  readonly #reader: Socket;
  #bytes = Buffer.alloc(0);
  #length = 0;
  #lower: Transport | null = null;
  #client: ProxyHeader = { address: null, port: 0 };
  #place = NO_PLACE;
  #isPaused = false;
  #isOver = false;

  /**
   * @param accepted a descriptor or a socket, this object's from here on.
   * @throws LibcError with code EMFILE when descriptors have run out.
   */
  constructor(accepted: number | Socket, options: ProxyTransportOptions) {
    this.#options = options;
    this.#accepted = accepted;
    this.#reader = typeof accepted === 'number' ? this.#readerOf(accepted) : accepted;
    this.#reader.on('error', ignoreError);
    this.#reader.on('end', this.#onReaderEnd);
    this.#reader.on('close', this.#onReaderClosed);
    if (typeof accepted !== 'number') accepted.on('readable', this.#onReadable);
  }

  get peer(): Peer {
    const { address, port } = this.#client;
    const peer = this.#lower?.peer ?? socketPeer(this.#reader, this.#options.listener);
    return address === null ? peer : { ...peer, address, port };
  }

  get isDestroyed(): boolean {
    return this.#lower?.isDestroyed ?? this.#isOver;
  }

  get hasLeft(): boolean {
    return this.#lower?.hasLeft ?? false;
  }

  get waitingBytes(): number {
    return this.#lower?.waitingBytes ?? 0;
  }

  // ---- from below, behind the header -----------------------------------------------------------

  onRead(length: number): boolean {
    return this.owner?.onRead(length) ?? true;
  }

  onEnd(): void {
    this.owner?.onEnd();
  }

  charge(work: number): boolean {
    return this.owner?.charge(work) ?? false;
  }

  onFault(reason: CloseReason, detail: string): void {
    this.owner?.onFault(reason, detail);
  }

  onTransportClosed(reason?: CloseReason): void {
    this.#options.limits.leave(this.#place, this.#options.shardIndex);
    this.#place = NO_PLACE;
    this.owner?.onTransportClosed(reason);
  }

  // ---- from above ------------------------------------------------------------------------------

  writeNow(buffer: Buffer, start: number, end: number): number {
    return this.#lower?.writeNow(buffer, start, end) ?? 0;
  }

  write(bytes: Buffer, onWritten: () => void): void {
    this.#lower?.write(bytes, onWritten);
  }

  get isPolledOnly(): boolean {
    return this.#lower?.isPolledOnly ?? true;
  }

  readNow(buffer: Buffer, at: number, length: number): number {
    return this.#lower?.readNow(buffer, at, length) ?? 0;
  }

  pause(): void {
    this.#isPaused = true;
    this.#lower?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#lower?.resume();
  }

  probeAfter(seconds: number): void {
    this.#lower?.probeAfter(seconds);
  }

  end(): void {
    if (this.#lower === null) this.destroy();
    else this.#lower.end();
  }

  destroy(): void {
    if (this.#lower !== null) {
      this.#lower.destroy();
    } else if (!this.#isOver) {
      this.#isOver = true;
      this.#closeAccepted();
      this.#reader.destroy();
    }
  }

  // ---- the header ------------------------------------------------------------------------------

  #readerOf(descriptor: number): Socket {
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: duplicateDescriptor(descriptor),
      readable: true,
      writable: false,
      allowHalfOpen: true,
      onread: {
        buffer: () => this.#room(),
        callback: (length) => this.#onBytes(length),
      },
    };
    return new Socket(options);
  }

  /** Where the next bytes go: never more than are surely part of the header. */
  #room(): Buffer {
    const state = readProxyHeader(this.#bytes.subarray(0, this.#length));
    const wanted = state.kind === 'more' ? state.bytes : 1;
    if (this.#length + wanted > this.#bytes.length) {
      const longer = Buffer.allocUnsafe(2 * (this.#length + wanted));
      this.#bytes.copy(longer, 0, 0, this.#length);
      this.#bytes = longer;
    }
    return this.#bytes.subarray(this.#length, this.#length + wanted);
  }

  /** @returns whether more of the header is to be read. */
  #onBytes(length: number): boolean {
    if (this.#isOver || this.#lower !== null) return false;
    this.#length += length;
    const state = readProxyHeader(this.#bytes.subarray(0, this.#length));
    if (state.kind === 'more') return true;
    this.#bytes = Buffer.alloc(0);
    if (state.kind === 'header') this.#admit(state.header);
    else this.owner?.onFault(CloseReason.proxyHeader, state.detail);
    return false;
  }

  readonly #onReadable = (): void => {
    while (!this.#isOver && this.#lower === null) {
      const room = this.#room();
      const bytes: Buffer | null = this.#reader.read(room.length);
      if (bytes === null) return;
      this.#onBytes(bytes.copy(room));
    }
  };

  #admit(header: ProxyHeader): void {
    const { limits, shardIndex, make } = this.#options;
    this.#client = header;
    // Its own connections, such as looks whether this is alive, are nobody's.
    if (header.address !== null) {
      const place = limits.enter(header.address, shardIndex);
      if (place < NO_PLACE) {
        this.owner?.onFault(CloseReason.addressLimit, limits.why(place, header.address));
        return;
      }
      this.#place = place;
    }
    this.#reader.off('readable', this.#onReadable);
    this.#reader.off('end', this.#onReaderEnd);
    this.#reader.off('close', this.#onReaderClosed);
    this.#lower = make(this.#accepted);
    this.#lower.owner = this;
    if (typeof this.#accepted === 'number') this.#reader.destroy();
    if (this.#isPaused) this.#lower.pause();
  }

  /** A worker may only close by `fs` what it has opened by `fs`: Node warns of each otherwise. */
  #closeAccepted(): void {
    if (typeof this.#accepted !== 'number') return;
    new Socket({ fd: this.#accepted, readable: false, writable: false }).destroy();
  }

  readonly #onReaderEnd = (): void => {
    this.owner?.onEnd();
  };

  readonly #onReaderClosed = (): void => {
    if (!this.#isOver) this.#closeAccepted();
    this.#isOver = true;
    this.owner?.onTransportClosed();
  };
}

/** 'close' follows, and says all there is to say. */
function ignoreError(): void {}
