/**
 * How the bytes of one client come and go: a plain descriptor, TLS, WebSocket. What is above asks
 * no transport which it is.
 */
import type { CertificateNames } from '../base/credentials.js';
import type { CloseReason } from '../base/errors.js';

/** What a transport tells its connection. */
export interface TransportOwner {
  /**
   * `length` bytes have been read into the shard's read buffer, behind its headroom.
   * @returns false when no more is to be read for now.
   */
  onRead(length: number): boolean;
  /** The client has closed its side. */
  onEnd(): void;
  /**
   * The transport has done something for the client by itself, such as an answer to a ping: it is
   * part of the client's share of the turn. @returns whether that is used up.
   */
  charge(work: number): boolean;
  /** The client has broken a rule of the transport: the connection is to be closed for it. */
  onFault(reason: CloseReason, detail: string): void;
  /**
   * Nothing comes or goes any more. Called once.
   * @param reason none where it is the end of the connection as such.
   */
  onTransportClosed(reason?: CloseReason): void;
}

/** Who is at the other end. */
export interface Peer {
  /** Address, of the client itself behind a proxy that says so; empty: not known. */
  readonly address: string;
  /** Port of that address; 0: not known, or it has none. */
  readonly port: number;
  /** URI of the listener that it came by. */
  readonly listener: string;
  /** Null: it has shown no certificate. */
  readonly certificate: CertificateNames | null;
}

/** One client's. */
export interface Transport {
  /** Whom it tells; set once, in the turn of the event loop that the transport is made in. */
  owner: TransportOwner | null;
  /** Asks the kernel: to be had only where somebody wants to know. */
  readonly peer: Peer;
  /** Whether it is closed for good. */
  readonly isDestroyed: boolean;
  /**
   * Whether the client has closed its side, though there may be something to read before: a system
   * call, for whoever has paused it for long.
   */
  readonly hasLeft: boolean;
  /** Bytes handed to `write` that the system has not taken: fewer whenever it took some. */
  readonly waitingBytes: number;
  /**
   * Sends of bytes [start, end) what goes at once, past everything that could wait. Only called
   * while nothing waits.
   * @returns how many bytes went; the rest is to be handed to `write`.
   */
  writeNow(buffer: Buffer, start: number, end: number): number;
  /** Sends bytes that are not altered until `onWritten`, which says that the system took them. */
  write(bytes: Buffer, onWritten: () => void): void;
  /** Whether the event loop alone reads it: `readNow` has nothing, ever. */
  readonly isPolledOnly: boolean;
  /**
   * Reads at most `length` bytes that are there into `buffer` at `at`, while it is paused.
   * @returns how many; 0: none for now, or not in this way; -1: the connection is lost.
   */
  readNow(buffer: Buffer, at: number, length: number): number;
  pause(): void;
  resume(): void;
  /** Has the system probe a silent client. @param seconds of silence. */
  probeAfter(seconds: number): void;
  /** Says that nothing more comes from this side; what was written is sent before. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}
