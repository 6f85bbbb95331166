/**
 * Says which clients come and go, a line each. In a storm of them only so many lines a second are
 * made, and one more that tells the number of the rest: these cost a storm next to nothing.
 */
import type { Counters } from '../base/counters.js';
import { CloseReason } from '../base/errors.js';
import { CLIENT_LOG_LINES_PER_SECOND_MAX } from '../base/limits.js';
import type { Connection } from '../connection/connection.js';
import { LimitLog } from './limit-log.js';
import type { PrimaryLine } from './primary-line.js';

/** Beginning of an IPv4 address as a socket for both kinds of addresses shows it. */
const MAPPED_IPV4 = /^::ffff:(?=\d+\.)/;
const PROTOCOL_NAMES = { 3: '3.1', 4: '3.1.1', 5: '5.0' } as const;

/** What was not told one by one within this second. */
interface Untold {
  connected: number;
  disconnected: number;
  refused: number;
  /** Connections that never were a client's. */
  closed: number;
}
type Kind = keyof Untold;

/** One a shard. */
export class ClientLog {
  /** Who has come to a limit. */
  readonly limits: LimitLog;
  readonly #line: PrimaryLine;
  readonly #linesMax: number;
  #linesLeft: number;
  #untold: Untold = { connected: 0, disconnected: 0, refused: 0, closed: 0 };

  /** @param shardCount shards among which the lines of a second are shared out. */
  constructor(line: PrimaryLine, shardCount: number, counters: Counters) {
    this.limits = new LimitLog(counters, line);
    this.#line = line;
    this.#linesMax = Math.max(1, Math.floor(CLIENT_LOG_LINES_PER_SECOND_MAX / shardCount));
    this.#linesLeft = this.#linesMax;
  }

  get #isInfoLogged(): boolean {
    return this.#line.isLogged('info');
  }

  /** A client has its session. */
  connected(connection: Connection): void {
    if (!this.#isInfoLogged || !this.#hasLine('connected')) return;
    const { endsWithConnection, expiryMs } = connection.session!;
    const how =
      connection.protocolVersion === 5
        ? { sessionExpirySeconds: Number.isFinite(expiryMs) ? expiryMs / 1_000 : 'never' }
        : { cleanSession: endsWithConnection };
    this.#line.log('info', { ...fieldsOf(connection), ...how }, 'client connected');
  }

  /** A connection is about to be closed, whoever's it was. */
  closing(connection: Connection, reason: CloseReason, details: object): void {
    if (!this.#isInfoLogged) return;
    if (connection.session !== null) this.#disconnected(connection, reason, details);
    else if (reason === CloseReason.connectRefused) this.#refused(connection, details);
    else this.#closed(connection, reason, details);
  }

  /** A second has passed, or the shard stops. */
  onSecond(): void {
    this.#linesLeft = this.#linesMax;
    this.limits.onSecond();
    const { connected, disconnected, refused, closed } = this.#untold;
    if (connected + disconnected + refused + closed === 0) return;
    this.#untold = { connected: 0, disconnected: 0, refused: 0, closed: 0 };
    this.#line.log(
      'info',
      { connected, disconnected, refused, closed },
      'more clients came and went than are logged one by one',
    );
  }

  #disconnected(connection: Connection, reason: CloseReason, details: object): void {
    if (!this.#hasLine('disconnected')) return;
    const fields = { ...fieldsOf(connection), reason, ...details };
    this.#line.log('info', fields, 'client disconnected');
  }

  #refused(connection: Connection, details: object): void {
    if (!this.#hasLine('refused')) return;
    this.#line.log('info', { ...fieldsOf(connection), ...details }, 'client refused');
  }

  #closed(connection: Connection, reason: CloseReason, details: object): void {
    // Somebody who looks whether the port is open has done nothing worth a line.
    const isQuiet = reason === CloseReason.connectionLost || reason === CloseReason.serverShutdown;
    if (isQuiet && !this.#line.isLogged('debug')) return;
    if (!this.#hasLine('closed')) return;
    const fields = { ...fieldsOf(connection), reason, ...details };
    this.#line.log(isQuiet ? 'debug' : 'info', fields, 'connection closed');
  }

  /** Takes one of the second's lines; where none is left, counts instead. */
  #hasLine(kind: Kind): boolean {
    if (this.#linesLeft === 0) {
      this.#untold[kind]++;
      return false;
    }
    this.#linesLeft--;
    return true;
  }
}

/** Who it is, as far as it has said so. */
function fieldsOf(connection: Connection): object {
  const { clientId, username, protocolVersion, keepAliveMs, session } = connection;
  const address = addressOf(connection);
  if (clientId === '') return { address };
  return {
    clientId,
    ...(username === null ? {} : { user: username }),
    address,
    protocol: PROTOCOL_NAMES[protocolVersion],
    ...(session === null ? {} : { keepAliveSeconds: keepAliveMs / 1_000 }),
  };
}

/** Address and port of the client's end; undefined when it is gone already. Asks the kernel. */
function addressOf({ transport }: Connection): string | undefined {
  const { address, port } = transport.peer;
  if (address === '') return undefined;
  const host = address.replace(MAPPED_IPV4, '');
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
