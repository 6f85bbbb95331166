/** UNSUBSCRIBE (MQTT 3.1.1, 3.10). */
import { LOGGED_FILTERS_MAX } from '../base/limits.js';
import { ackFrame } from '../protocol/ack-frame.js';
import { PacketType, type UnsubscribePacket } from '../protocol/packet.js';
import { toTopicKey } from '../topics/topic.js';
import type { Connection } from './connection.js';
import { FILTERS_PER_PART, handleInParts } from './long-packet.js';

/**
 * Unsubscribes: nothing new is delivered behind the UNSUBACK [MQTT-3.10.4-2], which is sent also
 * for no match.
 */
export function handleUnsubscribe(connection: Connection, packet: UnsubscribePacket): void {
  const { host, clientId } = connection;
  if (host.isDebugLogged) {
    const filters = packet.filters.slice(0, LOGGED_FILTERS_MAX).join(' ');
    host.log('debug', { clientId, count: packet.filters.length, filters }, 'unsubscribed');
  }
  handleInParts(connection, unsubscribeInParts(connection, packet));
}

function* unsubscribeInParts(connection: Connection, packet: UnsubscribePacket): Generator<void> {
  const { host } = connection;
  const session = connection.session!;
  const { filters, packetId } = packet;
  for (let at = 0; at < filters.length; ) {
    const end = Math.min(at + FILTERS_PER_PART, filters.length);
    while (at < end) host.unsubscribe(session, toTopicKey(filters[at++]!));
    if (at < filters.length) yield;
  }
  connection.append(ackFrame(PacketType.unsuback, packetId));
}
