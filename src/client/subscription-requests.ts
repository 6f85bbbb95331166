/**
 * SUBSCRIBE and UNSUBSCRIBE: what is asked of the server when the client's subscriptions change.
 */
import { PacketRejectedError, ProtocolError, type SubscribeRefusedError } from '../base/errors.js';
import { CLIENT_STRIKES_MAX } from '../base/limits.js';
import type { ServerLimitError } from '../base/reason-errors.js';
import { PacketType, type QoS } from '../protocol/packet.js';
import { isErrorCode, type Properties } from '../protocol/v5/index.js';
import type { CallOptions } from './call.js';
import { subscribeFrame, unsubscribeFrame } from './filter-frames.js';
import type { MessageStream } from './message-stream.js';
import type { ClientSettings } from './options.js';
import type { Outgoing } from './outgoing.js';
import { OutgoingPacket } from './outgoing-packet.js';
import { needsVersion5 } from './publish-options.js';
import { subscribeRefused, unsubscribeRefused } from './reasons.js';
import { type ServerLimits, subscriptionFault } from './server-limits.js';
import {
  type CheckedRequest,
  callProperties,
  readSubscribe,
  readUnsubscribe,
  type UnsubscribeOptions,
} from './subscribe-arguments.js';
import type { Subscription, Subscriptions } from './subscriptions.js';

/** A filter the server has accepted. */
export interface GrantedSubscription {
  readonly filter: string;
  /** QoS granted, at most what was asked for. */
  readonly qos: QoS;
}

/** A change of one subscription that a SUBSCRIBE asks for, and how to take it back. */
interface Change {
  readonly subscription: Subscription;
  readonly requestNumber: number;
  readonly undo: () => void;
}

/** Makes the packets and follows their answers. */
export class SubscriptionRequests {
  /** Told of subscriptions that the server did not make again after it had lost them. */
  onLost: (error: SubscribeRefusedError | PacketRejectedError | ServerLimitError) => void =
    () => {};
  readonly #subscriptions: Subscriptions;
  readonly #outgoing: Outgoing;
  readonly #packetBytesMax: number;

  constructor(subscriptions: Subscriptions, outgoing: Outgoing, settings: ClientSettings) {
    this.#subscriptions = subscriptions;
    this.#outgoing = outgoing;
    this.#packetBytesMax = settings.maxOutgoingPacketBytes;
  }

  /**
   * Subscribes to all filters in one SUBSCRIBE. The handlers are in place at once, so that nothing
   * that comes before SUBACK is missed; one whose filter is refused is removed again.
   * @param given what `Client.subscribe` was called with.
   * @throws ArgumentError; SubscribeRefusedError naming the refused filters, the others stand.
   */
  async subscribe(...given: readonly unknown[]): Promise<GrantedSubscription[]> {
    const [filters, second, third, ...rest] = given;
    const { requests, options, properties } = readSubscribe(filters, second, third, rest);
    const changes = requests.map((request) => this.#change(request, properties));
    await this.#request(changes, options, `SUBSCRIBE to ${listed(requests)}`);
    return changes.map(({ subscription }) => ({
      filter: subscription.filter,
      qos: Math.max(subscription.grantedQos, 0) as QoS,
    }));
  }

  /** Subscribes for a stream. @throws SubscribeRefusedError and what a call may throw. */
  async open(stream: MessageStream, options: CallOptions): Promise<void> {
    const subscription = this.#subscriptions.ensure(stream.filter);
    subscription.streams = [...subscription.streams, stream];
    this.#subscriptions.hasTakers = true;
    const undo = (): void => this.#detach(subscription, stream);
    const change = { subscription, requestNumber: ++subscription.requests, undo };
    await this.#request([change], options, `SUBSCRIBE to '${stream.filter}'`);
  }

  /** A stream has ended; the server is told when nobody else wants its filter. */
  close(stream: MessageStream): void {
    const subscription = this.#subscriptions.get(stream.filter);
    if (subscription === undefined || !subscription.streams.includes(stream)) return;
    this.#detach(subscription, stream);
    if (!subscription.isUnused || this.#outgoing.refusal !== null) return;
    this.#sendUnsubscribe([stream.filter], {}).catch(() => {
      // Nobody waits; a connection that is lost takes the subscription with it, or it is asked
      // again.
    });
  }

  /**
   * Unsubscribes. Handlers are not called any more from now on; filters that streams use stay
   * subscribed. Filters this client knows nothing of are sent too: a session may have them from
   * before.
   * @throws ArgumentError and what a call may throw.
   */
  async unsubscribe(
    filters: string | readonly string[],
    options: UnsubscribeOptions,
  ): Promise<void> {
    const all = readUnsubscribe(filters);
    const unwanted: string[] = [];
    for (const filter of all) {
      const subscription = this.#subscriptions.get(filter);
      if (subscription !== undefined) {
        subscription.requests++;
        subscription.directQos = -1;
        subscription.handler = null;
        this.#subscriptions.dropIfUnused(subscription);
      }
      if (subscription === undefined || subscription.isUnused) unwanted.push(filter);
    }
    if (unwanted.length > 0) await this.#sendUnsubscribe(unwanted, options);
  }

  /**
   * SUBSCRIBE packets for everything that had been granted, for a server that has lost it.
   * @param limits of the server: what is beyond them is lost.
   */
  remake(limits: ServerLimits): OutgoingPacket[] {
    for (const subscription of this.#subscriptions.granted(this.#packetBytesMax).flat()) {
      const fault = faultIn(limits, subscription);
      if (fault === null) continue;
      this.#lose(subscription, fault);
      // Later: a listener may disconnect, and this connection is not made use of yet.
      queueMicrotask(() => this.onLost(fault));
    }
    return this.#subscriptions.granted(this.#packetBytesMax).map((group) => {
      const packet = this.#packet(group);
      packet.isOwn = true;
      packet.strikes = group[0].strikes;
      packet.onAnswer = (codes, properties) => {
        expectCount('SUBACK', codes, group.length);
        for (const subscription of group) subscription.strikes = 0;
        const isRefused = (_: unknown, index: number): boolean => isErrorCode(codes[index]);
        const refused = group.filter(isRefused);
        if (refused.length === 0) return null;
        const error = refusal(refused, codes.filter(isErrorCode), properties);
        for (const subscription of refused) this.#lose(subscription, error);
        this.onLost(error);
        return null;
      };
      packet.onStruck = (wasAlone) => this.#struck(group, wasAlone);
      return packet;
    });
  }

  /** A connection ended when these were to be made again. */
  #struck(group: readonly Subscription[], wasAlone: boolean): void {
    for (const subscription of group) subscription.strikes++;
    const [first] = group;
    if (!wasAlone || group.length > 1 || first.strikes < CLIENT_STRIKES_MAX) return;
    const error = new PacketRejectedError(`SUBSCRIBE to '${first.filter}'`);
    this.#lose(first, error);
    this.onLost(error);
  }

  /** The server does not make a subscription again that it had granted. */
  #lose(subscription: Subscription, error: Error): void {
    subscription.directQos = -1;
    subscription.handler = null;
    const { streams } = subscription;
    subscription.streams = [];
    for (const stream of streams) stream.end(error);
    this.#subscriptions.dropIfUnused(subscription);
  }

  #change(request: CheckedRequest, propertiesAsked: Properties): Change {
    const subscription = this.#subscriptions.ensure(request.filter);
    const { directQos, handler, options, properties } = subscription;
    subscription.directQos = request.qos;
    subscription.handler = request.handler;
    subscription.options = request.filterOptions;
    subscription.properties = propertiesAsked;
    if (request.handler !== null) this.#subscriptions.hasTakers = true;
    const undo = (): void => {
      subscription.directQos = directQos;
      subscription.handler = handler;
      subscription.options = options;
      subscription.properties = properties;
      this.#subscriptions.dropIfUnused(subscription);
    };
    return { subscription, requestNumber: ++subscription.requests, undo };
  }

  #detach(subscription: Subscription, stream: MessageStream): void {
    subscription.streams = subscription.streams.filter((other) => other !== stream);
    this.#subscriptions.dropIfUnused(subscription);
  }

  #packet(subscriptions: readonly Subscription[]): OutgoingPacket {
    const requests = subscriptions.map(({ filter, qos, options }) => ({ filter, qos, ...options }));
    const { properties } = subscriptions[0];
    const { version } = this.#outgoing;
    const frame = subscribeFrame(version, requests, properties);
    if (frame === null) throw needsVersion5('options of a subscription', version);
    const packet = new OutgoingPacket(PacketType.suback, frame, 0, frame.length);
    packet.encode = (level) => subscribeFrame(level, requests, properties);
    packet.faultOf = (limits) => {
      const faults = subscriptions.map((one) => faultIn(limits, one));
      return faults.find((fault) => fault !== null) ?? null;
    };
    return packet;
  }

  #request(changes: readonly Change[], options: CallOptions, what: string): Promise<void> {
    let packet: OutgoingPacket;
    try {
      packet = this.#packet(changes.map(({ subscription }) => subscription));
    } catch (error) {
      for (const change of changes) takeBack(change);
      throw error;
    }
    packet.onAnswer = (codes, properties) => {
      expectCount('SUBACK', codes, changes.length);
      const refused: Subscription[] = [];
      for (let i = 0; i < changes.length; i++) {
        const { subscription } = changes[i];
        if (!isErrorCode(codes[i])) {
          subscription.grantedQos = codes[i];
        } else {
          takeBack(changes[i]);
          refused.push(subscription);
        }
      }
      if (refused.length === 0) return null;
      return refusal(refused, codes.filter(isErrorCode), properties);
    };
    packet.onDropped = () => {
      for (const change of changes) takeBack(change);
    };
    try {
      return this.#outgoing.request(packet, options, what);
    } catch (error) {
      packet.onDropped();
      throw error;
    }
  }

  async #sendUnsubscribe(filters: readonly string[], options: UnsubscribeOptions): Promise<void> {
    const { version } = this.#outgoing;
    const properties = callProperties(PacketType.unsubscribe, options);
    const frame = unsubscribeFrame(version, filters, properties);
    if (frame === null) throw needsVersion5('properties of an UNSUBSCRIBE', version);
    const packet = new OutgoingPacket(PacketType.unsuback, frame, 0, frame.length);
    packet.encode = (level) => unsubscribeFrame(level, filters, properties);
    packet.onAnswer = (codes, properties) => {
      // In 3.x it has none.
      if (this.#outgoing.version !== 5) return null;
      expectCount('UNSUBACK', codes, filters.length);
      const refused = filters.filter((_, index) => isErrorCode(codes[index]));
      if (refused.length === 0) return null;
      return unsubscribeRefused(refused, codes.filter(isErrorCode), properties);
    };
    const what = `UNSUBSCRIBE from ${filters.map((filter) => `'${filter}'`).join(', ')}`;
    await this.#outgoing.request(packet, options, what);
  }
}

function faultIn(
  limits: ServerLimits,
  { filter, properties }: Subscription,
): ServerLimitError | null {
  return subscriptionFault(limits, filter, properties.subscriptionIdentifiers !== undefined);
}

/** Undoes a change, unless a later one has taken its place. */
function takeBack({ subscription, requestNumber, undo }: Change): void {
  if (subscription.requests === requestNumber) undo();
}

/** @throws ProtocolError for an answer that has not one code for each filter of its question. */
function expectCount(name: 'SUBACK' | 'UNSUBACK', codes: readonly number[], count: number): void {
  if (codes.length === count) return;
  throw new ProtocolError(
    name === 'SUBACK' ? 'MQTT-3.9.3-1' : 'MQTT-3.11.3-1',
    `${name} with ${codes.length} return codes for ${count} filters`,
  );
}

function refusal(
  subscriptions: readonly Subscription[],
  codes: readonly number[],
  properties: Properties,
): SubscribeRefusedError {
  const filters = subscriptions.map(({ filter }) => filter);
  return subscribeRefused(filters, codes, properties);
}

function listed(requests: readonly { filter: string }[]): string {
  return requests.map(({ filter }) => `'${filter}'`).join(', ');
}
