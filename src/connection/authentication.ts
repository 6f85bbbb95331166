/** The question to the authenticator about one CONNECT, and what is made of its answer. */
import { Counter } from '../base/counters.js';
import type { Credentials } from '../base/credentials.js';
import type { ConnectPacket } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import type { Connection } from './connection.js';

/** What an authenticator is shown. It may keep this for ever: it holds nothing when it is over. */
class AskedCredentials implements Credentials {
  readonly clientId: string;
  readonly username: string | null;
  readonly password: Buffer | null;
  #connection: Connection | null;

  constructor(connection: Connection, packet: ConnectPacket) {
    this.clientId = connection.clientId;
    this.username = packet.username;
    this.password = packet.password;
    this.#connection = connection;
  }

  /** Asks the kernel, so only if somebody wants to know. */
  get remoteAddress(): string {
    return this.#connection?.socket.remoteAddress ?? '';
  }

  release(): void {
    this.#connection = null;
  }
}

/**
 * One question. Whatever the authenticator does (throw, answer something else than true or false,
 * answer twice, late or never), it is settled once, and holds neither connection nor packet then.
 */
export class Authentication {
  #connection: Connection | null;
  #packet: ConnectPacket | null;
  readonly #credentials: AskedCredentials;
  #isCounted = false;

  constructor(connection: Connection, packet: ConnectPacket) {
    this.#connection = connection;
    this.#packet = packet;
    this.#credentials = new AskedCredentials(connection, packet);
  }

  /** Asks; the connection is told at once, or has `authentication` set while it waits. */
  ask(): void {
    const { host } = this.#connection!;
    let answer: unknown;
    try {
      answer = host.authenticator.authenticate(this.#credentials);
    } catch (error) {
      this.#fail(lineOf(error));
      return;
    }
    if (typeof answer === 'object' && answer !== null) this.#wait(answer);
    else this.#settle(answer);
  }

  /** The connection is closed, or its time is over: the answer is of no interest any more. */
  abandon(): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (this.#isCounted) connection.host.counters.add(Counter.authenticationsWaiting, -1);
    connection.authentication = null;
    this.#connection = null;
    this.#packet = null;
    this.#credentials.release();
  }

  /** The authenticator has not answered in time. */
  onTimeout(): void {
    this.#fail('it has not answered in time');
  }

  #wait(answer: object): void {
    const connection = this.#connection!;
    const { host } = connection;
    if (!host.mayWaitForAuthenticator) {
      // Its promise is nobody's; it may reject all the same.
      new Promise((resolve) => resolve(answer)).catch(() => {});
      this.#fail('too many clients wait for it');
      return;
    }
    host.counters.add(Counter.authenticationsWaiting, 1);
    this.#isCounted = true;
    host.deadlines.set(connection, host.deadlines.now, host.config.authTimeoutMs);
    connection.authentication = this;
    // Not `answer.then(...)`, nor Promise.resolve(answer): what is no promise of the language's own
    // may throw there, call back at once, or more than once.
    new Promise((resolve) => resolve(answer)).then(
      (settled) => this.#settle(settled),
      (error: unknown) => this.#fail(lineOf(error)),
    );
  }

  #settle(answer: unknown): void {
    const connection = this.#connection;
    const packet = this.#packet;
    if (connection === null || packet === null) return;
    if (answer !== true && answer !== false) {
      this.#fail(unfitAnswer(answer));
      return;
    }
    this.abandon();
    if (answer) {
      connection.host.claim(connection, packet);
      return;
    }
    const { badUserNameOrPassword, notAuthorized } = ConnackCode;
    const returnCode = packet.username === null ? notAuthorized : badUserNameOrPassword;
    connection.refuse(returnCode, 'the authenticator said no');
  }

  #fail(detail: string): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.abandon();
    const { host, clientId } = connection;
    host.counters.add(Counter.authenticationFailures, 1);
    host.log('error', { clientId, detail }, 'authenticator failed');
    connection.refuse(ConnackCode.serverUnavailable, 'the authenticator failed');
  }
}

/** What is wrong with an answer that is neither true nor false. */
export function unfitAnswer(answer: unknown): string {
  const isNothing = answer === null || answer === undefined;
  const what = isNothing ? String(answer) : `a value of type ${typeof answer}`;
  return `its answer is ${what}, neither true nor false`;
}

/** An error in one line, whatever was thrown. */
export function lineOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).split('\n', 1)[0]!;
  } catch {
    return 'an error that cannot be shown';
  }
}
