/** Which messages may have been published for a client that is just subscribing elsewhere. */
import { PacketType } from '../protocol/packet.js';
import { bodyOf, frameEnd } from '../protocol/publish-frame.js';
import type { Connection } from './connection.js';
import { ConnectionState } from './connection-state.js';

/** Packets that are looked at: an ack or two may be written together with a message. */
const PACKETS_MAX = 4;

/**
 * Whether the first PUBLISH among the packets [start, end) is to a topic that this connection has
 * not published to lately, or that nobody is subscribed to. Those of topics that have subscribers
 * are not held up for one more. What was read is not checked yet.
 */
export function mayBeForNewcomer(
  connection: Connection,
  buffer: Buffer,
  start: number,
  end: number,
): boolean {
  if (connection.state !== ConnectionState.open) return false;
  let at = start;
  for (let packets = 0; packets < PACKETS_MAX && at < end; packets++) {
    if (buffer[at]! >> 4 === PacketType.publish) {
      return isForNewcomer(connection, buffer, bodyOf(buffer, at), end);
    }
    at = frameEnd(buffer, at);
  }
  return false;
}

/** @param body where the topic's length stands, if there is so much. */
function isForNewcomer(connection: Connection, buffer: Buffer, body: number, end: number): boolean {
  if (body + 2 > end) return false;
  const topicLength = buffer.readUInt16BE(body);
  const topicStart = body + 2;
  // An alias stands for it: it was published to before.
  if (topicLength === 0 || topicStart + topicLength > end) return false;
  const { lastRoute } = connection;
  const route = lastRoute?.isTopic(buffer, topicStart, topicLength)
    ? lastRoute
    : connection.findRecentRoute(buffer, topicStart, topicLength);
  return route === null || (route.subscribers.length === 0 && route.shardMask === 0);
}
