/** Answers to many packets at once. */
import { ACK_BYTES, PINGRESP, writeAck } from '../protocol/ack-frame.js';
import { PacketType } from '../protocol/packet.js';
import { ACK_BYTES_MAX_5, writeAck5 } from '../protocol/v5/index.js';
import type { Connection } from './connection.js';

/**
 * Sends an ack of `type` for each of the first `count` packet ids in the host's scan, in their
 * order [MQTT-4.6.0-2, 4.6.0-3, 4.6.0-4].
 */
export function appendAcks(connection: Connection, type: number, count: number): void {
  const { arena, scan } = connection.host;
  const { packetIds } = scan;
  if (connection.replies !== null && isInOrder(connection, type)) {
    connection.replies.addAcks(type, packetIds, count);
    connection.boundReplies();
    return;
  }
  const start = arena.reserve(count * ACK_BYTES);
  const { buffer } = arena;
  let at = start;
  for (let index = 0; index < count; index++) at = writeAck(buffer, at, type, packetIds[index]);
  connection.outbox.appendReply(start, at);
}

/**
 * Whether an ack takes its place among the replies: PUBREL belongs to a delivery, and answers no
 * request, but where it waits for the disk.
 */
function isInOrder({ session }: Connection, type: number): boolean {
  return type !== PacketType.pubrel || (session !== null && session.kept !== null);
}

/**
 * The same for a 5.0 client.
 * @param reasonCodes elements [0, count) say how it went; each allowed in such an ack.
 */
export function appendAcks5(
  connection: Connection,
  type: number,
  count: number,
  reasonCodes: Uint8Array,
): void {
  const { arena, scan5 } = connection.host;
  const { packetIds } = scan5;
  if (connection.replies !== null && isInOrder(connection, type)) {
    connection.replies.addAcks5(type, packetIds, reasonCodes, count);
    connection.boundReplies();
    return;
  }
  const start = arena.reserve(count * ACK_BYTES_MAX_5);
  const { buffer } = arena;
  let at = start;
  for (let index = 0; index < count; index++) {
    at = writeAck5(buffer, at, type, packetIds[index], reasonCodes[index]);
  }
  arena.shrink(at);
  connection.outbox.appendReply(start, at);
}

/** Answers `count` PINGREQs [MQTT-3.12.4-1]. */
export function appendPingresps(connection: Connection, count: number): void {
  const { arena } = connection.host;
  if (connection.replies !== null) {
    connection.replies.addPingresps(count);
    connection.boundReplies();
    return;
  }
  const start = arena.reserve(count * PINGRESP.length);
  const end = start + count * PINGRESP.length;
  arena.buffer.fill(PINGRESP, start, end);
  connection.outbox.appendReply(start, end);
}
