/** The transport of WebSocket, by the package `ws`. Bytes in frames are a stream [MQTT-6.0.0-2]. */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import { CLIENT_WS_MESSAGE_BYTES } from '../base/limits.js';
import { formatBrokerUri } from './broker-uri.js';
import type { ProtocolLevel } from './handshake.js';
import { HeldReads } from './held-reads.js';
import type { ClientSettings } from './options.js';
import { plainSocket, type TlsMemory, tlsSocket } from './socket-transport.js';
import type { Transport, TransportOwner } from './transport.js';
import { closeFault, statusFault, subprotocolOf, textFault } from './ws-faults.js';

let constructorOfWs: typeof WebSocket | null = null;

/** Loaded with the first connection of this kind: it takes longer than all else of the client. */
function webSocketConstructor(): typeof WebSocket {
  constructorOfWs ??= createRequire(import.meta.url)('ws') as typeof WebSocket;
  return constructorOfWs;
}

/** A connection by WebSocket, over TCP or TLS. */
export class WsTransport implements Transport {
  stage = 'connection';
  readonly #ws: WebSocket;
  readonly #reads: HeldReads;

  constructor(
    settings: ClientSettings,
    version: ProtocolLevel,
    memory: TlsMemory,
    owner: TransportOwner,
  ) {
    const { requestPath, maxPacketBytes } = settings;
    this.#reads = new HeldReads((buffer, length) => owner.onRead(buffer, length));
    const url = formatBrokerUri(settings);
    this.#ws = new (webSocketConstructor())(url, subprotocolOf(version), {
      createConnection: () => this.#connect(settings, memory),
      perMessageDeflate: false,
      maxPayload: Math.max(maxPacketBytes, CLIENT_WS_MESSAGE_BYTES),
    });
    this.#listen(requestPath, owner);
  }

  #connect(settings: ClientSettings, memory: TlsMemory): Socket {
    const { tls } = settings;
    const handshake = 'WebSocket handshake';
    if (tls === null) {
      return plainSocket(settings).on('connect', () => {
        this.stage = handshake;
      });
    }
    const socket = tlsSocket(settings, tls, memory, null);
    socket.on('connect', () => {
      this.stage = 'TLS handshake';
    });
    return socket.on('secureConnect', () => {
      this.stage = handshake;
    });
  }

  #listen(requestPath: string, owner: TransportOwner): void {
    const ws = this.#ws;
    ws.on('open', () => owner.onOpen());
    ws.on('message', (data: RawData, isBinary: boolean) => {
      if (!isBinary) owner.onEnd(textFault());
      // `binaryType` is 'nodebuffer': one Buffer.
      else if (!this.#reads.push(data as Buffer, (data as Buffer).length)) ws.pause();
    });
    ws.on('unexpected-response', (request, response) => {
      request.destroy();
      owner.onEnd(statusFault(response.statusCode ?? 0, requestPath));
    });
    ws.on('error', (error) => owner.onEnd(error));
    ws.on('close', (code, reason) => {
      owner.onEnd(closeFault(code, reason.toString()));
      owner.onTransportClosed();
    });
  }

  get waitingBytes(): number {
    return this.#ws.bufferedAmount;
  }

  write(bytes: Buffer, onWritten: (error?: Error | null) => void): void {
    this.#ws.send(bytes, onWritten);
  }

  resume(): void {
    if (this.#reads.resume()) this.#ws.resume();
  }

  end(): void {
    // Reads on, for the server's answer to the close frame.
    this.resume();
    this.#ws.close();
  }

  destroy(): void {
    this.#ws.terminate();
  }
}
