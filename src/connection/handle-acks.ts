/** PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 3.1.1, 3.4 to 3.7). */
import { PacketType } from '../protocol/packet.js';
import { stampBits } from '../sessions/inflight.js';
import { appendAcks } from './append-acks.js';
import type { Connection } from './connection.js';

/**
 * What its answers end on the other side is durable before: a PUBREL has the client forget that it
 * has had the message, and a PUBCOMP has it use the packet id for another.
 */
export function waitIfKept(connection: Connection): void {
  if (connection.session!.kept !== null) connection.host.durable?.wait(connection);
}

/**
 * Handles acks in a row of an open connection; their packet ids are in the host's scan. One that
 * nobody waits for is answered where it must be, and forgotten.
 * @throws ProtocolError for one that is not what its delivery waits for [MQTT-4.8.0-1].
 */
export function handleAcks(connection: Connection, type: number, count: number): void {
  const { packetIds } = connection.host.scan;
  const session = connection.session!;
  const window = session.window;
  let isExpected: boolean;
  switch (type) {
    case PacketType.puback:
      if (window === null) return;
      isExpected = count === 1 ? window.onPuback(packetIds[0]) : window.onPubacks(packetIds, count);
      break;
    case PacketType.pubcomp:
      if (window === null) return;
      isExpected =
        count === 1 ? window.onPubcomp(packetIds[0]) : window.onPubcomps(packetIds, count);
      break;
    case PacketType.pubrec:
      if (window !== null) window.lastStamp = stampBits(connection.host.stamp);
      // Answered even when unknown: a client that has lost a PUBREL before must come to an end.
      for (let at = 0; at < count; at++) window?.onPubrec(packetIds[at]);
      waitIfKept(connection);
      appendAcks(connection, PacketType.pubrel, count);
      return;
    default:
      // [MQTT-4.3.3-2]
      for (let at = 0; at < count; at++) session.releaseQos2(packetIds[at]);
      waitIfKept(connection);
      appendAcks(connection, PacketType.pubcomp, count);
      return;
  }
  if (isExpected) connection.outbox.onAcknowledged();
}
