/**
 * A WebSocket client of bytes: sends frames, right or wrong, and hands out the frames that come and
 * the MQTT packets in them.
 */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { hex, packetEnd } from './packets.js';
import type { Bytes, Endpoint } from './raw-client.js';
import { Changes, within } from './waiting.js';
import { clientFrame, splitServerFrames, upgradeRequest } from './websocket-frames.js';

function toBuffer(bytes: Bytes): Buffer {
  return typeof bytes === 'string' ? hex(bytes) : bytes;
}

export class WebSocketClient {
  readonly socket: Socket;
  /** Control frames that have come, and the first bytes of all that were no binary frame. */
  readonly controls: { readonly first: number; readonly payload: Buffer }[] = [];
  /** The head of the answer to the request; empty while it has not come. */
  response = '';
  /** Bytes of MQTT that have come, and frames that they came in. */
  dataBytes = 0;
  dataFrames = 0;
  isClosed = false;
  readonly #changes = new Changes();
  readonly #packets: Buffer[] = [];
  #received: Buffer = Buffer.alloc(0);
  #data: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      this.#changes.notify();
    });
  }

  /** Opens a TCP connection; nothing is sent. */
  static async dial(endpoint: Endpoint): Promise<WebSocketClient> {
    const socket = connectSocket({ host: endpoint.host, port: endpoint.port });
    await within(once(socket, 'connect'), 'a TCP connection');
    return new WebSocketClient(socket);
  }

  /** Opens a WebSocket. @param before bytes in front of the request. */
  static async open(
    endpoint: Endpoint,
    before: Buffer = Buffer.alloc(0),
  ): Promise<WebSocketClient> {
    const client = await WebSocketClient.dial(endpoint);
    client.socket.write(Buffer.concat([before, Buffer.from(upgradeRequest())]));
    await client.untilAnswered();
    if (!client.response.startsWith('HTTP/1.1 101 ')) throw new Error(client.response);
    return client;
  }

  /** Waits for the head of the answer to the request. */
  async untilAnswered(): Promise<string> {
    return this.#changes.until(
      () => this.response || (this.isClosed ? 'closed' : undefined),
      () => 'an answer',
    );
  }

  /** Sends MQTT packets in one frame. */
  send(...packets: Bytes[]): void {
    this.sendRaw(clientFrame(Buffer.concat(packets.map(toBuffer))));
  }

  /** Sends bytes as they are. */
  sendRaw(bytes: Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  /** The next MQTT packet, whole. @throws Error when the connection ends first. */
  readPacket(what = 'a packet'): Promise<Buffer> {
    return this.#changes.until(
      () => {
        const packet = this.#packets.shift();
        if (packet === undefined && this.isClosed) throw new Error(`closed instead of ${what}`);
        return packet;
      },
      () => what,
    );
  }

  /** The next packets must be these bytes. */
  async expect(bytes: Bytes): Promise<void> {
    let expected = toBuffer(bytes);
    while (expected.length > 0) {
      const packet = expected.subarray(0, packetEnd(expected));
      const received = await this.readPacket(packet.toString('hex').slice(0, 80));
      if (!received.equals(packet)) {
        throw new Error(`${received.toString('hex')} instead of ${packet.toString('hex')}`);
      }
      expected = expected.subarray(packet.length);
    }
  }

  /** The next control frame, in hex with its first byte. */
  async readControl(): Promise<string> {
    const control = await this.#changes.until(
      () => this.controls.shift() ?? (this.isClosed ? null : undefined),
      () => 'a control frame',
    );
    if (control === null) throw new Error('closed instead of a control frame');
    return Buffer.concat([Buffer.from([control.first]), control.payload]).toString('hex');
  }

  async untilClosed(): Promise<void> {
    await this.#changes.until(
      () => (this.isClosed ? true : undefined),
      () => 'the connection to be closed',
    );
  }

  /** Closes the connection without a close frame. */
  async cut(): Promise<void> {
    this.socket.destroy();
    await this.untilClosed();
  }

  #onData(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.response === '') {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end >= 0) {
        this.response = this.#received.toString('latin1', 0, end + 4);
        this.#received = this.#received.subarray(end + 4);
      }
    }
    if (this.response !== '') this.#takeFrames();
    this.#changes.notify();
  }

  #takeFrames(): void {
    const { frames, rest } = splitServerFrames(this.#received);
    this.#received = rest;
    for (const { first, payload } of frames) {
      if (first !== 0x82) {
        this.controls.push({ first, payload });
        continue;
      }
      this.dataFrames++;
      this.dataBytes += payload.length;
      this.#data = Buffer.concat([this.#data, payload]);
    }
    for (let end = packetEnd(this.#data); end !== undefined; end = packetEnd(this.#data)) {
      this.#packets.push(this.#data.subarray(0, end));
      this.#data = this.#data.subarray(end);
    }
  }
}
