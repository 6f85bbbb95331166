/**
 * A TCP client of bytes: sends what it is told, right or wrong, and hands out what comes in whole
 * packets.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls';
import { hex, packetEnd } from './packets.js';
import { Changes, within } from './waiting.js';

/** Where a broker listens. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** How to speak TLS there; without, it is plain TCP. */
  readonly tls?: ConnectionOptions | undefined;
}

/** Hex as the tests write it, or bytes. */
export type Bytes = string | Buffer;

function toBuffer(bytes: Bytes): Buffer {
  return typeof bytes === 'string' ? hex(bytes) : bytes;
}

/** A socket on its way there, by TLS where that is spoken. */
export function dial({ host, port, tls }: Endpoint): Socket {
  return tls === undefined ? connectSocket({ host, port }) : connectTls({ host, port, ...tls });
}

/** The event of a socket that may be written to. */
export function whenOpen(socket: Socket): 'connect' | 'secureConnect' {
  return socket instanceof TLSSocket ? 'secureConnect' : 'connect';
}

/** Ends a connection without a word; node cannot reset one behind TLS. */
export function reset(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

export class RawClient {
  readonly #socket: Socket;
  readonly #changes = new Changes();
  readonly #packets: Buffer[] = [];
  #unfinished: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #ended: Promise<void>;
  /** Takes each packet instead of the queue that `readPacket` reads. */
  onPacket: ((packet: Buffer) => void) | null = null;
  /** Called once when the connection has ended, whoever ended it. */
  onClose: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    // A reset is one more way to be closed; 'close' follows.
    socket.on('error', () => {});
    socket.on('end', () => this.#onEnd());
    this.#ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.#onEnd();
        resolve();
      });
    });
  }

  /** Opens a connection; no packet is sent. */
  static async open(endpoint: Endpoint): Promise<RawClient> {
    const socket = dial(endpoint);
    await within(once(socket, whenOpen(socket)), 'a connection');
    return new RawClient(socket);
  }

  /** The peer, or this side, has ended the connection. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The port this side of the connection has. */
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  #onData(chunk: Buffer): void {
    let rest = this.#unfinished.length > 0 ? Buffer.concat([this.#unfinished, chunk]) : chunk;
    for (let end = packetEnd(rest); end !== undefined; end = packetEnd(rest)) {
      const packet = rest.subarray(0, end);
      rest = rest.subarray(end);
      if (this.onPacket === null) this.#packets.push(packet);
      else this.onPacket(packet);
    }
    this.#unfinished = rest;
    this.#changes.notify();
  }

  #onEnd(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#changes.notify();
    this.onClose?.();
  }

  /** Sends all of it in one write. To a peer that has closed, nothing. */
  send(...bytes: Bytes[]): void {
    if (!this.#socket.writable) return;
    this.#socket.write(
      bytes.length === 1 ? toBuffer(bytes[0]) : Buffer.concat(bytes.map(toBuffer)),
    );
  }

  /** Sends it, and resolves when the kernel has taken it, or the connection has ended. */
  sendAll(bytes: Buffer): Promise<void> {
    if (!this.#socket.writable) return Promise.resolve();
    return new Promise((resolve) => this.#socket.write(bytes, () => resolve()));
  }

  /** Sends in writes of `pieceBytes` bytes, a turn of the event loop apart. */
  async sendInPieces(bytes: Bytes, pieceBytes = 1): Promise<void> {
    const whole = toBuffer(bytes);
    for (let at = 0; at < whole.length && !this.#isClosed; at += pieceBytes) {
      this.send(whole.subarray(at, at + pieceBytes));
      await nextTurn();
    }
  }

  /** The next packet, whole. @throws Error when the connection ends first. */
  readPacket(what = 'a packet'): Promise<Buffer> {
    return this.#changes.until(
      () => {
        const packet = this.#packets.shift();
        if (packet === undefined && this.#isClosed) {
          throw new Error(`connection closed while waiting for ${what}`);
        }
        return packet;
      },
      () => what,
    );
  }

  /**
   * The next packet must be these bytes; several packets in one buffer are read one after another.
   */
  async expect(bytes: Bytes): Promise<void> {
    let expected = toBuffer(bytes);
    while (expected.length > 0) {
      const packet = expected.subarray(0, packetEnd(expected));
      const received = await this.readPacket(`packet ${packet.toString('hex').slice(0, 80)}`);
      assert.equal(received.toString('hex'), packet.toString('hex'));
      expected = expected.subarray(packet.length);
    }
  }

  /** The connection must be closed by the peer with nothing more sent. */
  async expectClose(): Promise<void> {
    await this.untilClosed();
    const left = this.#packets.map((packet) => packet.toString('hex').slice(0, 80));
    assert.deepEqual(left, [], 'packets before the close');
    assert.equal(this.#unfinished.length, 0, 'part of a packet before the close');
  }

  /** Waits for the end of the connection, whatever comes before it. */
  async untilClosed(): Promise<void> {
    await this.#changes.until(
      () => (this.#isClosed ? true : undefined),
      () => 'the connection to be closed',
    );
  }

  /** Stops reading: what comes fills the kernel's buffers and then the broker's. */
  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** Ends the connection in order: what was sent goes out, then FIN. */
  async end(): Promise<void> {
    this.#socket.end();
    this.#socket.resume();
    await within(this.#ended, 'the end of the connection');
  }

  /** Cuts the connection with a reset, as a failing network would; unsent bytes are lost. */
  async cut(): Promise<void> {
    // Node's reset waits for writes under way, and for ever once the other side has ended.
    if (this.#isClosed || this.#socket.writableLength > 0) this.#socket.destroy();
    else if (this.#socket instanceof TLSSocket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
    await within(this.#ended, 'the end of the connection');
  }
}
