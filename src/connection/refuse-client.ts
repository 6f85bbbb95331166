/** Refusing a client that is not who it says: at once, or in a while where that happens often. */
import { Counter } from '../base/counters.js';
import { DELAYED_REFUSALS_MAX } from '../base/limits.js';
import { type Connection, ConnectionState } from './connection.js';

/** What a connection waits for behind its CONNECT. */
export interface PendingDecision {
  /** Its deadline has come. */
  onTimeout(): void;
  /** It is closed: nothing is waited for any more. */
  abandon(): void;
}

/**
 * Counts a refusal and tells it. @param detail is for the log, and for a 5.0 client: it must not
 * tell which of user name and password is wrong.
 */
export function refuseClient(connection: Connection, reasonCode: number, detail: string): void {
  const { host } = connection;
  const { counters, deadlines } = host;
  counters.add(Counter.authenticationRefusals, 1);
  const delayMs = host.refusedAddresses.add(connection.transport.peer.address, deadlines.now);
  if (delayMs === 0 || counters.get(Counter.refusalsDelayed) >= DELAYED_REFUSALS_MAX) {
    connection.refuse(reasonCode, detail);
    return;
  }
  connection.state = ConnectionState.connecting;
  connection.authentication = new DelayedRefusal(connection, reasonCode, detail);
  deadlines.set(connection, deadlines.now, delayMs);
}

class DelayedRefusal implements PendingDecision {
  readonly #connection: Connection;
  readonly #reasonCode: number;
  readonly #detail: string;

  constructor(connection: Connection, reasonCode: number, detail: string) {
    this.#connection = connection;
    this.#reasonCode = reasonCode;
    this.#detail = detail;
    connection.host.counters.add(Counter.refusalsDelayed, 1);
  }

  onTimeout(): void {
    this.abandon();
    this.#connection.refuse(this.#reasonCode, this.#detail);
  }

  abandon(): void {
    if (this.#connection.authentication !== this) return;
    this.#connection.authentication = null;
    this.#connection.host.counters.add(Counter.refusalsDelayed, -1);
  }
}
