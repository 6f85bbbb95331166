/** The client: what its user calls. How its connections come and go is in lifecycle.ts. */
import { EventEmitter } from 'node:events';
import { ConnectionLostError } from '../base/errors.js';
import type { Properties } from '../protocol/v5/index.js';
import { Announcer } from './announcer.js';
import { Call, type CallOptions } from './call.js';
import type { ClientEvents, ClientState, DisconnectOptions } from './client-events.js';
import type { Connection } from './connection.js';
import { Delivery, type DeliveryHost } from './delivery.js';
import type { ProtocolLevel } from './handshake.js';
import { Incoming } from './incoming.js';
import { Lifecycle } from './lifecycle.js';
import type { Message, MessageHandler, Payload } from './message.js';
import { MessageStream, type StreamHost } from './message-stream.js';
import { type MessagesOptions, readMessagesOptions } from './messages-options.js';
import { type ClientOptions, type ClientSettings, resolveOptions } from './options.js';
import { Outgoing } from './outgoing.js';
import type { PublishOptions } from './publish-options.js';
import { Requester, type RequesterHost } from './requester.js';
import {
  checkedFilter,
  type Filters,
  type SubscribeOptions,
  type UnsubscribeOptions,
} from './subscribe-arguments.js';
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
  readonly #lifecycle: Lifecycle;
  readonly #requester: Requester;
  #streamsDropped = 0;

  /**
   * Makes a client; `connect()` connects it.
   * @param uri `mqtt://host:port`, or `mqtts:` for TLS; `ws://host:port/path`, or `wss:`; with
   *   `user:password@` if need be; or `unix:///path`.
   * @throws ConfigError with every fault of the options.
   */
  constructor(uri: string, options: ClientOptions = {}) {
    super();
    const settings = resolveOptions(uri, options);
    this.#settings = settings;
    this.#outgoing = new Outgoing(settings);
    this.#outgoing.onAwaiting = () => this.#lifecycle.connection?.resumeReading();
    this.#outgoing.onRejected = (error) => this.#announcer.error(error);
    this.#outgoing.onFailed = (failure) => this.#announcer.tell('publishError', failure);
    this.#requests = new SubscriptionRequests(this.#subscriptions, this.#outgoing, settings);
    this.#requests.onLost = (error) => this.#announcer.error(error);
    this.#delivery = new Delivery(this.#subscriptions, this.#incoming, this.#deliveryHost());
    // EventEmitter tells before it adds the listener: what waits is handed out in a later turn.
    (this as EventEmitter).on('newListener', (name) => {
      if (name === 'message') this.#delivery.claim();
    });
    this.#lifecycle = new Lifecycle({
      settings,
      announcer: this.#announcer,
      outgoing: this.#outgoing,
      incoming: this.#incoming,
      subscriptions: this.#subscriptions,
      requests: this.#requests,
      delivery: this.#delivery,
      onFinished: (error) => this.#requester.failAll(error),
    });
    this.#requester = new Requester(this.#requesterHost());
  }

  /** Client Identifier, given, made up, or assigned by the server. */
  get clientId(): string {
    return this.#lifecycle.clientId;
  }

  get state(): ClientState {
    return this.#lifecycle.state;
  }

  /** Protocol level that is spoken, or asked for: 4 instead of 5 once a server refused that. */
  get protocolVersion(): ProtocolLevel {
    return this.#lifecycle.protocolVersion;
  }

  /** What the server said in its last CONNACK [MQTT 5.0, 3.2.2.3]; nothing in 3.x. */
  get serverProperties(): Properties {
    return this.#lifecycle.serverProperties;
  }

  /** Messages can be sent now. */
  get isConnected(): boolean {
    return this.#lifecycle.connection?.isOpen === true;
  }

  /**
   * The server had the session when the last connection was made [MQTT-3.2.2-2]; false in MQTT 3.1.
   */
  get sessionPresent(): boolean {
    return this.#lifecycle.sessionPresent;
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
  connect(options: CallOptions = NO_OPTIONS): Promise<void> {
    return this.#lifecycle.connect(options);
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
    options: UnsubscribeOptions = NO_OPTIONS,
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

  /**
   * Publishes a request and resolves with its reply: with a Response Topic of this client's, under
   * the Response Information of the server where it gives one (`requestResponseInformation`), and
   * with Correlation Data, which the reply has to carry. MQTT 5.0 only. At most 1,024 wait at once.
   * @param options as of `publish`; `timeoutMs` is for the reply, `ackTimeout` unless given.
   * @throws TimeoutError; CapacityError; ArgumentError where MQTT 3.x is spoken; and as `publish`
   *   and `subscribe`.
   */
  request(topic: string, payload: Payload, options: PublishOptions = NO_OPTIONS): Promise<Message> {
    return this.#requester.request(topic, payload, options);
  }

  /** Sends PINGREQ; resolves on PINGRESP. @throws ConnectionLostError when not connected. */
  ping(options: CallOptions = NO_OPTIONS): Promise<void> {
    return this.#ask('PINGREQ', options, (connection, call) => connection.ping(call));
  }

  /**
   * Authenticates again with the option `authentication`, on the connection that stands; resolves
   * when the server accepts. One that does not ends the connection [MQTT 5.0, 4.12.1].
   * @throws ConnectionLostError when not connected, AuthenticationError, ArgumentError without the
   *   option.
   */
  reauthenticate(options: CallOptions = NO_OPTIONS): Promise<void> {
    return this.#ask('AUTH', options, (connection, call) => connection.reauthenticate(call));
  }

  /** Asks something of the connection, and waits for the answer. */
  async #ask(
    what: string,
    options: CallOptions,
    ask: (connection: Connection, call: Call) => void,
  ): Promise<void> {
    const { signal, timeoutMs = this.#settings.ackTimeoutMs } = options;
    signal?.throwIfAborted();
    const { connection } = this.#lifecycle;
    if (!connection?.isOpen) {
      throw new ConnectionLostError(`not connected to ${this.#settings.uri}: ${what} needs that`);
    }
    const call = new Call();
    const promise = call.promise();
    call.limit(options, timeoutMs, what, () => {});
    ask(connection, call);
    connection.resumeReading();
    await promise;
  }

  /**
   * Disconnects: waits for acks, sends DISCONNECT, closes. Calls that have not been answered by
   * then reject with a ClosedError; a session that is kept (cleanSession false) goes on with the
   * next `connect()` of this object.
   * @throws ArgumentError for properties that may not be; nothing else.
   */
  disconnect(options: DisconnectOptions = NO_OPTIONS): Promise<void> {
    return this.#lifecycle.disconnect(options);
  }

  /** `disconnect()`: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  #deliveryHost(): DeliveryHost {
    const client = this;
    return {
      get hasMessageListener() {
        return client.listenerCount('message') > 0;
      },
      get mayStopReading() {
        return !client.#lifecycle.isAwaiting;
      },
      get isClosed() {
        return client.#lifecycle.isClosed;
      },
      onMessage: (message) => this.#announcer.tell('message', message),
      onHandlerError: (error) => this.#onHandlerError(error),
      onRoom: () => this.#lifecycle.connection?.resumeReading(),
      onLeft: () => {
        const why = 'to have the messages again that came before anybody took them';
        this.#lifecycle.connection?.fail(new ConnectionLostError(`connection closed: ${why}`));
      },
    };
  }

  #requesterHost(): RequesterHost {
    const client = this;
    return {
      get protocolVersion() {
        return client.protocolVersion;
      },
      get responseInformation() {
        return client.serverProperties.responseInformation;
      },
      timeoutMs: this.#settings.ackTimeoutMs,
      publish: (topic, payload, options) => this.publish(topic, payload, options),
      subscribe: (filter, handler) => this.subscribe(filter, handler, { qos: 1 }),
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

  /** Only a handler that was at work when the client ended cannot help what it was refused. */
  #onHandlerError(error: unknown): void {
    if (error !== this.#outgoing.refusal) this.#announcer.handlerError(error);
  }
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
