/**
 * A client behind TLS. The client's first bytes are waited for on its bare socket; then a TLSSocket
 * is made over it, whose cryptography runs in this thread.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { Counter, type Counters } from '../base/counters.js';
import type { CertificateNames } from '../base/credentials.js';
import { CloseReason } from '../base/errors.js';
import { TLS_BUFFER_BYTES } from '../base/limits.js';
import type { ListenerConfig, TlsConfig } from '../base/listener-config.js';
import { namesOf } from './certificate-names.js';
import { Handshake, HandshakeFault, type Handshakes } from './handshakes.js';
import { hasLeft, socketPeer, waitingBytesOf } from './socket-facts.js';
import type { TlsContexts } from './tls-contexts.js';
import { handshakeDetail, isNoHandshake } from './tls-faults.js';
import type { Peer, Transport, TransportOwner } from './transport.js';

/** What a TLS transport needs of its shard. */
export interface TlsHost {
  readonly readSlice: Buffer;
  readonly counters: Counters;
  readonly handshakes: Handshakes;
  /** @throws Error when they cannot be made. */
  tlsContexts(listener: ListenerConfig): TlsContexts;
}

/** What Node keeps of OpenSSL's side: no public property says what came of the certificate. */
interface TlsHandle {
  /** Null: the client's certificate is valid. */
  verifyError(): (Error & { readonly code?: string }) | null;
  readonly writeQueueSize?: number;
}

/** What is spoken above TLS [ALPN]: who asks for something else is on the wrong port. */
const PROTOCOLS = ['mqtt'];
/** The same where a WebSocket begins. */
const WEBSOCKET_PROTOCOLS = ['http/1.1'];

/** See above. */
export class TlsTransport implements Transport {
  owner: TransportOwner | null = null;
  readonly isPolledOnly = true;
  readonly #host: TlsHost;
  readonly #listener: ListenerConfig;
  readonly #socket: Socket;
  /** Null until the client has sent something. */
  #tls: TLSSocket | null = null;
  /** Null when it is over. */
  #handshake: Handshake | null;
  #certificate: CertificateNames | null = null;
  #isPaused = false;
  #hasFailed = false;

  /** @param accepted an open descriptor, or a socket: this object's from here on. */
  constructor(accepted: number | Socket, listener: ListenerConfig, host: TlsHost) {
    this.#host = host;
    this.#listener = listener;
    this.#socket = typeof accepted === 'number' ? new Socket(optionsOf(accepted)) : accepted;
    this.#socket.allowHalfOpen = true;
    this.#handshake = new TlsHandshake(this);
    host.handshakes.expect(this.#handshake);
    this.#socket.on('error', ignoreError);
    this.#socket.once('close', () => this.#onClosed());
    this.#socket.once('readable', () => this.#onFirstBytes());
  }

  get peer(): Peer {
    return socketPeer(this.#socket, this.#listener.uri, this.#certificate);
  }

  get isDestroyed(): boolean {
    return this.#socket.destroyed || this.#hasFailed;
  }

  get hasLeft(): boolean {
    return hasLeft(this.#socket);
  }

  /** What OpenSSL has of it, too. */
  get waitingBytes(): number {
    const tls = this.#tls;
    if (tls === null) return 0;
    return waitingBytesOf(this.#socket) + waitingBytesOf(tls) + tls.writableLength;
  }

  /**
   * OpenSSL takes at once what it is given, and the kernel what it can: what it has not taken is
   * bounded here, as it is in the kernel's own buffer. So a last reply goes out before the close.
   */
  writeNow(buffer: Buffer, start: number, end: number): number {
    const tls = this.#tls;
    if (tls === null || this.#handshake !== null || tls.destroyed) return 0;
    const length = Math.min(end - start, TLS_BUFFER_BYTES - tls.writableLength);
    if (length <= 0) return 0;
    const bytes = buffer.subarray(start, start + length);
    // While one write is under way the stream keeps the next as it is.
    tls.write(tls.writableLength === 0 ? bytes : Buffer.from(bytes));
    return length;
  }

  write(bytes: Buffer, onWritten: () => void): void {
    this.#tls?.write(bytes, onWritten);
  }

  /** What is encrypted cannot be read past the event loop. */
  readNow(): number {
    return this.isDestroyed ? -1 : 0;
  }

  pause(): void {
    this.#isPaused = true;
    this.#tls?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#handshake === null) this.#tls?.resume();
  }

  probeAfter(seconds: number): void {
    this.#socket.setKeepAlive(true, seconds * 1000);
  }

  end(): void {
    if (this.#tls === null || this.#handshake !== null) this.destroy();
    else this.#tls.end();
  }

  destroy(): void {
    if (this.#tls === null) this.#socket.destroy();
    else this.#tls.destroy();
  }

  /** The client's turn has come: its first bytes are with the socket still. */
  begin(): void {
    const { tls, websocket } = this.#listener;
    if (this.#socket.destroyed) return;
    let contexts: TlsContexts;
    try {
      contexts = this.#host.tlsContexts(this.#listener);
    } catch (error) {
      this.fail(HandshakeFault.protocol, String(error));
      return;
    }
    const protocols = websocket === null ? PROTOCOLS : WEBSOCKET_PROTOCOLS;
    const socket = new TLSSocket(this.#socket, tlsOptions(tls!, contexts, protocols));
    this.#tls = socket;
    socket.on('error', ignoreError);
    // Whatever went wrong, behind the handshake as well: this event alone says it each time.
    socket.on('_tlsError', (error: Error) => this.#onError(error));
    socket.once('secure', () => this.#onSecure(tls!));
  }

  /** The handshake has come to no good end. */
  fail(fault: HandshakeFault, detail: string): void {
    const handshake = this.#handshake;
    if (handshake === null || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#host.handshakes.noteFailed(handshake, fault, detail, this.#socket.remoteAddress ?? '');
    this.destroy();
  }

  #onFirstBytes(): void {
    if (this.#handshake === null || this.#socket.destroyed) return;
    if (this.#socket.readableLength === 0) {
      this.fail(HandshakeFault.left, 'it sent nothing');
      return;
    }
    const bytes = this.#socket.read() as Buffer;
    const detail = isNoHandshake(bytes);
    if (detail === undefined) {
      this.#socket.unshift(bytes);
      this.#host.handshakes.admit(this.#handshake);
    } else {
      this.fail(HandshakeFault.protocol, detail);
    }
  }

  #onSecure(config: TlsConfig): void {
    const tls = this.#tls!;
    const handshake = this.#handshake;
    if (handshake === null || this.#hasFailed) return;
    if (config.clientCertificate !== 'none' && !this.#takeCertificate(tls, config)) return;
    this.#handshake = null;
    this.#host.handshakes.succeed(handshake);
    if (tls.isSessionReused()) this.#host.counters.add(Counter.handshakesResumed, 1);
    tls.on('data', (bytes: Buffer) => this.#onData(bytes));
    tls.on('end', () => this.owner?.onEnd());
    if (this.#isPaused) tls.pause();
  }

  /** @returns false when the client was closed for it. */
  #takeCertificate(tls: TLSSocket, { clientCertificate }: TlsConfig): boolean {
    const certificate = tls.getPeerX509Certificate();
    if (certificate === undefined) {
      if (clientCertificate === 'optional') return true;
      this.fail(HandshakeFault.certificate, 'it shows no certificate');
      return false;
    }
    const error = handleOf(tls)?.verifyError() ?? null;
    if (error !== null) {
      this.fail(HandshakeFault.certificate, `its certificate is not accepted: ${error.code}`);
      return false;
    }
    this.#certificate = namesOf(certificate);
    return true;
  }

  #onData(bytes: Buffer): void {
    const { readSlice } = this.#host;
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.copy(readSlice, 0, at);
      at += length;
      if (this.owner?.onRead(length) === false) this.pause();
    }
  }

  #onError(error: Error): void {
    if (this.#handshake === null) {
      this.destroy();
      return;
    }
    const { fault, detail } = handshakeDetail(error);
    this.fail(fault, detail);
  }

  #onClosed(): void {
    if (this.#handshake !== null) {
      this.fail(HandshakeFault.left, 'it left');
      this.#handshake = null;
    }
    this.owner?.onTransportClosed(this.#hasFailed ? CloseReason.handshakeFailed : undefined);
  }
}

/** What is there of a client until its handshake is over. */
class TlsHandshake extends Handshake {
  readonly #transport: TlsTransport;

  constructor(transport: TlsTransport) {
    super();
    this.#transport = transport;
  }

  begin(): void {
    this.#transport.begin();
  }

  fail(fault: HandshakeFault, detail: string): void {
    this.#transport.fail(fault, detail);
  }
}

/** Set already, these spare V8 a new shape of net.Socket's copy: see DescriptorTransport. */
function optionsOf(fd: number): SocketConstructorOpts {
  const options: SocketConstructorOpts & Record<string, boolean | number> = {
    fd,
    readable: true,
    writable: true,
    allowHalfOpen: true,
    emitClose: false,
    autoDestroy: true,
    decodeStrings: false,
  };
  return options;
}

function tlsOptions(tls: TlsConfig, contexts: TlsContexts, protocols: string[]) {
  const isAsked = tls.clientCertificate !== 'none';
  return {
    isServer: true,
    secureContext: contexts.first,
    requestCert: isAsked,
    rejectUnauthorized: tls.clientCertificate === 'required',
    ALPNProtocols: protocols,
    ...(contexts.areSeveral
      ? {
          SNICallback: (name: string, done: (error: null, context: SecureContext) => void) =>
            done(null, contexts.find(name)),
        }
      : {}),
  };
}

function handleOf(tls: TLSSocket): TlsHandle | null {
  const { _handle: handle } = tls as TLSSocket & { readonly _handle?: TlsHandle | null };
  return handle ?? null;
}

/** 'close' follows, and says all there is to say. */
function ignoreError(): void {}
