/**
 * SUBSCRIBE and UNSUBSCRIBE: what is asked of the server when the client's subscriptions change.
 */
import { PacketRejectedError, ProtocolError, SubscribeRefusedError } from '../base/errors.js';
import { CLIENT_STRIKES_MAX } from '../base/limits.js';
import { encodePacket } from '../protocol/codec.js';
import { PacketType, type ProtocolVersion, type QoS } from '../protocol/packet.js';
import { SUBACK_FAILURE } from '../protocol/return-code.js';
import type { CallOptions } from './call.js';
import type { MessageStream } from './message-stream.js';
import type { ClientSettings } from './options.js';
import type { Outgoing } from './outgoing.js';
import { OutgoingPacket } from './outgoing-packet.js';
import { type CheckedRequest, readSubscribe, readUnsubscribe } from './subscribe-arguments.js';
import type { Subscription, Subscriptions } from './subscriptions.js';

/** A filter the server has accepted. */
export interface GrantedSubscription {
  readonly filter: string;
  /** QoS granted, at most what was asked for. */
  readonly qos: QoS;
}

/** A packet id of a frame that has none yet: it gets one when it is sent. */
const PACKET_ID_LATER = 1;

/** A change of one subscription that a SUBSCRIBE asks for, and how to take it back. */
interface Change {
  readonly subscription: Subscription;
  readonly requestNumber: number;
  readonly undo: () => void;
}

/** Makes the packets and follows their answers. */
export class SubscriptionRequests {
  /** Told of subscriptions that the server did not make again after it had lost them. */
  onLost: (error: SubscribeRefusedError | PacketRejectedError) => void = () => {};
  readonly #subscriptions: Subscriptions;
  readonly #outgoing: Outgoing;
  readonly #version: ProtocolVersion;
  readonly #packetBytesMax: number;

  constructor(subscriptions: Subscriptions, outgoing: Outgoing, settings: ClientSettings) {
    this.#subscriptions = subscriptions;
    this.#outgoing = outgoing;
    this.#version = settings.protocolVersion;
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
    const { requests, options } = readSubscribe(filters, second, third, rest);
    const changes = requests.map((request) => this.#change(request));
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
  async unsubscribe(filters: string | readonly string[], options: CallOptions): Promise<void> {
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

  /** SUBSCRIBE packets for everything that had been granted, for a server that has lost it. */
  remake(): OutgoingPacket[] {
    return this.#subscriptions.granted(this.#packetBytesMax).map((group) => {
      const packet = this.#packet(group);
      packet.isOwn = true;
      packet.strikes = group[0].strikes;
      packet.onAnswer = (returnCodes) => {
        expectCount(returnCodes, group.length);
        const refused = group.filter((_, index) => returnCodes[index] === SUBACK_FAILURE);
        for (const subscription of group) subscription.strikes = 0;
        for (const subscription of refused) this.#lose(subscription, refusal([subscription]));
        if (refused.length > 0) this.onLost(refusal(refused));
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

  #change(request: CheckedRequest): Change {
    const subscription = this.#subscriptions.ensure(request.filter);
    const { directQos, handler } = subscription;
    subscription.directQos = request.qos;
    subscription.handler = request.handler;
    if (request.handler !== null) this.#subscriptions.hasTakers = true;
    const undo = (): void => {
      subscription.directQos = directQos;
      subscription.handler = handler;
      this.#subscriptions.dropIfUnused(subscription);
    };
    return { subscription, requestNumber: ++subscription.requests, undo };
  }

  #detach(subscription: Subscription, stream: MessageStream): void {
    subscription.streams = subscription.streams.filter((other) => other !== stream);
    this.#subscriptions.dropIfUnused(subscription);
  }

  #packet(subscriptions: readonly Subscription[]): OutgoingPacket {
    const requests = subscriptions.map(({ filter, qos }) => ({ filter, qos }));
    const frame = encodePacket(
      { type: 'subscribe', packetId: PACKET_ID_LATER, subscriptions: requests },
      this.#version,
    );
    return new OutgoingPacket(PacketType.suback, frame, 0, frame.length);
  }

  #request(changes: readonly Change[], options: CallOptions, what: string): Promise<void> {
    const packet = this.#packet(changes.map(({ subscription }) => subscription));
    packet.onAnswer = (returnCodes) => {
      expectCount(returnCodes, changes.length);
      const refused: Subscription[] = [];
      for (let i = 0; i < changes.length; i++) {
        const { subscription } = changes[i];
        if (returnCodes[i] !== SUBACK_FAILURE) {
          subscription.grantedQos = returnCodes[i];
        } else {
          takeBack(changes[i]);
          refused.push(subscription);
        }
      }
      return refused.length > 0 ? refusal(refused) : null;
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

  async #sendUnsubscribe(filters: readonly string[], options: CallOptions): Promise<void> {
    const frame = encodePacket(
      { type: 'unsubscribe', packetId: PACKET_ID_LATER, filters },
      this.#version,
    );
    const packet = new OutgoingPacket(PacketType.unsuback, frame, 0, frame.length);
    const what = `UNSUBSCRIBE from ${filters.map((filter) => `'${filter}'`).join(', ')}`;
    await this.#outgoing.request(packet, options, what);
  }
}

/** Undoes a change, unless a later one has taken its place. */
function takeBack({ subscription, requestNumber, undo }: Change): void {
  if (subscription.requests === requestNumber) undo();
}

/** @throws ProtocolError for a SUBACK that does not answer its SUBSCRIBE. */
function expectCount(returnCodes: readonly number[], count: number): void {
  if (returnCodes.length === count) return;
  throw new ProtocolError(
    'MQTT-3.9.3-1',
    `SUBACK with ${returnCodes.length} return codes for ${count} filters`,
  );
}

function refusal(subscriptions: readonly Subscription[]): SubscribeRefusedError {
  return new SubscribeRefusedError(subscriptions.map(({ filter }) => filter));
}

function listed(requests: readonly { filter: string }[]): string {
  return requests.map(({ filter }) => `'${filter}'`).join(', ');
}
