/** Packets that must not be longer than their receiver takes [MQTT-3.1.2-24] [MQTT-3.2.2-15]. */
import type { ControlPacket5 } from './packet.js';
import type { Properties } from './properties.js';
import type { Sender } from './property.js';
import { encodePacket5 } from './write-packet.js';

/** Of these the sender may leave out Reason String and User Properties to make them fit. */
type ShortenedPacket = Exclude<
  ControlPacket5,
  { type: 'connect' | 'publish' | 'subscribe' | 'unsubscribe' | 'pingreq' | 'pingresp' }
>;

/** What is left out, the least needed first. */
const DROPPED: readonly (keyof Properties)[] = ['userProperties', 'reasonString'];

/**
 * The frame of an ack, CONNACK, DISCONNECT or AUTH within the receiver's Maximum Packet Size:
 * without User Properties where they do not fit, then without Reason String too [MQTT-3.2.2-19]
 * [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] and the same of the other packets.
 * @param maximumPacketSize in bytes, at least 1; Infinity for a receiver that has said none.
 * @returns null when it does not fit even so: it must not be sent.
 * @throws as `encodePacket5`.
 */
export function fitToMaximumPacketSize(
  packet: ShortenedPacket,
  maximumPacketSize: number,
  sender: Sender,
): Buffer | null {
  let properties = packet.properties;
  let frame = encodePacket5(packet, sender);
  for (const key of DROPPED) {
    if (frame.length <= maximumPacketSize) return frame;
    if (properties[key] === undefined) continue;
    properties = { ...properties, [key]: undefined };
    frame = encodePacket5({ ...packet, properties } as ShortenedPacket, sender);
  }
  return frame.length <= maximumPacketSize ? frame : null;
}
