/** SUBSCRIBE and UNSUBSCRIBE of every protocol version. */
import type { QoS } from '../protocol/packet.js';
import {
  encodePacket5,
  NO_PROPERTIES,
  type Properties,
  RetainHandling,
  Sender,
} from '../protocol/v5/index.js';
import type { ProtocolLevel } from './handshake.js';
import { subscribeFrame3, unsubscribeFrame3 } from './packets3.js';

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
 * @param properties in 5.0.
 * @returns null where the version has not what is asked for.
 */
export function subscribeFrame(
  version: ProtocolLevel,
  subscriptions: readonly FilterRequest[],
  properties: Properties,
): Buffer | null {
  const packetId = PACKET_ID_LATER;
  if (version === 5) {
    return encodePacket5({ type: 'subscribe', packetId, subscriptions, properties }, Sender.client);
  }
  const isPlain = subscriptions.every(
    ({ noLocal, retainAsPublished, retainHandling }) =>
      !noLocal && !retainAsPublished && retainHandling === RetainHandling.always,
  );
  if (!isPlain || properties !== NO_PROPERTIES) return null;
  return subscribeFrame3(packetId, subscriptions, version);
}

/** An UNSUBSCRIBE without its packet id. @returns null as `subscribeFrame`. */
export function unsubscribeFrame(
  version: ProtocolLevel,
  filters: readonly string[],
  properties: Properties,
): Buffer | null {
  const packetId = PACKET_ID_LATER;
  if (version === 5) {
    return encodePacket5({ type: 'unsubscribe', packetId, filters, properties }, Sender.client);
  }
  return properties === NO_PROPERTIES ? unsubscribeFrame3(packetId, filters, version) : null;
}
