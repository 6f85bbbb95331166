/**
 * Enhanced authentication [MQTT 5.0, 4.12]: what client and authenticator have to say to each other
 * before a CONNECT is accepted, and again on a connection that stands when its client wants that.
 */
import { admissionOf, isOver, readAdmission } from '../access/admission.js';
import type {
  AuthenticationVerdict,
  Authenticator,
  ServerExchange,
} from '../access/authenticator.js';
import { Counter } from '../base/counters.js';
import type { Admission } from '../base/credentials.js';
import { Deadline } from '../base/deadlines.js';
import { CloseReason } from '../base/errors.js';
import { STRING_BYTES_MAX } from '../base/limits.js';
import {
  type AuthPacket5,
  fitToMaximumPacketSize,
  ReasonCode,
  Sender,
} from '../protocol/v5/index.js';
import { admit } from './admit.js';
import { AskedCredentials, lineOf } from './authentication.js';
import type { ConnectRequest } from './connect-request.js';
import { type Connection, ConnectionState } from './connection.js';
import { violation } from './packet-errors.js';
import { refuseClient } from './refuse-client.js';

const RESULTS: readonly unknown[] = ['accept', 'refuse', 'continue'];

/**
 * Of one connection whose CONNECT names an Authentication Method. Each exchange has `authTimeout`
 * for all of it, and whatever the authenticator does it is settled once.
 */
export class EnhancedAuthentication extends Deadline {
  readonly method: string;
  /** What CONNACK says to the client that was accepted. */
  data: Buffer | undefined = undefined;
  readonly #connection: Connection;
  /** The CONNECT, until the authenticator has accepted it. */
  #request: ConnectRequest | null;
  #credentials: AskedCredentials;
  /** The one that is under way. */
  #exchange: ServerExchange | null = null;
  /** Who has begun it. */
  #authenticator: Authenticator | null = null;
  /** It is the client's turn. */
  #isAsked = false;

  constructor(connection: Connection, request: ConnectRequest, method: string) {
    super();
    this.method = method;
    this.#connection = connection;
    this.#request = request;
    this.#credentials = new AskedCredentials(connection, request);
  }

  /** Begins with the Authentication Data of CONNECT, or of an AUTH that wants it again. */
  begin(data: Buffer | null): void {
    const { host } = this.#connection;
    const { method } = this;
    // That of its CONNECT; one of its keep alive goes on.
    if (this.#request !== null) this.#connection.cancelDeadline();
    let exchange: ServerExchange | null = null;
    try {
      const { clientId, username, password, remoteAddress } = this.#credentials;
      const { listener, certificate } = this.#credentials;
      const from = { remoteAddress, listener, certificate };
      const credentials = { clientId, username, password, ...from, method };
      this.#authenticator = host.authenticator;
      exchange = this.#authenticator.begin?.(credentials) ?? null;
    } catch (error) {
      this.#fail(lineOf(error));
      return;
    }
    if (exchange === null) {
      this.#refuse(ReasonCode.badAuthenticationMethod, 'there is no such method here');
      return;
    }
    this.#exchange = exchange;
    host.deadlines.set(this, host.deadlines.now, host.config.authTimeoutMs);
    this.#step(exchange, data);
  }

  /**
   * The client has sent AUTH.
   * @throws ProtocolError for one that it may not send, or not now.
   */
  onAuth({ reasonCode, properties }: AuthPacket5): void {
    if (properties.authenticationMethod !== this.method) {
      throw violation('MQTT-4.12.0-5', 'AUTH with another method than that of CONNECT');
    }
    const data = properties.authenticationData ?? null;
    const isAgain = reasonCode === ReasonCode.reauthenticate;
    if (isAgain && this.#request === null && this.#exchange === null) {
      this.begin(data);
    } else if (!isAgain && this.#isAsked && this.#exchange !== null) {
      this.#isAsked = false;
      if (this.#request !== null) this.#connection.state = ConnectionState.connecting;
      this.#step(this.#exchange, data);
    } else {
      throw violation('4.12', 'AUTH that nothing has asked for');
    }
  }

  /** The time is over. */
  onDeadline(): void {
    if (this.#isAsked) this.#refuse(ReasonCode.notAuthorized, 'no AUTH has come in time');
    else this.#fail('it has not answered in time');
  }

  /** The connection is closed. */
  abandon(): void {
    this.#end();
    this.#request = null;
    this.#credentials.release();
  }

  /** Asks the exchange; what it answers when it is over already is of no interest. */
  #step(exchange: ServerExchange, data: Buffer | null): void {
    const { host } = this.#connection;
    if (!host.mayWaitForAuthenticator) {
      this.#fail('too many clients wait for it');
      return;
    }
    host.counters.add(Counter.authenticationsWaiting, 1);
    const settle = (then: () => void): void => {
      host.counters.add(Counter.authenticationsWaiting, -1);
      if (this.#exchange !== exchange) return;
      // Whoever was asked may know somebody who is not to be let in any more.
      if (this.#authenticator === host.authenticator) then();
      else this.#refuse(ReasonCode.serverBusy, 'the configuration has changed: come again');
    };
    new Promise((resolve) => resolve(exchange.continue(data))).then(
      (verdict) => settle(() => this.#onVerdict(verdict)),
      (error: unknown) => settle(() => this.#fail(lineOf(error))),
    );
  }

  #onVerdict(given: unknown): void {
    const { result, data, admission: said = null } = (given ?? {}) as AuthenticationVerdict;
    const admission = said === null ? admissionOf(this.#credentials.username) : readAdmission(said);
    const isFit = data instanceof Uint8Array && data.length <= STRING_BYTES_MAX;
    const isData = isFit || data === undefined || data === null;
    if (!RESULTS.includes(result) || !isData || admission === undefined) {
      this.#fail('its answer is no verdict');
    } else if (result === 'refuse' || isOver(admission)) {
      this.#onRefused();
    } else {
      const bytes = data === undefined || data === null ? undefined : Buffer.from(data);
      if (result === 'continue') this.#ask(bytes);
      else this.#accept(bytes, admission);
    }
  }

  #onRefused(): void {
    const isConnecting = this.#request !== null;
    const [code, detail] = [ReasonCode.notAuthorized, 'the authenticator said no'] as const;
    if (!isConnecting) {
      this.#connection.host.counters.add(Counter.authenticationRefusals, 1);
      this.#refuse(code, detail);
      return;
    }
    this.#end();
    refuseClient(this.#connection, code, detail);
  }

  #ask(data: Buffer | undefined): void {
    if (!this.#send(ReasonCode.continueAuthentication, data)) return;
    this.#isAsked = true;
    if (this.#request !== null) this.#connection.awaitAuth();
  }

  #accept(data: Buffer | undefined, admission: Admission): void {
    const request = this.#request;
    if (request === null && admission.username !== this.#connection.admission?.username) {
      this.#refuse(ReasonCode.notAuthorized, 'it has become another user');
      return;
    }
    this.#end();
    admit(this.#connection, admission);
    if (request === null) {
      this.#send(ReasonCode.success, data);
      return;
    }
    this.#request = null;
    // The password is not kept for the next time.
    const { username } = request;
    this.#credentials = new AskedCredentials(this.#connection, { username, password: null });
    this.data = data;
    this.#connection.host.claim(this.#connection, request);
  }

  /** @returns false when it is longer than the client takes: the connection is closed. */
  #send(reasonCode: number, authenticationData: Buffer | undefined): boolean {
    const connection = this.#connection;
    const properties = { authenticationMethod: this.method, authenticationData };
    const packet = { type: 'auth', reasonCode, properties } as const;
    const frame = fitToMaximumPacketSize(packet, connection.maximumPacketSize, Sender.server);
    if (frame === null) {
      connection.close(CloseReason.packetTooLarge, { detail: 'it takes no AUTH so long' });
      return false;
    }
    connection.append(frame);
    return true;
  }

  /** Closes [MQTT-4.12.0-1] [MQTT-4.12.1-2]. */
  #refuse(reasonCode: number, detail: string): void {
    const isConnecting = this.#request !== null;
    this.#end();
    if (isConnecting) this.#connection.refuse(reasonCode, detail);
    else this.#connection.close(CloseReason.authenticationFailed, { detail }, reasonCode);
  }

  #fail(detail: string): void {
    const { host, clientId } = this.#connection;
    const isConnecting = this.#request !== null;
    host.counters.add(Counter.authenticationFailures, 1);
    host.log('error', { clientId, detail }, 'authenticator failed');
    const { serverUnavailable, unspecifiedError } = ReasonCode;
    this.#refuse(isConnecting ? serverUnavailable : unspecifiedError, 'the authenticator failed');
  }

  /** The exchange is over. */
  #end(): void {
    const exchange = this.#exchange;
    this.cancelDeadline();
    this.#exchange = null;
    this.#isAsked = false;
    try {
      exchange?.end?.();
    } catch (error) {
      const { host, clientId } = this.#connection;
      host.log('error', { clientId, detail: lineOf(error) }, 'authenticator failed');
    }
  }
}

/** AUTH of a client. @throws ProtocolError for one that it may not send, or not now. */
export function handleAuth(connection: Connection, packet: AuthPacket5): void {
  if (connection.enhanced === null) {
    throw violation('MQTT-4.12.0-6', 'AUTH, and no Authentication Method in CONNECT');
  }
  if (!connection.host.isStopping) connection.enhanced.onAuth(packet);
}
