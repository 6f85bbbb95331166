/** Transports of node:net and node:tls: TCP, a Unix domain socket, TLS. */
import { connect as connectSocket, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { READ_BUFFER_BYTES } from '../base/limits.js';
import { HeldReads } from './held-reads.js';
import type { ClientSettings } from './options.js';
import type { TlsSettings } from './tls-options.js';
import type { Transport, TransportOwner } from './transport.js';

/**
 * All connections of a thread read into this: what is read is scanned before anything else is read.
 */
let sharedReadBuffer: Buffer | null = null;

function readBuffer(): Buffer {
  sharedReadBuffer ??= Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  return sharedReadBuffer;
}

/** Where to connect to, and from. */
function targetOf({ host, port, socketPath, localAddress }: ClientSettings) {
  if (socketPath !== undefined) return { path: socketPath };
  return { host, port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) };
}

/** A socket, whatever its kind; how its bytes come is up to who made it. */
class SocketTransport implements Transport {
  stage: string;
  readonly #socket: Socket;
  readonly #reads: HeldReads | null;

  /**
   * @param openEvent of the socket, by which it is ready.
   * @param reads what the socket may give although it was told to stop; null: it does not.
   */
  constructor(
    socket: Socket,
    owner: TransportOwner,
    stage: string,
    openEvent: string,
    reads: HeldReads | null,
  ) {
    this.#socket = socket;
    this.#reads = reads;
    this.stage = 'connection';
    socket.on('connect', () => {
      this.stage = stage;
    });
    socket.on(openEvent, () => owner.onOpen());
    socket.on('error', (error) => owner.onEnd(error));
    socket.on('end', () => owner.onEnd(null));
    socket.on('close', () => owner.onTransportClosed());
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Buffer, onWritten: (error?: Error | null) => void): void {
    this.#socket.write(bytes, onWritten);
  }

  resume(): void {
    if (this.#reads === null || this.#reads.resume()) this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
    this.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Connects by TCP, for a transport that reads by itself. */
export function plainSocket(settings: ClientSettings): Socket {
  return connectSocket(targetOf(settings));
}

/** Connects by TCP or a Unix domain socket. */
export function openSocket(settings: ClientSettings, owner: TransportOwner): Transport {
  const buffer = readBuffer();
  const socket = connectSocket({
    ...targetOf(settings),
    onread: { buffer, callback: (length) => owner.onRead(buffer, length) },
  });
  return new SocketTransport(socket, owner, 'connection', 'connect', null);
}

/** What one client's TLS connections hand on to the next. */
export interface TlsMemory {
  /** A session that the server has given, to be resumed: spares both sides most of a handshake. */
  session: Buffer | null;
}

/** Makes a TLS connection; its socket is not ready yet. @param onread buffer for what comes. */
export function tlsSocket(
  settings: ClientSettings,
  tls: TlsSettings,
  memory: TlsMemory,
  onread: { buffer: Buffer; callback: (length: number) => boolean } | null,
): TLSSocket {
  const { host } = settings;
  const socket = connectTls({
    ...targetOf(settings),
    ...(onread === null ? {} : { onread }),
    secureContext: tls.context,
    // An address cannot be named by SNI [RFC 6066, 3].
    servername: tls.servername ?? (isIP(host) === 0 ? host : ''),
    ALPNProtocols: [...tls.alpn],
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(tls.checkHost ? {} : { checkServerIdentity: () => undefined }),
    ...(memory.session === null ? {} : { session: memory.session }),
  });
  socket.setNoDelay(true);
  // A session that leads to a connection that fails may be why it fails.
  memory.session = null;
  socket.on('session', (session) => {
    memory.session = session;
  });
  return socket;
}

/** Connects by TLS. */
export function openTls(
  settings: ClientSettings,
  tls: TlsSettings,
  memory: TlsMemory,
  owner: TransportOwner,
): Transport {
  const buffer = readBuffer();
  const reads = new HeldReads((bytes, length) => owner.onRead(bytes, length));
  const socket = tlsSocket(settings, tls, memory, {
    buffer,
    callback: (length) => reads.push(buffer, length),
  });
  return new SocketTransport(socket, owner, 'TLS handshake', 'secureConnect', reads);
}
