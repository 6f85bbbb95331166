/** UNSUBSCRIBE (MQTT 3.1.1, 3.10). */
import { LOGGED_FILTERS_MAX } from '../base/limits.js';
import { ackFrame } from '../protocol/ack-frame.js';
import { PacketType, type UnsubscribePacket } from '../protocol/packet.js';
import { toTopicKey } from '../topics/topic.js';
import type { Connection } from './connection.js';

/**
 * Unsubscribes: nothing new is delivered behind the UNSUBACK [MQTT-3.10.4-2], which is sent also
 * for no match.
 */
export function handleUnsubscribe(connection: Connection, packet: UnsubscribePacket): void {
  const { host, clientId } = connection;
  const session = connection.session!;
  for (const filter of packet.filters) host.unsubscribe(session, toTopicKey(filter));
  if (host.isDebugLogged) {
    const filters = packet.filters.slice(0, LOGGED_FILTERS_MAX).join(' ');
    host.log('debug', { clientId, count: packet.filters.length, filters }, 'unsubscribed');
  }
  connection.append(ackFrame(PacketType.unsuback, packet.packetId));
}
