/** One connection of a client: a socket and packets, both ways, by mqtt-packet. */
import { connect, type Socket } from 'node:net';
import { generate, type Packet, type Parser, parser } from 'mqtt-packet';
import type { Version } from './topics.js';

/** Who is told of what happens on a link. */
export interface LinkOwner {
  onOpen(link: Link): void;
  onPacket(link: Link, packet: Packet): void;
  /** What came is no MQTT; the link is closed. */
  onMalformed(link: Link, error: Error): void;
  onClosed(link: Link): void;
}

/** Lives as long as its socket. */
export class Link {
  readonly #socket: Socket;
  readonly #version: Version;
  #isClosed = false;

  /** Begins to connect. */
  constructor(port: number, version: Version, owner: LinkOwner) {
    this.#version = version;
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket = socket;
    const packets: Parser = parser({ protocolVersion: version });
    packets.on('packet', (packet) => {
      if (!this.#isClosed) owner.onPacket(this, packet);
    });
    packets.on('error', (error: Error) => {
      owner.onMalformed(this, error);
      this.cut();
    });
    socket.on('connect', () => {
      // While nobody listens there, a port can come to be connected with itself.
      if (socket.localPort === socket.remotePort) this.cut();
      else owner.onOpen(this);
    });
    socket.on('data', (bytes) => packets.parse(bytes));
    // A reset is one more way to be closed; 'close' follows.
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      this.#isClosed = true;
      owner.onClosed(this);
    });
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(...packets: Packet[]): void {
    if (!this.#socket.writable || packets.length === 0) return;
    const frames = packets.map((packet) => generate(packet, { protocolVersion: this.#version }));
    this.#socket.write(Buffer.concat(frames));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends what was sent, then ends. */
  end(): void {
    this.#socket.resume();
    this.#socket.end();
  }

  /** Ends at once; what has come and was not read is lost, as are unsent bytes. */
  cut(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }
}
