/** The client: what its user calls, and what happens when its connection comes and goes. */
import { EventEmitter } from 'node:events';
import {
  ClosedError,
  ConnectFailedError,
  ConnectionLostError,
  ConnectRefusedError,
  ProtocolError,
} from '../base/errors.js';
import { PacketType } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import { Announcer } from './announcer.js';
import { Call, type CallOptions } from './call.js';
import type { ClientEvents, ClientState, DisconnectOptions } from './client-events.js';
import { Connection, type ConnectionOwner } from './connection.js';
import { Delivery, type DeliveryHost } from './delivery.js';
import { Incoming } from './incoming.js';
import type { MessageHandler, Payload } from './message.js';
import { MessageStream, type StreamHost } from './message-stream.js';
import { type MessagesOptions, readMessagesOptions } from './messages-options.js';
import { type ClientOptions, type ClientSettings, resolveOptions } from './options.js';
import { Outgoing, type PublishOptions } from './outgoing.js';
import { Reconnect } from './reconnect.js';
import { Ending } from './resend.js';
import { checkedFilter, type Filters, type SubscribeOptions } from './subscribe-arguments.js';
import { type GrantedSubscription, SubscriptionRequests } from './subscription-requests.js';
import { Subscriptions } from './subscriptions.js';

const NO_OPTIONS = {};

/**
 * An MQTT client. What is published or subscribed to while there is no connection waits for one.
 * One object is one session: it holds the packet ids of both directions and can be connected again.
 */
export class Client extends EventEmitter<ClientEvents> implements AsyncDisposable {
  readonly #announcer = new Announcer(this);
  readonly #settings: ClientSettings;
  readonly #outgoing: Outgoing;
  readonly #incoming = new Incoming();
  readonly #subscriptions = new Subscriptions();
  readonly #requests: SubscriptionRequests;
  readonly #delivery: Delivery;
  readonly #reconnect: Reconnect;
  readonly #connectCalls: Call[] = [];
  #state: ClientState = 'idle';
  #connection: Connection | null = null;
  #sessionPresent = false;
  /** The last connection was lost before it had made all subscriptions again. */
  #isRemakeUnfinished = false;
  #disconnecting: Promise<void> | null = null;
  #streamsDropped = 0;

  /**
   * Makes a client; `connect()` connects it.
   * @param uri `mqtt://host:port` or `tcp://host:port`, with `user:password@` if need be; or
   *   `unix:///path`.
   * @throws ConfigError with every fault of the options.
   */
  constructor(uri: string, options: ClientOptions = {}) {
    super();
    const settings = resolveOptions(uri, options);
    this.#settings = settings;
    this.#outgoing = new Outgoing(settings);
    this.#outgoing.onAwaiting = () => this.#connection?.resumeReading();
    this.#outgoing.onRejected = (error) => this.#announcer.error(error);
    this.#outgoing.onFailed = (failure) => this.#announcer.tell('publishError', failure);
    this.#requests = new SubscriptionRequests(this.#subscriptions, this.#outgoing, settings);
    this.#requests.onLost = (error) => this.#announcer.error(error);
    this.#delivery = new Delivery(this.#subscriptions, this.#incoming, this.#deliveryHost());
    // EventEmitter tells before it adds the listener: what waits is handed out in a later turn.
    (this as EventEmitter).on('newListener', (name) => {
      if (name === 'message') this.#delivery.claim();
    });
    this.#reconnect = new Reconnect(settings);
  }

  /** Client Identifier, given or made up. */
  get clientId(): string {
    return this.#settings.clientId;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Messages can be sent now. */
  get isConnected(): boolean {
    return this.#connection?.isOpen === true;
  }

  /**
   * The server had the session when the last connection was made [MQTT-3.2.2-2]; false in MQTT 3.1.
   */
  get sessionPresent(): boolean {
    return this.#sessionPresent;
  }

  /** Messages and requests that wait to be sent. */
  get queuedMessages(): number {
    return this.#outgoing.queuedMessages;
  }

  /** Packets that were sent and wait for their acknowledgement. */
  get inflight(): number {
    return this.#outgoing.inflight;
  }

  /**
   * QoS 0 messages dropped because handlers or streams did not keep up while reading had to go on.
   */
  get droppedMessages(): number {
    return this.#delivery.droppedMessages + this.#streamsDropped;
  }

  /**
   * Connects. Called while it is being done, it waits for the same. The first attempt is repeated
   * only with the option `reconnect.initial`.
   * @throws ConnectFailedError, ConnectRefusedError, ProtocolError, ClosedError; TimeoutError and
   *   the reason of a signal by its own limits.
   */
  async connect(options: CallOptions = NO_OPTIONS): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.#state === 'connected') return;
    if (this.#state === 'disconnecting') throw new ClosedError('the client is disconnecting');
    const call = new Call();
    const promise = call.promise();
    const { signal, timeoutMs = 0 } = options;
    if (signal !== undefined || timeoutMs > 0) {
      call.limit(options, timeoutMs, `CONNECT to ${this.#settings.uri}`, () => {
        if (this.#connectCalls.every((other) => other.isSettled)) this.#abandonConnect();
      });
    }
    this.#connectCalls.push(call);
    if (this.#state === 'idle' || this.#state === 'closed') {
      this.#state = 'connecting';
      this.#outgoing.refusal = null;
      this.#open();
    }
    await promise;
  }

  /**
   * Publishes a message. The promise settles for QoS 0 when the socket has taken it, QoS 1 on
   * PUBACK, QoS 2 on PUBCOMP, in the order of the calls; across reconnects, unless a limit is
   * given. QoS 0 that fits in what the socket takes at the end of this turn, 256 KiB at most, is
   * taken at once. A QoS 1 or 2 message whose call is given up after it was sent may arrive all the
   * same, and is not sent again. Nobody need wait for the promise: what fails is an event
   * 'publishError' as well.
   * @throws ArgumentError; CapacityError when too much waits; ClosedError after `disconnect`;
   *   ConnectionLostError when the connection is not made again, and for QoS 0 that the socket had
   *   not taken when it was lost; PacketRejectedError when the server twice answered by closing.
   */
  publish(topic: string, payload: Payload, options: PublishOptions = NO_OPTIONS): Promise<void> {
    try {
      return this.#outgoing.publish(topic, payload, options);
    } catch (error) {
      this.#announcer.tell('publishError', { error, topic, messages: 1 });
      const rejected = Promise.reject(error);
      rejected.catch(() => {});
      return rejected;
    }
  }

  /**
   * Subscribes to one filter or several in one SUBSCRIBE, and resolves on SUBACK with what was
   * granted. Filters are text, `{ filter, qos, handler }`, a list of those, or a map such as
   * `{ 'a/#': { qos: 1 } }`. Each has one handler, its own or else `handler`; subscribing again
   * replaces it. A message that several filters match goes to the handler of each, once. A filter
   * without handler: listen to 'message'. Handlers are in place before this returns, and may be set
   * before `connect()`.
   * @throws SubscribeRefusedError naming refused filters (the others stand), and as `publish`.
   *   ArgumentError shows how to call it.
   */
  subscribe(
    filters: Filters,
    handler?: MessageHandler | null,
    options?: SubscribeOptions | null,
  ): Promise<GrantedSubscription[]>;
  /** The same with the options first. */
  subscribe(
    filters: Filters,
    options: SubscribeOptions | null | undefined,
    handler?: MessageHandler | null,
  ): Promise<GrantedSubscription[]>;
  subscribe(...given: readonly unknown[]): Promise<GrantedSubscription[]> {
    const granted = this.#requests.subscribe(...given);
    this.#delivery.subscribing(granted);
    return granted;
  }

  /** Unsubscribes; resolves on UNSUBACK. Handlers are not called any more from now on. */
  unsubscribe(
    filters: string | readonly string[],
    options: CallOptions = NO_OPTIONS,
  ): Promise<void> {
    return this.#requests.unsubscribe(filters, options);
  }

  /**
   * The messages of a filter, for `for await`. Subscribes now and unsubscribes when the loop ends.
   * A full queue stops the reading of this client's socket, so that the server sees backpressure.
   * `signal` ends the loop with its reason; `timeoutMs` is for SUBACK.
   * @throws ArgumentError
   */
  messages(filter: string, options: MessagesOptions = NO_OPTIONS): MessageStream {
    const { qos, signal, highWaterMark } = readMessagesOptions(options);
    const onAbort = (): void => stream.end(signal?.reason);
    const stream = new MessageStream(
      checkedFilter(filter),
      qos,
      highWaterMark,
      this.#streamHost(() => signal?.removeEventListener('abort', onAbort)),
    );
    stream.ready = this.#requests.open(stream, options);
    stream.ready.catch((error: unknown) => stream.end(error));
    this.#delivery.subscribing(stream.ready);
    signal?.addEventListener('abort', onAbort);
    return stream;
  }

  /** Sends PINGREQ; resolves on PINGRESP. @throws ConnectionLostError when not connected. */
  async ping(options: CallOptions = NO_OPTIONS): Promise<void> {
    const { signal, timeoutMs = this.#settings.ackTimeoutMs } = options;
    signal?.throwIfAborted();
    if (!this.#connection?.isOpen) {
      throw new ConnectionLostError(`not connected to ${this.#settings.uri}: ping when connected`);
    }
    const call = new Call();
    const promise = call.promise();
    call.limit(options, timeoutMs, 'PINGREQ', () => {});
    this.#connection.ping(call);
    this.#connection.resumeReading();
    await promise;
  }

  /**
   * Disconnects: waits for acks, sends DISCONNECT, closes. Calls that have not been answered by
   * then reject with a ClosedError; a session that is kept (cleanSession false) goes on with the
   * next `connect()` of this object. Never rejects.
   */
  disconnect(options: DisconnectOptions = NO_OPTIONS): Promise<void> {
    if (this.#state === 'idle' || this.#state === 'closed') return Promise.resolve();
    this.#disconnecting ??= this.#disconnect(options).finally(() => {
      this.#disconnecting = null;
    });
    return this.#disconnecting;
  }

  /** `disconnect()`: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  async #disconnect(options: DisconnectOptions): Promise<void> {
    const error = new ClosedError('the client was disconnected by its user');
    this.#state = 'disconnecting';
    this.#outgoing.refusal = error;
    this.#reconnect.stop();
    const connection = this.#connection;
    if (connection?.isOpen && options.drain !== false) await this.#drained(options);
    this.#detach(Ending.other);
    // Lost while it drained, or not open yet: then there is no DISCONNECT to send.
    await connection?.end(error);
    this.#finish(error, null);
    this.#announcer.tell('disconnect', { error: null, willReconnect: false });
  }

  /** Settles when nothing waits any more, at the limits, or when the connection is lost. */
  async #drained(options: CallOptions): Promise<void> {
    const { signal, timeoutMs = this.#settings.ackTimeoutMs } = options;
    if (this.#outgoing.isIdle || signal?.aborted) return;
    const call = new Call();
    const promise = call.promise();
    call.limit(options, timeoutMs, 'DISCONNECT', () => {});
    this.#outgoing.onIdle = () => call.succeed();
    await promise.catch(() => {
      // Out of patience: what has no answer is told so by its own promise.
    });
    this.#outgoing.onIdle = () => {};
  }

  // ---- connections -----------------------------------------------------------------------------

  #open(): void {
    this.#connection = new Connection(this.#settings, this.#connectionOwner());
  }

  /** Nobody waits for the first connection any more. */
  #abandonConnect(): void {
    if (this.#state !== 'connecting') return;
    const error = new ClosedError('the attempt to connect was given up');
    if (this.#connection !== null) this.#connection.fail(error);
    else this.#giveUp(error, true);
  }

  #connectionOwner(): ConnectionOwner {
    const client = this;
    return {
      onConnected: (connection, sessionPresent) => this.#onConnected(connection, sessionPresent),
      onClosed: (connection, error) => this.#onClosed(connection, error),
      onAck: (type, packetId) => {
        if (type === PacketType.pubrel) this.#incoming.release(packetId);
        else this.#outgoing.onAck(type, packetId);
      },
      onAnswer: (type, packetId, codes) => this.#outgoing.onAnswer(type, packetId, codes),
      onDrain: () => this.#outgoing.pump(),
      onRun: this.#delivery.onRun.bind(this.#delivery),
      get mustStopReading() {
        return client.#delivery.isBlocked && !client.#isAwaiting;
      },
    };
  }

  #deliveryHost(): DeliveryHost {
    const client = this;
    return {
      get hasMessageListener() {
        return client.listenerCount('message') > 0;
      },
      get mayStopReading() {
        return !client.#isAwaiting;
      },
      get isClosed() {
        const state = client.#state;
        return state === 'closed' || (state === 'disconnecting' && client.#connection === null);
      },
      onMessage: (message) => this.#announcer.tell('message', message),
      onHandlerError: (error) => this.#onHandlerError(error),
      onRoom: () => this.#connection?.resumeReading(),
      onLeft: () => {
        const why = 'to have the messages again that came before anybody took them';
        this.#connection?.fail(new ConnectionLostError(`connection closed: ${why}`));
      },
    };
  }

  #streamHost(onClosed: () => void): StreamHost {
    return {
      onFull: () => this.#delivery.streamFull(),
      onRoom: () => this.#delivery.streamRoom(),
      onAckReleased: () => this.#incoming.flush(),
      onClosed: (stream) => {
        onClosed();
        this.#streamsDropped += stream.droppedMessages;
        this.#requests.close(stream);
      },
    };
  }

  /** A call waits for what may stand behind the messages that come in. */
  get #isAwaiting(): boolean {
    return this.#outgoing.isAwaiting || (this.#connection?.pingCalls ?? 0) > 0;
  }

  #onConnected(connection: Connection, sessionPresent: boolean): void {
    const is31 = this.#settings.protocolVersion === 3;
    this.#state = 'connected';
    this.#sessionPresent = sessionPresent && !is31;
    this.#reconnect.connected();
    this.#incoming.attach(connection.writer, sessionPresent);
    this.#delivery.attach(sessionPresent);
    // MQTT 3.1 does not say whether it has the session: to subscribe twice does no harm.
    const mustRemake = !sessionPresent || is31 || this.#isRemakeUnfinished;
    this.#isRemakeUnfinished = false;
    const first = mustRemake ? this.#requests.remake() : [];
    this.#outgoing.attach(connection.writer, sessionPresent, first);
    for (const call of this.#connectCalls.splice(0)) call.succeed();
    this.#announcer.tell('connect', { sessionPresent: this.#sessionPresent });
  }

  #onClosed(connection: Connection, error: Error): void {
    if (connection !== this.#connection) return;
    this.#detach(connection.ending);
    if (this.#state === 'disconnecting') {
      this.#outgoing.onIdle();
      return;
    }
    const wasConnected = this.#state === 'connected';
    const wasConnecting = this.#state === 'connecting';
    const mayReconnect = !wasConnecting || (this.#settings.reconnectInitial && mayPass(error));
    const willReconnect = mayReconnect && this.#reconnect.isAllowed;
    if (!willReconnect) this.#giveUp(error, wasConnecting);
    else if (!wasConnecting) this.#state = 'reconnecting';
    const { state } = this;
    if (error instanceof ProtocolError || !(willReconnect || wasConnecting))
      this.#announcer.error(error);
    if (wasConnected) this.#announcer.tell('disconnect', { error, willReconnect });
    // A listener may have called `disconnect`.
    if (this.#state !== state || !willReconnect) return;
    const { attempt, delayMs } = this.#reconnect.schedule(() => this.#open());
    this.#announcer.tell('reconnecting', { attempt, delayMs, error });
  }

  #giveUp(error: Error, isFirst: boolean): void {
    this.#outgoing.refusal = error;
    this.#finish(error, error);
    if (!isFirst) return;
    // Nothing was ever there: what is asked for from now on waits for another `connect`.
    this.#outgoing.refusal = null;
    this.#state = 'idle';
  }

  #detach(ending: Ending): void {
    this.#connection = null;
    this.#incoming.detach();
    if (this.#outgoing.detach(ending)) this.#isRemakeUnfinished = true;
  }

  /** Nothing follows: all calls and streams end. */
  #finish(error: Error, streamError: Error | null): void {
    this.#state = 'closed';
    this.#reconnect.stop();
    for (const call of this.#connectCalls.splice(0)) call.fail(error);
    this.#outgoing.failAll(error, !this.#settings.cleanSession);
    this.#subscriptions.endStreams(streamError);
  }

  /** Only a handler that was at work when the client ended cannot help what it was refused. */
  #onHandlerError(error: unknown): void {
    if (error !== this.#outgoing.refusal) this.#announcer.handlerError(error);
  }
}

/** Whether the next attempt may go better: nobody is there yet, or the server is busy. */
function mayPass(error: Error): boolean {
  if (error instanceof ConnectRefusedError) {
    return error.returnCode === ConnackCode.serverUnavailable;
  }
  return error instanceof ConnectFailedError;
}

/**
 * Makes a client and connects it.
 * @throws ConfigError, and as `Client.connect`.
 */
export async function connect(
  uri: string,
  options: ClientOptions = {},
  callOptions: CallOptions = NO_OPTIONS,
): Promise<Client> {
  const client = new Client(uri, options);
  await client.connect(callOptions);
  return client;
}
