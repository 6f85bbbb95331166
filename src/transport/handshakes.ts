/**
 * What is between accept and the first byte of MQTT on listeners that have a handshake of their
 * own: so many at a time, in bounded time, a few in each turn of the event loop, and what goes
 * wrong there in counters and one line a second.
 */
import { Counter, type Counters } from '../base/counters.js';
import { Deadline, type Deadlines } from '../base/deadlines.js';
import { HANDSHAKE_LOG_INTERVAL_MS, HANDSHAKES_PER_TURN } from '../base/limits.js';

/** Why a handshake did not come to its end: the label of a log line. */
export const HandshakeFault = {
  /** It took longer than the time for it. */
  timeout: 'timeout',
  /** More began than may be at a time, and it was the oldest. */
  displaced: 'displaced',
  /** The client's certificate is missing, not valid, or revoked. */
  certificate: 'certificate',
  /** What came was no handshake, or none that both sides can go through with. */
  protocol: 'protocol',
  /** The client left in the middle. */
  left: 'left',
} as const;
export type HandshakeFault = (typeof HandshakeFault)[keyof typeof HandshakeFault];

const COUNTERS: Readonly<Record<HandshakeFault, number>> = {
  [HandshakeFault.timeout]: Counter.handshakeTimeouts,
  [HandshakeFault.displaced]: Counter.handshakesDisplaced,
  [HandshakeFault.certificate]: Counter.certificatesRefused,
  [HandshakeFault.protocol]: Counter.handshakesFailed,
  [HandshakeFault.left]: Counter.handshakesLeft,
};

/** What handshakes need of their shard. */
export interface HandshakesHost {
  readonly deadlines: Deadlines<Deadline>;
  readonly counters: Counters;
  /** From accept to its end, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** This shard's share of those that may be at a time. */
  readonly handshakesMax: number;
  log(level: 'info', fields: object, message: string): void;
}

/** One client's. It lasts as long as the handshake: what stays of a client knows it no more. */
export abstract class Handshake extends Deadline {
  /** Does the part that costs: what the client has sent is answered. */
  abstract begin(): void;
  /** Is over, for this reason: closes the connection. */
  abstract fail(fault: HandshakeFault, detail: string): void;

  onDeadline(): void {
    this.fail(HandshakeFault.timeout, 'it took longer than handshakeTimeout');
  }
}

/** What went wrong since the last line, of one kind. */
interface Untold {
  count: number;
  detail: string;
  address: string;
}

/** One a shard. */
export class Handshakes {
  readonly #host: HandshakesHost;
  /** They have sent something, and wait for their turn. */
  readonly #waiting = new Set<Handshake>();
  /** In their order, the oldest first. */
  readonly #begun = new Set<Handshake>();
  readonly #untold = new Map<HandshakeFault, Untold>();
  #immediate: NodeJS.Immediate | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(host: HandshakesHost) {
    this.#host = host;
  }

  /** How many are between their first bytes and their end. */
  get size(): number {
    return this.#waiting.size + this.#begun.size;
  }

  /** A connection is accepted: its client has some time from now on. */
  expect(handshake: Handshake): void {
    const { deadlines, handshakeTimeoutMs } = this.#host;
    deadlines.set(handshake, deadlines.now, handshakeTimeoutMs);
  }

  /**
   * The client has begun. Not before: who is silent costs no more than its socket. Some are gone on
   * with in each turn of the event loop, since each takes up to a millisecond of signing.
   */
  admit(handshake: Handshake): void {
    this.#waiting.add(handshake);
    this.#immediate ??= setImmediate(() => this.#onTurn());
  }

  /** It has come to its end. */
  succeed(handshake: Handshake): void {
    this.#forget(handshake);
    this.#host.counters.add(Counter.handshakes, 1);
  }

  /** It has not; its connection is closed by whoever says so. */
  noteFailed(handshake: Handshake, fault: HandshakeFault, detail: string, address: string): void {
    this.#forget(handshake);
    this.#host.counters.add(COUNTERS[fault], 1);
    // Somebody who looks whether the port is open has done nothing worth a line.
    if (fault === HandshakeFault.left) return;
    const untold = this.#untold.get(fault) ?? { count: 0, detail, address };
    this.#untold.set(fault, { count: untold.count + 1, detail, address });
    if (this.#timer === null) this.#tell();
  }

  /** It is of no interest any more: its connection is closed. */
  abandon(handshake: Handshake): void {
    this.#forget(handshake);
  }

  /** Nothing is begun any more. */
  close(): void {
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#waiting.clear();
    this.#begun.clear();
  }

  #forget(handshake: Handshake): void {
    handshake.cancelDeadline();
    this.#waiting.delete(handshake);
    this.#begun.delete(handshake);
  }

  #onTurn(): void {
    this.#immediate = null;
    let left = HANDSHAKES_PER_TURN;
    for (const handshake of this.#waiting) {
      if (left-- === 0) break;
      this.#waiting.delete(handshake);
      this.#begun.add(handshake);
      handshake.begin();
    }
    this.#displace();
    if (this.#waiting.size > 0) this.#immediate ??= setImmediate(() => this.#onTurn());
  }

  /**
   * The oldest make room for those that have just begun: who means to come in needs two round
   * trips, and whoever holds many open for nothing loses them first.
   */
  #displace(): void {
    const { handshakesMax } = this.#host;
    for (const handshake of this.#begun) {
      if (this.#begun.size <= handshakesMax) return;
      this.#begun.delete(handshake);
      handshake.fail(HandshakeFault.displaced, 'more began than maxHandshakes');
    }
  }

  #tell(): void {
    this.#timer = null;
    if (this.#untold.size === 0) return;
    for (const [reason, fields] of this.#untold) {
      this.#host.log('info', { reason, ...fields }, 'handshakes failed');
    }
    this.#untold.clear();
    this.#timer = setTimeout(() => this.#tell(), HANDSHAKE_LOG_INTERVAL_MS);
    this.#timer.unref();
  }
}
