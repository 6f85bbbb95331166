/** The question to the authenticator about one CONNECT, and what is made of its answer. */
import { admissionOf, isOver, readAdmission } from '../access/admission.js';
import type { Authenticator } from '../access/authenticator.js';
import { BusyError } from '../access/fair-queue.js';
import { Counter } from '../base/counters.js';
import type { Admission, CertificateNames, Credentials } from '../base/credentials.js';
import { ReasonCode } from '../protocol/v5/index.js';
import { admit } from './admit.js';
import type { ConnectRequest } from './connect-request.js';
import type { Connection } from './connection.js';
import { type PendingDecision, refuseClient } from './refuse-client.js';

/** What an authenticator is shown. It may keep this for ever: it holds nothing when it is over. */
export class AskedCredentials implements Credentials {
  readonly clientId: string;
  readonly username: string | null;
  readonly password: Buffer | null;
  #connection: Connection | null;

  constructor(connection: Connection, request: Pick<ConnectRequest, 'username' | 'password'>) {
    this.clientId = connection.clientId;
    this.username = request.username;
    this.password = request.password;
    this.#connection = connection;
  }

  /** Asks the kernel, so only if somebody wants to know. */
  get remoteAddress(): string {
    return this.#connection?.transport.peer.address ?? '';
  }

  get listener(): string {
    return this.#connection?.transport.peer.listener ?? '';
  }

  get certificate(): CertificateNames | null {
    return this.#connection?.transport.peer.certificate ?? null;
  }

  get isOver(): boolean {
    return this.#connection === null;
  }

  release(): void {
    this.#connection = null;
  }
}

/**
 * One question. Whatever the authenticator does (throw, answer something else than a verdict,
 * answer twice, late or never), it is settled once, and holds neither connection nor CONNECT then.
 */
export class Authentication implements PendingDecision {
  #connection: Connection | null;
  #request: ConnectRequest | null;
  readonly #credentials: AskedCredentials;
  /** Who has been asked. */
  #authenticator: Authenticator;
  #isCounted = false;

  constructor(connection: Connection, request: ConnectRequest) {
    this.#connection = connection;
    this.#request = request;
    this.#authenticator = connection.host.authenticator;
    this.#credentials = new AskedCredentials(connection, request);
  }

  /** Asks; the connection is told at once, or has `authentication` set while it waits. */
  ask(): void {
    let answer: unknown;
    try {
      answer = this.#authenticator.authenticate(this.#credentials);
    } catch (error) {
      this.#onError(error);
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
    this.#request = null;
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
      (error: unknown) => this.#onError(error),
    );
  }

  #settle(answer: unknown): void {
    const connection = this.#connection;
    const request = this.#request;
    if (connection === null || request === null) return;
    if (this.#authenticator !== connection.host.authenticator) {
      // Whoever was asked may know somebody who is not to be let in any more.
      this.abandon();
      new Authentication(connection, request).ask();
      return;
    }
    const admission = verdictOf(answer, request.username);
    if (admission === undefined) {
      this.#fail(unfitAnswer(answer));
      return;
    }
    this.abandon();
    if (admission !== null) {
      admit(connection, admission);
      connection.host.claim(connection, request);
      return;
    }
    const { badUserNameOrPassword, notAuthorized } = ReasonCode;
    const isNobody = request.username === null && request.password === null;
    const reasonCode = isNobody ? notAuthorized : badUserNameOrPassword;
    refuseClient(connection, reasonCode, 'the authenticator said no');
  }

  #onError(error: unknown): void {
    if (!(error instanceof BusyError)) {
      this.#fail(lineOf(error));
      return;
    }
    const connection = this.#connection;
    if (connection === null) return;
    this.abandon();
    connection.host.counters.add(Counter.authenticationsTurnedAway, 1);
    connection.refuse(ReasonCode.serverBusy, error.message);
  }

  #fail(detail: string): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.abandon();
    const { host, clientId } = connection;
    host.counters.add(Counter.authenticationFailures, 1);
    host.log('error', { clientId, detail }, 'authenticator failed');
    connection.refuse(ReasonCode.serverUnavailable, 'the authenticator failed');
  }
}

/**
 * Who an answer lets in.
 * @param username of CONNECT: whom `true` speaks of.
 * @returns null for nobody, undefined for an answer that is no verdict.
 */
function verdictOf(answer: unknown, username: string | null): Admission | null | undefined {
  if (answer === true) return admissionOf(username);
  if (answer === false || answer === null) return null;
  const admission = readAdmission(answer);
  return admission !== undefined && isOver(admission) ? null : admission;
}

/** What is wrong with an answer that is no verdict. */
export function unfitAnswer(answer: unknown): string {
  const what = answer === undefined ? 'undefined' : `a value of type ${typeof answer}`;
  return `its answer is ${what}, no verdict`;
}

/** An error in one line, whatever was thrown. */
export function lineOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).split('\n', 1)[0]!;
  } catch {
    return 'an error that cannot be shown';
  }
}
