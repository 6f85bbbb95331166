/** One client of a flood: a socket written to without end, whose answers are counted. */
import { writeSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { BenchError } from './bench-error.js';
import type { FloodChunk } from './floods.js';
import { descriptorOf } from './load-client.js';
import { connectPacket } from './packets.js';

/** A CONNACK that accepts, and whose session is new. */
const CONNACK = Buffer.from([0x20, 2, 0, 0]);

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
  readonly #socket: Socket;
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
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      onread: {
        buffer: readBuffer,
        callback: (length, bytes) => {
          this.#onRead(Buffer.from(bytes.buffer, bytes.byteOffset, length));
          return true;
        },
      },
    };
    this.#socket = new Socket(options);
    this.#socket.on('error', (error) => this.#onClosed(error.message));
    this.#socket.on('end', () => this.#onClosed('the broker closed the connection'));
    this.#socket.on('close', () => this.#onClosed('the connection was closed'));
  }

  /** Resolves with CONNACK. @throws BenchError when it is refused or the connection ends. */
  async connect(host: string, port: number): Promise<void> {
    this.#socket.connect({ host, port, noDelay: true });
    const connack = await this.ask(connectPacket(this.#clientId), CONNACK.length);
    if (connack[3] !== 0) {
      throw new BenchError(`client ${this.#clientId}: refused with return code ${connack[3]}`);
    }
    this.#descriptor = descriptorOf(this.#socket);
  }

  /** Sends a packet. @returns the next bytes, so many. @throws BenchError when none come. */
  ask(packet: Buffer, answerBytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { bytes: Buffer.alloc(answerBytes), length: 0, resolve, reject };
      this.#socket.write(packet);
    });
  }

  /** Its end of the connection. */
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /** Writes one chunk, or what the socket takes of it. @returns whether it may be called again. */
  flood(): boolean {
    const chunk = this.#chunk;
    if (chunk === null || this.failure !== null) return false;
    const { bytes } = chunk;
    let written = 0;
    try {
      if (this.#descriptor >= 0) {
        written = writeSync(this.#descriptor, bytes, this.#at, bytes.length - this.#at);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#descriptor = -1;
    }
    this.bytesSent += written;
    this.#at += written;
    if (this.#at === bytes.length) {
      this.#at = 0;
      chunk.refresh?.();
      return true;
    }
    // One more byte through the stream, which tells when there is room: so what the socket has
    // taken is known to the byte.
    const isLast = this.#at === bytes.length - 1;
    this.#socket.write(bytes.subarray(this.#at, this.#at + 1), () => {
      this.bytesSent++;
      this.#at = isLast ? 0 : this.#at + 1;
      if (isLast) chunk.refresh?.();
      this.#onReady(this);
    });
    return false;
  }

  #onRead(bytes: Buffer): void {
    const waiting = this.#waiting;
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
    this.#socket.destroy();
    this.#waiting?.reject(new BenchError(`client ${this.#clientId}: ${why}`));
    this.#waiting = null;
  }

  /** Ends at once, whatever is on its way. */
  close(): void {
    this.failure ??= 'closed';
    this.#socket.destroy();
  }
}
