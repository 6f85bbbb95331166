/** The transports of a client in a browser: WebSocket, as the browser has it. */
import {
  CLIENT_WS_HELD_BYTES,
  CLIENT_WS_POLL_MS,
  CLIENT_WS_SLACK_BYTES,
} from '../../base/limits.js';
import { formatBrokerUri } from '../broker-uri.js';
import { Fifo } from '../fifo.js';
import type { ProtocolLevel } from '../handshake.js';
import { HeldReads } from '../held-reads.js';
import type { ClientSettings } from '../options.js';
import type { Transport, TransportOwner } from '../transport.js';
import { closeFault, subprotocolOf, textFault } from '../ws-faults.js';

/** What is used of a browser's WebSocket. */
interface BrowserWebSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(bytes: Uint8Array): void;
  close(): void;
}
type WebSocketConstructor = new (url: string, protocols: string) => BrowserWebSocket;

/** A write that the browser has not sent. */
interface Write {
  /** Where it ends, in all bytes of the connection. */
  readonly end: number;
  readonly onWritten: () => void;
}

/** A connection by the browser's WebSocket, which says little and cannot be told to wait. */
class BrowserTransport implements Transport {
  readonly stage = 'connection';
  readonly #owner: TransportOwner;
  readonly #reads: HeldReads;
  #webSocket: BrowserWebSocket | null = null;
  #isOpen = false;
  #sentBytes = 0;
  readonly #writes = new Fifo<Write>();
  /** `#settle` is going to be called. */
  #isSettling = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: ClientSettings, version: ProtocolLevel, owner: TransportOwner) {
    this.#owner = owner;
    this.#reads = new HeldReads((buffer, length) => owner.onRead(buffer, length));
    try {
      const { WebSocket } = globalThis as unknown as { WebSocket: WebSocketConstructor };
      const url = formatBrokerUri(settings);
      this.#webSocket = this.#listenTo(new WebSocket(url, subprotocolOf(version)));
    } catch (error) {
      // Such as ws: from a page that came by https:.
      queueMicrotask(() => this.#onClosed(error as Error));
    }
  }

  #listenTo(webSocket: BrowserWebSocket): BrowserWebSocket {
    webSocket.binaryType = 'arraybuffer';
    webSocket.onopen = () => {
      this.#isOpen = true;
      this.#owner.onOpen();
    };
    webSocket.onmessage = ({ data }) => this.#onMessage(data);
    webSocket.onclose = ({ code, reason }) => {
      const why = 'the browser does not say why, but to its console';
      this.#onClosed(this.#isOpen ? closeFault(code, reason) : new Error(why));
    };
    return webSocket;
  }

  get waitingBytes(): number {
    const bytes = this.#webSocket?.bufferedAmount ?? 0;
    return bytes <= CLIENT_WS_SLACK_BYTES ? 0 : bytes;
  }

  write(bytes: Buffer, onWritten: () => void): void {
    this.#webSocket?.send(bytes);
    this.#sentBytes += bytes.length;
    this.#writes.push({ end: this.#sentBytes, onWritten });
    if (this.#isSettling) return;
    this.#isSettling = true;
    queueMicrotask(() => this.#settle());
  }

  resume(): void {
    this.#reads.resume();
  }

  end(): void {
    this.resume();
    this.#webSocket?.close();
  }

  destroy(): void {
    const webSocket = this.#webSocket;
    if (webSocket === null) return;
    webSocket.onopen = null;
    webSocket.onmessage = null;
    webSocket.onclose = null;
    webSocket.close();
    // How long the server takes to answer the close is nobody's affair.
    queueMicrotask(() => this.#onClosed(null));
  }

  #onMessage(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) {
      this.#owner.onEnd(textFault());
      return;
    }
    this.#reads.push(Buffer.from(data), data.byteLength);
    if (this.#reads.heldBytes <= CLIENT_WS_HELD_BYTES) return;
    this.#owner.onEnd(new Error('more messages come than are taken, and a browser reads them all'));
  }

  #onClosed(error: Error | null): void {
    if (this.#webSocket === null && error === null) return;
    this.#webSocket = null;
    clearTimeout(this.#timer);
    this.#owner.onEnd(error);
    this.#owner.onTransportClosed();
  }

  /** Tells of the writes that are sent; the browser has no event for it. */
  #settle(): void {
    if (this.#webSocket === null) return;
    const sent = this.#sentBytes - this.waitingBytes;
    for (let write = this.#writes.peek(); write !== undefined; write = this.#writes.peek()) {
      if (write.end > sent) break;
      this.#writes.shift();
      write.onWritten();
    }
    this.#isSettling = this.#writes.length > 0;
    if (this.#isSettling) {
      this.#timer = setTimeout(() => this.#settle(), CLIENT_WS_POLL_MS);
    }
  }
}

/** The transports of one client. */
export class Transports {
  readonly #settings: ClientSettings;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  /** Begins a connection for a protocol version; `owner` is told of it later. */
  open(version: ProtocolLevel, owner: TransportOwner): Transport {
    return new BrowserTransport(this.#settings, version, owner);
  }
}
