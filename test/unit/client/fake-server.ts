/** A server that does what the test says, byte by byte: the other side of a client under test. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createServer as createTlsServer, TLSSocket, type TlsOptions } from 'node:tls';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import { connack, hex, packetEnd } from '../../support/packets.js';
import { Changes, within } from '../../support/waiting.js';

/** One connection that a client has made. */
export class FakeConnection {
  readonly socket: Duplex;
  /** Sizes of the reads, in order: what the client wrote at once usually comes at once. */
  readonly reads: number[] = [];
  readonly #changes = new Changes();
  readonly #packets: Buffer[] = [];
  #unfinished: Buffer = Buffer.alloc(0);
  #isClosed = false;

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => {});
    socket.on('end', () => this.#onClosed());
    socket.on('close', () => this.#onClosed());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Packets that came and were not read yet. */
  get unread(): number {
    return this.#packets.length;
  }

  send(...packets: Buffer[]): void {
    this.socket.write(Buffer.concat(packets));
  }

  /** Sends in writes of `pieceBytes` bytes, a turn apart. */
  async sendInPieces(bytes: Buffer, pieceBytes: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.socket.write(bytes.subarray(at, at + pieceBytes));
      await nextTurn();
    }
  }

  /** The next packet, whole. @throws Error when the connection ends first. */
  readPacket(what = 'a packet from the client'): Promise<Buffer> {
    return this.#changes.until(
      () => {
        const packet = this.#packets.shift();
        if (packet === undefined && this.#isClosed) throw new Error(`closed, waiting for ${what}`);
        return packet;
      },
      () => what,
    );
  }

  /** The next packet must be these bytes; several packets are read one after the other. */
  async expect(bytes: Buffer | string): Promise<void> {
    let expected = typeof bytes === 'string' ? hex(bytes) : bytes;
    while (expected.length > 0) {
      const packet = expected.subarray(0, packetEnd(expected));
      const text = packet.toString('hex');
      assert.equal((await this.readPacket(`packet ${text.slice(0, 80)}`)).toString('hex'), text);
      expected = expected.subarray(packet.length);
    }
  }

  /** Waits until the client has closed its side, or all. */
  async untilClosed(): Promise<void> {
    await this.#changes.until(
      () => (this.#isClosed ? true : undefined),
      () => 'the client to close the connection',
    );
  }

  /** Closes in order. */
  end(): void {
    this.socket.end();
  }

  /** Cuts the connection as a failing network would. */
  cut(): void {
    if (this.socket instanceof Socket && !(this.socket instanceof TLSSocket)) {
      this.socket.resetAndDestroy();
    } else this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.reads.push(chunk.length);
    let rest = Buffer.concat([this.#unfinished, chunk]);
    for (let end = packetEnd(rest); end !== undefined; end = packetEnd(rest)) {
      this.#packets.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    this.#unfinished = rest;
    this.#changes.notify();
  }

  #onClosed(): void {
    this.#isClosed = true;
    this.#changes.notify();
  }
}

export class FakeServer {
  /** Where it listens, also after `stop`. */
  readonly uri: string;
  readonly #server: Server;
  readonly #changes = new Changes();
  readonly #connections: FakeConnection[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, scheme: string) {
    this.#server = server;
    const address = server.address();
    assert(typeof address === 'object' && address !== null);
    this.uri = `${scheme}://127.0.0.1:${address.port}`;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** Listens on a port of the system's choice. */
  static async start(): Promise<FakeServer> {
    const server = await FakeServer.#listening(createServer({ noDelay: true }), 'mqtt');
    server.#server.on('connection', (socket: Socket) => server.#add(socket));
    return server;
  }

  /** The same with TLS: a connection is accepted when its handshake is over. */
  static async startTls(options: TlsOptions): Promise<FakeServer> {
    const server = await FakeServer.#listening(createTlsServer(options), 'mqtts');
    // What becomes of a handshake is seen from the client's side.
    server.#server.on('tlsClientError', () => {});
    server.#server.on('secureConnection', (socket: Socket) => server.#add(socket));
    return server;
  }

  /** The same with WebSocket, over TLS where `tls` is given; `onConnection` may do as it likes. */
  static async startWebSocket(
    tls?: TlsOptions,
    onConnection: (socket: WebSocket, request: IncomingMessage) => void = () => {},
  ): Promise<FakeServer> {
    const http = tls === undefined ? createHttpServer() : createHttpsServer(tls);
    const server = await FakeServer.#listening(http, tls === undefined ? 'ws' : 'wss');
    const webSockets = new WebSocketServer({ server: http, path: '/mqtt' });
    webSockets.on('connection', (socket: WebSocket, request: IncomingMessage) => {
      onConnection(socket, request);
      server.#add(createWebSocketStream(socket));
    });
    return server;
  }

  static async #listening(server: Server, scheme: string): Promise<FakeServer> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeServer(server, scheme);
  }

  #add(socket: Duplex): void {
    this.#connections.push(new FakeConnection(socket));
    this.#changes.notify();
  }

  /** The next connection; nothing has been read from it. */
  accept(): Promise<FakeConnection> {
    return this.#changes.until(
      () => this.#connections.shift(),
      () => 'a connection',
    );
  }

  /** The next connection, after CONNECT and CONNACK. */
  async acceptClient(sessionPresent = false): Promise<FakeConnection> {
    const connection = await this.accept();
    const packet = await connection.readPacket('CONNECT');
    assert.equal(packet[0], 0x10);
    connection.send(connack(sessionPresent, 0));
    return connection;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await within(closed, 'the fake server to close');
  }
}
