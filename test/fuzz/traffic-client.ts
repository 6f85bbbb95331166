/** A client of few objects: millions of packets go through it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { type ConnectFields, connect, DISCONNECT, PINGREQ } from '../support/packets.js';
import type { Endpoint } from '../support/raw-client.js';
import { Changes, within } from '../support/waiting.js';

/** Takes the packets of a connection: the body is [start, end) of `bytes`. */
export type OnPacket = (header: number, bytes: Buffer, start: number, end: number) => void;

/** One connection. */
export class TrafficClient {
  readonly changes = new Changes();
  sessionPresent = false;
  isClosed = false;
  #socket: Socket;
  #unfinished: Buffer = Buffer.alloc(0);
  #onPacket: OnPacket;
  #pings = 0;
  #connack = -1;

  private constructor(socket: Socket, onPacket: OnPacket) {
    this.#socket = socket;
    this.#onPacket = onPacket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      this.changes.notify();
    });
  }

  static async connect(
    endpoint: Endpoint,
    fields: ConnectFields,
    onPacket: OnPacket,
  ): Promise<TrafficClient> {
    const socket = connectSocket({ host: endpoint.host, port: endpoint.port });
    await within(once(socket, 'connect'), 'a TCP connection');
    const client = new TrafficClient(socket, onPacket);
    client.write(connect(fields));
    await client.until(() => client.#connack >= 0, 'CONNACK');
    assert.equal(client.#connack, 0, 'CONNACK return code');
    return client;
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Bytes that the kernel has not taken yet. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Waits until `holds`. @throws Error when the connection ends first. */
  async until(holds: () => boolean, what: string): Promise<void> {
    await this.changes.until(
      () => {
        if (holds()) return true;
        if (this.isClosed) throw new Error(`connection closed while waiting for ${what}`);
        return undefined;
      },
      () => what,
    );
  }

  /** All that was sent has been handled. */
  async ping(): Promise<void> {
    const seen = this.#pings;
    this.write(PINGREQ);
    await this.until(() => this.#pings > seen, 'PINGRESP');
  }

  /** DISCONNECT, and the close that follows. */
  async disconnect(): Promise<void> {
    this.write(DISCONNECT);
    await this.changes.until(
      () => (this.isClosed ? true : undefined),
      () => 'the close',
    );
  }

  /** Cuts the connection, as a failing network would. */
  async cut(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#unfinished.length > 0 ? Buffer.concat([this.#unfinished, chunk]) : chunk;
    let at = 0;
    while (at + 2 <= bytes.length) {
      let body = at + 1;
      let length = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[body++];
        length |= (byte & 0x7f) << shift;
        if (byte < 0x80 || body >= bytes.length) break;
      }
      if (bytes[body - 1] >= 0x80 || body + length > bytes.length) break;
      this.#onFrame(bytes[at], bytes, body, body + length);
      at = body + length;
    }
    this.#unfinished = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
    this.changes.notify();
  }

  #onFrame(header: number, bytes: Buffer, start: number, end: number): void {
    if (header === 0xd0) this.#pings++;
    else if (header === 0x20) {
      this.sessionPresent = bytes[start] === 1;
      this.#connack = bytes[start + 1];
    } else this.#onPacket(header, bytes, start, end);
  }
}
