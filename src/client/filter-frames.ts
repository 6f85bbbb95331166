/** SUBSCRIBE and UNSUBSCRIBE of every protocol version. */
import { encodePacket } from '../protocol/codec.js';
import type { QoS } from '../protocol/packet.js';
import { encodePacket5, NO_PROPERTIES, RetainHandling, Sender } from '../protocol/v5/index.js';
import type { ProtocolLevel } from './handshake.js';

/** A packet id of a frame that has none yet: it gets one when it is sent. */
const PACKET_ID_LATER = 1;

/** How a filter is subscribed to in MQTT 5.0 [MQTT 5.0, 3.8.3.1]. */
export interface FilterOptions {
  /** Default false. true: not sent what this client publishes. */
  readonly noLocal: boolean;
  /** Default false. true: messages keep the RETAIN flag that they were published with. */
  readonly retainAsPublished: boolean;
  /** Retained messages: 0 always (default), 1 where the subscription is new, 2 never. */
  readonly retainHandling: RetainHandling;
}

/** One filter and how it is to be subscribed to. */
export interface FilterRequest extends FilterOptions {
  readonly filter: string;
  readonly qos: QoS;
}

/**
 * A SUBSCRIBE without its packet id.
 * @param identifier Subscription Identifier; 0 for none.
 * @returns null where the version has not what is asked for.
 */
export function subscribeFrame(
  version: ProtocolLevel,
  subscriptions: readonly FilterRequest[],
  identifier: number,
): Buffer | null {
  const packet = { type: 'subscribe', packetId: PACKET_ID_LATER, subscriptions } as const;
  if (version === 5) {
    const properties = identifier === 0 ? NO_PROPERTIES : { subscriptionIdentifiers: [identifier] };
    return encodePacket5({ ...packet, properties }, Sender.client);
  }
  const isPlain = subscriptions.every(
    ({ noLocal, retainAsPublished, retainHandling }) =>
      !noLocal && !retainAsPublished && retainHandling === RetainHandling.always,
  );
  return isPlain && identifier === 0 ? encodePacket(packet, version) : null;
}

/** An UNSUBSCRIBE without its packet id. */
export function unsubscribeFrame(version: ProtocolLevel, filters: readonly string[]): Buffer {
  const packet = { type: 'unsubscribe', packetId: PACKET_ID_LATER, filters } as const;
  if (version !== 5) return encodePacket(packet, version);
  return encodePacket5({ ...packet, properties: NO_PROPERTIES }, Sender.client);
}
