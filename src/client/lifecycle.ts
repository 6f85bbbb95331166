/** The connections of a client, one after the other: attempts, what is agreed on, ends. */
import {
  ArgumentError,
  ClosedError,
  ConnectFailedError,
  ConnectRefusedError,
  ProtocolError,
} from '../base/errors.js';
import { PacketType } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import { NO_PROPERTIES, type Properties } from '../protocol/v5/index.js';
import type { Announcer } from './announcer.js';
import { Call, type CallOptions } from './call.js';
import type { ClientState, DisconnectOptions } from './client-events.js';
import { Connection } from './connection.js';
import type { ConnectionOwner } from './connection-owner.js';
import type { Delivery } from './delivery.js';
import { disconnectFrame } from './disconnect.js';
import type { Accepted, ProtocolLevel } from './handshake.js';
import type { Incoming } from './incoming.js';
import type { ClientSettings } from './options.js';
import type { Outgoing } from './outgoing.js';
import { Reconnect } from './reconnect.js';
import { Ending } from './resend.js';
import type { SubscriptionRequests } from './subscription-requests.js';
import type { Subscriptions } from './subscriptions.js';
import { isCertificateFault } from './tls-faults.js';
import { Transports } from './transports.js';

/** What every connection of a client works with. */
export interface ClientParts {
  readonly settings: ClientSettings;
  readonly announcer: Announcer;
  readonly outgoing: Outgoing;
  readonly incoming: Incoming;
  readonly subscriptions: Subscriptions;
  readonly requests: SubscriptionRequests;
  readonly delivery: Delivery;
  /** Nothing follows any more: told why. */
  readonly onFinished: (error: Error) => void;
}

/** Makes connections and ends them, for one client. */
export class Lifecycle {
  state: ClientState = 'idle';
  connection: Connection | null = null;
  sessionPresent = false;
  /** Properties of the last CONNACK; none in 3.x. */
  serverProperties: Properties = NO_PROPERTIES;
  /** What the next connection asks for: what the server has agreed to last. */
  protocolVersion: ProtocolLevel;
  /** Given, made up, or assigned by the server [MQTT-3.2.2-16]. */
  clientId: string;
  readonly #parts: ClientParts;
  readonly #settings: ClientSettings;
  readonly #transports: Transports;
  readonly #reconnect: Reconnect;
  readonly #connectCalls: Call[] = [];
  /** A server has accepted a connection of this object: there may be a session to go on with. */
  #hasConnected = false;
  /** The last connection was lost before it had made all subscriptions again. */
  #isRemakeUnfinished = false;
  #disconnecting: Promise<void> | null = null;

  constructor(parts: ClientParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.protocolVersion = parts.settings.protocolVersion;
    this.clientId = parts.settings.clientId;
    this.#transports = new Transports(parts.settings);
    this.#reconnect = new Reconnect(parts.settings);
  }

  /** Nothing is handed out any more. */
  get isClosed(): boolean {
    const { state } = this;
    return state === 'closed' || (state === 'disconnecting' && this.connection === null);
  }

  /** A call waits for what may stand behind the messages that come in. */
  get isAwaiting(): boolean {
    return this.#parts.outgoing.isAwaiting || (this.connection?.pingCalls ?? 0) > 0;
  }

  /** The session outlives a connection. */
  get #isSessionKept(): boolean {
    if (this.protocolVersion !== 5) return !this.#settings.cleanSession;
    const given = this.#settings.connectProperties.sessionExpiryInterval;
    return (this.serverProperties.sessionExpiryInterval ?? given ?? 0) > 0;
  }

  /** `Client.connect`. */
  async connect(options: CallOptions): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.state === 'connected') return;
    if (this.state === 'disconnecting') throw new ClosedError('the client is disconnecting');
    const call = new Call();
    const promise = call.promise();
    const { signal, timeoutMs = 0 } = options;
    if (signal !== undefined || timeoutMs > 0) {
      call.limit(options, timeoutMs, `CONNECT to ${this.#settings.uri}`, () => {
        if (this.#connectCalls.every((other) => other.isSettled)) this.#abandonConnect();
      });
    }
    this.#connectCalls.push(call);
    if (this.state === 'idle' || this.state === 'closed') {
      this.state = 'connecting';
      this.#parts.outgoing.refusal = null;
      this.#open();
    }
    await promise;
  }

  /** `Client.disconnect`. */
  disconnect(options: DisconnectOptions): Promise<void> {
    if (this.state === 'idle' || this.state === 'closed') return Promise.resolve();
    this.#disconnecting ??= this.#disconnect(options).finally(() => {
      this.#disconnecting = null;
    });
    return this.#disconnecting;
  }

  async #disconnect(options: DisconnectOptions): Promise<void> {
    const { reasonCode, properties } = options;
    if ((properties?.sessionExpiryInterval ?? 0) > 0 && !this.#isSessionKept) {
      // A Protocol Error [MQTT 5.0, 3.14.2.2.2].
      throw new ArgumentError('a session that ends with its connection cannot be given an expiry');
    }
    const frame = disconnectFrame(this.protocolVersion, reasonCode, properties);
    // A session that ends with this connection is begun anew by the next one.
    if (properties?.sessionExpiryInterval === 0) this.#hasConnected = false;
    const error = new ClosedError('the client was disconnected by its user');
    this.state = 'disconnecting';
    this.#parts.outgoing.refusal = error;
    this.#reconnect.stop();
    const { connection } = this;
    if (connection?.isOpen && options.drain !== false) await this.#drained(options);
    this.#detach(Ending.other);
    // Lost while it drained, or not open yet: then there is no DISCONNECT to send.
    await connection?.end(error, frame);
    this.#finish(error, null);
    this.#parts.announcer.tell('disconnect', { error: null, willReconnect: false });
  }

  /** Settles when nothing waits any more, at the limits, or when the connection is lost. */
  async #drained(options: CallOptions): Promise<void> {
    const { outgoing } = this.#parts;
    const { signal, timeoutMs = this.#settings.ackTimeoutMs } = options;
    if (outgoing.isIdle || signal?.aborted) return;
    const call = new Call();
    const promise = call.promise();
    call.limit(options, timeoutMs, 'DISCONNECT', () => {});
    outgoing.onIdle = () => call.succeed();
    await promise.catch(() => {
      // Out of patience: what has no answer is told so by its own promise.
    });
    outgoing.onIdle = () => {};
  }

  #open(): void {
    const { protocolVersion, clientId } = this;
    const { cleanSession } = this.#settings;
    // A session that outlives its connections is begun once, and gone on with from then on.
    const isCleanStart = cleanSession && !(this.#hasConnected && this.#isSessionKept);
    const attempt = { protocolVersion, clientId, isCleanStart };
    const owner = this.#connectionOwner();
    this.connection = new Connection(this.#settings, this.#transports, attempt, owner);
  }

  /** Nobody waits for the first connection any more. */
  #abandonConnect(): void {
    if (this.state !== 'connecting') return;
    const error = new ClosedError('the attempt to connect was given up');
    if (this.connection !== null) this.connection.fail(error);
    else this.#giveUp(error, true);
  }

  #connectionOwner(): ConnectionOwner {
    const lifecycle = this;
    const { incoming, outgoing, delivery } = this.#parts;
    return {
      onConnected: (connection, accepted) => this.#onConnected(connection, accepted),
      onClosed: (connection, error) => this.#onClosed(connection, error),
      onAck: (type, packetId, reasonCode, properties) => {
        if (type === PacketType.pubrel) incoming.release(packetId);
        else outgoing.onAck(type, packetId, reasonCode, properties);
      },
      onAnswer: (type, packetId, codes, properties) =>
        outgoing.onAnswer(type, packetId, codes, properties),
      onDrain: () => outgoing.pump(),
      onRun: delivery.onRun.bind(delivery),
      get mustStopReading() {
        return delivery.isBlocked && !lifecycle.isAwaiting;
      },
    };
  }

  #onConnected(connection: Connection, accepted: Accepted): void {
    const { incoming, outgoing, delivery, requests } = this.#parts;
    const { sessionPresent, properties, limits } = accepted;
    const is31 = accepted.protocolVersion === 3;
    this.state = 'connected';
    this.#hasConnected = true;
    this.serverProperties = properties;
    this.clientId = properties.assignedClientIdentifier ?? this.clientId;
    this.sessionPresent = sessionPresent && !is31;
    this.#reconnect.connected();
    incoming.attach(connection.writer, sessionPresent);
    delivery.attach(sessionPresent);
    // MQTT 3.1 does not say whether it has the session: to subscribe twice does no harm.
    const mustRemake = !sessionPresent || is31 || this.#isRemakeUnfinished;
    this.#isRemakeUnfinished = false;
    const first = mustRemake ? requests.remake(limits) : [];
    outgoing.attach(connection.writer, sessionPresent, limits, first);
    for (const call of this.#connectCalls.splice(0)) call.succeed();
    this.#parts.announcer.tell('connect', { sessionPresent: this.sessionPresent });
  }

  #onClosed(connection: Connection, error: Error): void {
    if (connection !== this.connection) return;
    this.#detach(connection.ending);
    if (this.state === 'disconnecting') {
      this.#parts.outgoing.onIdle();
      return;
    }
    if (this.#mayFallBack(error)) {
      this.protocolVersion = 4;
      this.#parts.outgoing.fallBack();
      this.#open();
      return;
    }
    const wasConnected = this.state === 'connected';
    const wasConnecting = this.state === 'connecting';
    const mayReconnect = !wasConnecting || (this.#settings.reconnectInitial && mayPass(error));
    const willReconnect = mayReconnect && this.#reconnect.isAllowed;
    if (!willReconnect) this.#giveUp(error, wasConnecting);
    else if (!wasConnecting) this.state = 'reconnecting';
    const { state } = this;
    const { announcer } = this.#parts;
    if (error instanceof ProtocolError || !(willReconnect || wasConnecting)) announcer.error(error);
    if (wasConnected) announcer.tell('disconnect', { error, willReconnect });
    // A listener may have called `disconnect`.
    if (this.state !== state || !willReconnect) return;
    const { attempt, delayMs } = this.#reconnect.schedule(() => this.#open());
    announcer.tell('reconnecting', { attempt, delayMs, error });
  }

  /** A server does not speak MQTT 5.0, and 3.1.1 will do [MQTT-3.1.2-2]. */
  #mayFallBack(error: Error): boolean {
    const { protocolFallback, authentication, username, password } = this.#settings;
    if (this.protocolVersion !== 5 || !protocolFallback || authentication !== null) return false;
    // Of 5.0 alone.
    if (password !== null && username === null) return false;
    const version = ConnackCode.unacceptableProtocolVersion;
    return error instanceof ConnectRefusedError && error.returnCode === version;
  }

  #giveUp(error: Error, isFirst: boolean): void {
    const { outgoing } = this.#parts;
    outgoing.refusal = error;
    this.#finish(error, error);
    if (!isFirst) return;
    // Nothing was ever there: what is asked for from now on waits for another `connect`.
    outgoing.refusal = null;
    this.state = 'idle';
  }

  #detach(ending: Ending): void {
    this.connection = null;
    this.#parts.incoming.detach();
    if (this.#parts.outgoing.detach(ending)) this.#isRemakeUnfinished = true;
  }

  /** Nothing follows: all calls and streams end. */
  #finish(error: Error, streamError: Error | null): void {
    this.state = 'closed';
    this.#reconnect.stop();
    for (const call of this.#connectCalls.splice(0)) call.fail(error);
    this.#parts.outgoing.failAll(error, this.#isSessionKept);
    this.#parts.subscriptions.endStreams(streamError);
    this.#parts.onFinished(error);
  }
}

/** Whether the next attempt may go better: nobody is there yet, or the server is busy. */
function mayPass(error: Error): boolean {
  if (error instanceof ConnectRefusedError) {
    return error.returnCode === ConnackCode.serverUnavailable;
  }
  return error instanceof ConnectFailedError && !isCertificateFault(error.cause);
}
