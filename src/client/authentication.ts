/**
 * Enhanced authentication [MQTT 5.0, 4.12]: client and server exchange what a method wants, in
 * CONNECT, AUTH and CONNACK, and again while the connection stands when the client wants that.
 */
import { ArgumentError, ProtocolError } from '../base/errors.js';
import { AuthenticationError } from '../base/reason-errors.js';
import { SCRAM_SHA_256, ScramClient } from '../base/scram.js';
import {
  type AuthPacket5,
  encodePacket5,
  NO_PROPERTIES,
  type Properties,
  ReasonCode,
  Sender,
} from '../protocol/v5/index.js';
import type { Call } from './call.js';
import type { Payload } from './message.js';

/** One exchange: that of a connection, or of a re-authentication. */
export interface AuthenticationExchange {
  /** Authentication Data that goes with CONNECT, or with the AUTH that begins; absent: none. */
  readonly data?: Payload | null | undefined;
  /**
   * Answers Authentication Data of the server, null for none. What it throws ends the connection.
   * Without it a server that asks for more ends it.
   */
  continue?(data: Buffer | null): Payload | null | Promise<Payload | null>;
  /**
   * The server accepts, with these data, null for none. What it throws ends the connection: the
   * server is not who it should be.
   */
  end?(data: Buffer | null): void;
}

/** How a client authenticates itself. */
export interface Authentication {
  /** Authentication Method, such as `SCRAM-SHA-256`. */
  readonly method: string;
  /** Authentication Data, where that is all there is; else `begin`. */
  readonly data?: Payload | undefined;
  /** Called for every connection and every re-authentication. */
  readonly begin?: (() => AuthenticationExchange | Promise<AuthenticationExchange>) | undefined;
}

/**
 * SCRAM-SHA-256 [RFC 7677], as option `authentication`: the server does not get the password, and
 * has to prove that it knows the user.
 */
export function scramSha256(user: {
  readonly username: string;
  readonly password: string;
}): Authentication {
  return {
    method: SCRAM_SHA_256,
    begin() {
      const scram = new ScramClient(user.username, user.password);
      return {
        data: scram.first(),
        continue: (data) => scram.final(data ?? Buffer.alloc(0)),
        end: (data) => scram.verify(data ?? Buffer.alloc(0)),
      };
    },
  };
}

function bytesOf(data: Payload | null | undefined): Buffer | undefined {
  return data === null || data === undefined ? undefined : Buffer.from(data);
}

/** What the exchanges of a connection need of it. */
export interface AuthenticationHost {
  /** Address of the server, for errors. */
  readonly uri: string;
  readonly send: (frame: Buffer) => void;
  /** Ends the connection. */
  readonly fail: (error: Error) => void;
}

/** The exchanges of one connection, one at a time. */
export class ConnectionAuthentication {
  /** Null: none. */
  readonly #authentication: Authentication | null;
  readonly #host: AuthenticationHost;
  #exchange: AuthenticationExchange | null = null;
  /** The server has asked, and is being answered. */
  #isAnswering = false;
  #call: Call | null = null;
  #isClosed = false;

  constructor(authentication: Authentication | null, host: AuthenticationHost) {
    this.#authentication = authentication;
    this.#host = host;
  }

  /** Begins the exchange of CONNECT. @param send told the properties that it is to have. */
  begin(send: (properties: Properties) => void): void {
    if (this.#authentication === null) send(NO_PROPERTIES);
    else this.#begin(this.#authentication, send);
  }

  /** CONNACK accepts. @returns false when the hook does not. @throws ProtocolError */
  connected({ authenticationMethod, authenticationData }: Properties): boolean {
    if (this.#authentication === null) return true;
    this.#checkMethod('CONNACK', authenticationMethod);
    return this.#end(authenticationData);
  }

  /**
   * Begins anew on a connection that stands [MQTT 5.0, 4.12.1].
   * @param call succeeds when the server has accepted, fails with the connection.
   */
  reauthenticate(call: Call): void {
    if (this.#authentication === null) {
      call.fail(new ArgumentError('reauthenticate: option authentication was not given'));
    } else if (this.#call !== null) {
      call.fail(new AuthenticationError('a re-authentication is under way'));
    } else {
      this.#call = call;
      this.#begin(this.#authentication, (properties) =>
        this.#send(ReasonCode.reauthenticate, properties),
      );
    }
  }

  /** AUTH of the server. @param isOpen there was a CONNACK. @throws ProtocolError */
  onAuth({ reasonCode, properties }: AuthPacket5, isOpen: boolean): void {
    const isSuccess = reasonCode === ReasonCode.success;
    // Nothing is under way [MQTT-4.12.0-1], or CONNACK should have come.
    if (this.#exchange === null || this.#isAnswering || (isSuccess && !isOpen)) {
      throw new ProtocolError('4.12', 'AUTH that the server may not send now');
    }
    if (!isSuccess) {
      this.#checkMethod('AUTH', properties.authenticationMethod);
      this.#isAnswering = true;
      const data = properties.authenticationData ?? null;
      this.#answer(this.#exchange, data).catch((error: unknown) => this.#failed(error));
      return;
    }
    // One that only says that all is well needs no properties [MQTT 5.0, 3.15.2.1].
    const { authenticationMethod = this.#authentication?.method } = properties;
    this.#checkMethod('AUTH', authenticationMethod);
    if (!this.#end(properties.authenticationData)) return;
    const call = this.#call;
    this.#call = null;
    call?.succeed();
  }

  /** The connection is gone. */
  close(error: Error): void {
    this.#isClosed = true;
    this.#call?.fail(error);
    this.#call = null;
  }

  #begin({ method, data, begin }: Authentication, send: (properties: Properties) => void): void {
    const start = async (): Promise<void> => {
      const exchange = begin === undefined ? { data } : await begin();
      this.#exchange = exchange;
      if (this.#isClosed) return;
      send({ authenticationMethod: method, authenticationData: bytesOf(exchange.data) });
    };
    start().catch((error: unknown) => this.#failed(error));
  }

  async #answer(exchange: AuthenticationExchange, data: Buffer | null): Promise<void> {
    const method = this.#authentication?.method;
    if (exchange.continue === undefined) {
      throw new Error(`the server asks for more than the data of ${method}`);
    }
    const authenticationData = bytesOf(await exchange.continue(data));
    this.#isAnswering = false;
    this.#send(ReasonCode.continueAuthentication, {
      authenticationMethod: method,
      authenticationData,
    });
  }

  #send(reasonCode: number, properties: Properties): void {
    if (this.#isClosed) return;
    this.#host.send(encodePacket5({ type: 'auth', reasonCode, properties }, Sender.client));
  }

  /** The server has accepted. @returns whether we do. */
  #end(data: Buffer | undefined): boolean {
    const exchange = this.#exchange;
    this.#exchange = null;
    try {
      exchange?.end?.(data ?? null);
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  /** Ends the connection for what a hook has thrown. */
  #failed(error: unknown): void {
    if (this.#isClosed) return;
    const why = error instanceof Error ? error.message : String(error);
    const message = `cannot authenticate with ${this.#host.uri}: ${why}`;
    this.#host.fail(new AuthenticationError(message, { cause: error }));
  }

  /** [MQTT-4.12.0-5] */
  #checkMethod(type: string, method: string | undefined): void {
    if (method === this.#authentication?.method) return;
    throw new ProtocolError('MQTT-4.12.0-5', `${type} with another Authentication Method`);
  }
}

/**
 * Checks option `authentication`.
 * @param onFault told of what is wrong with it.
 */
export function readAuthentication(
  given: unknown,
  protocolVersion: number,
  onFault: (fault: string) => void,
): Authentication | null {
  if (given === undefined) return null;
  const { method, data, begin } = (given ?? {}) as Partial<Authentication>;
  const hasData = data === undefined || typeof data === 'string' || data instanceof Uint8Array;
  const hasBegin = begin === undefined || typeof begin === 'function';
  if (typeof method !== 'string' || !hasData || !hasBegin) {
    onFault('option authentication must be { method, data } or { method, begin }');
    return null;
  }
  if (protocolVersion !== 5) onFault('option authentication needs protocolVersion 5');
  return { method, data, begin };
}
