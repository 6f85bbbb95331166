/** SUBSCRIBE and UNSUBSCRIBE of every protocol version. */
import { encodePacket } from '../protocol/codec.js';
import type { QoS } from '../protocol/packet.js';
import { encodePacket5, NO_PROPERTIES, RetainHandling, Sender } from '../protocol/v5/index.js';
import type { ProtocolLevel } from './handshake.js';

/** A packet id of a frame that has none yet: it gets one when it is sent. */
const PACKET_ID_LATER = 1;

/** One filter and how it is to be subscribed to. */
export interface FilterRequest {
  readonly filter: string;
  readonly qos: QoS;
}

export function subscribeFrame(version: ProtocolLevel, requests: readonly FilterRequest[]): Buffer {
  const packet = { type: 'subscribe', packetId: PACKET_ID_LATER } as const;
  if (version !== 5) return encodePacket({ ...packet, subscriptions: requests }, version);
  const subscriptions = requests.map((request) => ({
    noLocal: false,
    retainAsPublished: false,
    retainHandling: RetainHandling.always,
    ...request,
  }));
  return encodePacket5({ ...packet, subscriptions, properties: NO_PROPERTIES }, Sender.client);
}

export function unsubscribeFrame(version: ProtocolLevel, filters: readonly string[]): Buffer {
  const packet = { type: 'unsubscribe', packetId: PACKET_ID_LATER, filters } as const;
  if (version !== 5) return encodePacket(packet, version);
  return encodePacket5({ ...packet, properties: NO_PROPERTIES }, Sender.client);
}
