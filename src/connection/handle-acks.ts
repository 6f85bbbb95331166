/** PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 3.1.1, 3.4 to 3.7). */
import { ACK_BYTES, writeAck } from '../protocol/ack-frame.js';
import { PacketType } from '../protocol/packet.js';
import type { Connection } from './connection.js';

/** Handles an ack of an open connection. One that nobody waits for is answered where it must be, and forgotten. */
export function handleAck(connection: Connection, type: number, packetId: number): void {
  const session = connection.session!;
  const window = session.window;
  switch (type) {
    case PacketType.puback:
      if (window?.onPuback(packetId)) connection.outbox.onAcknowledged();
      return;
    case PacketType.pubrec:
      // Answered even when unknown: a client that has lost a PUBREL before must come to an end.
      window?.onPubrec(packetId);
      reply(connection, PacketType.pubrel, packetId);
      return;
    case PacketType.pubrel:
      session.incomingQos2?.release(packetId);
      reply(connection, PacketType.pubcomp, packetId); // [MQTT-4.3.3-2]
      return;
    case PacketType.pubcomp:
      if (window?.onPubcomp(packetId)) connection.outbox.onAcknowledged();
      return;
    default:
      return;
  }
}

function reply(connection: Connection, type: number, packetId: number): void {
  const arena = connection.host.arena;
  const at = arena.reserve(ACK_BYTES);
  writeAck(arena.buffer, at, type, packetId);
  connection.outbox.append(at, at + ACK_BYTES);
}
