/** One client of a flood: a socket written to without end, whose answers are counted. */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { BenchError } from './bench-error.js';
import { type BrokerAt, descriptorOf, dial, isOverTls, isOverWebSocket } from './dial.js';
import type { FloodChunk } from './floods.js';
import { connectPacket } from './packets.js';
import { WebSocketFrames } from './web-socket.js';

/** A CONNACK that accepts, and whose session is new. */
const CONNACK = Buffer.from([0x20, 2, 0, 0]);

/** Awaited of a server that is to agree to WebSocket. */
const NOTHING = Buffer.alloc(0);

/** Someone who waits for so many bytes. */
interface Waiting {
  readonly bytes: Buffer;
  length: number;
  resolve(bytes: Buffer): void;
  reject(error: Error): void;
}

/** Lives as long as its flood. */
export class FloodClient {
  /** Bytes that the socket has taken, and bytes of answers. */
  bytesSent = 0;
  bytesReceived = 0;
  /** Why it is no longer connected; null while it is. */
  failure: string | null = null;
  readonly #clientId: string;
  readonly #chunk: FloodChunk | null;
  readonly #onReady: (client: FloodClient) => void;
  readonly #readBuffer: Buffer;
  #socket: Socket | null = null;
  /** Over WebSocket alone. */
  #frames: WebSocketFrames | null = null;
  /** The chunk as it goes to the socket. */
  #wire: Buffer;
  #descriptor = -1;
  /** Where in the chunk the next write begins. */
  #at = 0;
  #waiting: Waiting | null = null;

  /**
   * @param chunk what it floods with; null: it only answers and asks.
   * @param readBuffer what every read goes into; nothing of it is kept.
   * @param onReady the socket takes more again.
   */
  constructor(
    clientId: string,
    chunk: FloodChunk | null,
    readBuffer: Buffer,
    onReady: (client: FloodClient) => void,
  ) {
    this.#clientId = clientId;
    this.#chunk = chunk;
    this.#onReady = onReady;
    this.#readBuffer = readBuffer;
    this.#wire = chunk === null ? Buffer.alloc(0) : chunk.bytes;
  }

  /** Resolves with CONNACK. @throws BenchError when it is refused or the connection ends. */
  async connect(at: BrokerAt): Promise<void> {
    const socket = dial(at, this.#readBuffer, (length, bytes) => {
      this.#onRead(Buffer.from(bytes.buffer, bytes.byteOffset, length));
      return true;
    });
    this.#socket = socket;
    socket.on('error', (error) => this.#onClosed(error.message));
    socket.on('end', () => this.#onClosed('the broker closed the connection'));
    socket.on('close', () => this.#onClosed('the connection was closed'));
    if (isOverWebSocket(at.transport)) await this.#upgrade(socket, at);
    const connack = await this.ask(
      connectPacket({
        clientId: this.#clientId,
        version: 4,
        hasAliases: false,
        keepsSession: false,
      }),
      CONNACK.length,
    );
    if (connack[3] !== 0) {
      throw new BenchError(`client ${this.#clientId}: refused with return code ${connack[3]}`);
    }
    if (!isOverTls(at.transport)) this.#descriptor = descriptorOf(socket);
    this.#frame();
  }

  #upgrade(socket: Socket, { host, port, transport }: BrokerAt): Promise<void> {
    const frames = new WebSocketFrames((pong) => socket.write(pong));
    this.#frames = frames;
    socket.once(isOverTls(transport) ? 'secureConnect' : 'connect', () =>
      socket.write(frames.request(host, port)),
    );
    return new Promise((resolve, reject) => {
      this.#waiting = { bytes: NOTHING, length: 0, resolve: () => resolve(), reject };
    });
  }

  /** Lays the chunk out for the socket, as it is now. */
  #frame(): void {
    if (this.#chunk === null || this.#frames === null) return;
    const { bytes } = this.#chunk;
    this.#wire = this.#frames.wrap(bytes, 0, bytes.length);
  }

  /** Bytes of the chunk as it goes to the socket. */
  get wireBytes(): number {
    return this.#wire.length;
  }

  /** Sends a packet. @returns the next bytes, so many. @throws BenchError when none come. */
  ask(packet: Buffer, answerBytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { bytes: Buffer.alloc(answerBytes), length: 0, resolve, reject };
      const { length } = packet;
      this.#socket!.write(this.#frames === null ? packet : this.#frames.wrap(packet, 0, length));
    });
  }

  /** Its end of the connection. */
  get localPort(): number {
    return this.#socket?.localPort ?? 0;
  }

  /** Writes one chunk, or what the socket takes of it. @returns whether it may be called again. */
  flood(): boolean {
    const chunk = this.#chunk;
    if (chunk === null || this.failure !== null) return false;
    const bytes = this.#wire;
    // Beneath TLS nothing is written past it.
    if (this.#descriptor < 0) return this.#floodByStream(bytes);
    let written = 0;
    try {
      written = writeSync(this.#descriptor, bytes, this.#at, bytes.length - this.#at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#descriptor = -1;
    }
    this.bytesSent += written;
    this.#at += written;
    if (this.#at === bytes.length) {
      this.#beginAgain();
      return true;
    }
    // One more byte through the stream, which tells when there is room: so what the socket has
    // taken is known to the byte.
    const isLast = this.#at === bytes.length - 1;
    this.#socket!.write(bytes.subarray(this.#at, this.#at + 1), () => {
      this.bytesSent++;
      this.#at++;
      if (isLast) this.#beginAgain();
      this.#onReady(this);
    });
    return false;
  }

  #floodByStream(bytes: Buffer): boolean {
    const rest = bytes.subarray(this.#at);
    this.#socket!.write(rest, () => {
      this.bytesSent += rest.length;
      this.#beginAgain();
      this.#onReady(this);
    });
    return false;
  }

  /** All of the chunk is written. */
  #beginAgain(): void {
    this.#at = 0;
    if (this.#chunk?.refresh === undefined) return;
    this.#chunk.refresh();
    this.#frame();
  }

  #onRead(read: Buffer): void {
    let bytes = read;
    try {
      if (this.#frames !== null) bytes = read.subarray(0, this.#frames.unwrap(read, read.length));
    } catch (error) {
      this.#onClosed((error as Error).message);
      return;
    }
    const waiting = this.#waiting;
    if (waiting?.bytes === NOTHING && this.#frames?.isUpgraded === false) return;
    if (waiting === null) {
      this.bytesReceived += bytes.length;
      return;
    }
    waiting.length += bytes.copy(waiting.bytes, waiting.length);
    if (waiting.length < waiting.bytes.length) return;
    this.#waiting = null;
    waiting.resolve(waiting.bytes);
  }

  #onClosed(why: string): void {
    if (this.failure !== null) return;
    this.failure = why;
    this.#socket?.destroy();
    this.#waiting?.reject(new BenchError(`client ${this.#clientId}: ${why}`));
    this.#waiting = null;
  }

  /** Ends at once, whatever is on its way. */
  close(): void {
    this.failure ??= 'closed';
    this.#socket?.destroy();
  }
}
