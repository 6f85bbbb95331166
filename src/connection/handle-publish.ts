/**
 * PUBLISH (MQTT 3.1.1, 3.3 and 4.3): a run to the router, and the acks of its QoS to the client.
 */
import { Counter } from '../base/counters.js';
import { HELD_ACK_BYTES_MAX } from '../base/limits.js';
import { MATCH_STEPS_PER_SHARE } from '../base/turn-limits.js';
import { ACK_BYTES, writeAck } from '../protocol/ack-frame.js';
import { PacketType } from '../protocol/packet.js';
import { frameEnd } from '../protocol/publish-frame.js';
import { recordSpace } from '../router/ring.js';
import type { Route } from '../router/route.js';
import { appendAcks } from './append-acks.js';
import type { Connection } from './connection.js';

/** What a record takes in the ring beside its bytes, with the header of a flush. */
const RECORD_OVERHEAD_BYTES = 2 * recordSpace(0);

/**
 * Handles a run of an open connection; its packet ids, if any, are in the host's scan.
 * @returns false when finding its route takes longer than a share of a turn, or the ring has no
 * room for it: nothing of it is handled, and it comes again.
 * @throws ProtocolError for a topic that is none.
 */
export function handlePublishRun(
  connection: Connection,
  buffer: Buffer,
  start: number,
  end: number,
  topicStart: number,
  topicLength: number,
  header: number,
  count: number,
): boolean {
  const { host } = connection;
  const { routes, counters } = host;
  let route = connection.lastRoute;
  if (route === null || !routes.isFresh(route) || !route.isTopic(buffer, topicStart, topicLength)) {
    route =
      connection.findRecentRoute(buffer, topicStart, topicLength) ??
      routes.findWithin(buffer, topicStart, topicLength, MATCH_STEPS_PER_SHARE);
    const work = routes.takeWork();
    if (work > 0) host.share.spend(work);
    if (route === null) {
      host.share.end();
      return false;
    }
    connection.changeRoute(route);
  }
  const qos = (header >> 1) & 3;
  // Of QoS 2 each message may be a record of its own.
  const bytes = end - start + (qos === 2 ? count * RECORD_OVERHEAD_BYTES : 0);
  if (!host.router.hasRoomFor(route, header, bytes)) {
    host.waitForRing(connection);
    return false;
  }
  counters.add(Counter.publishReceivedQos0 + qos, count);
  counters.add(Counter.messagesReceived, count);
  if (qos === 2) {
    routeNewOnly(connection, route, buffer, start, end, header, count);
    if (host.isRingFull) host.waitForRing(connection);
    acknowledge(connection, PacketType.pubrec, count);
  } else {
    if (route.isPublishable) {
      host.router.publish(connection.id, route, buffer, start, end, header, count);
    }
    if (host.isRingFull) host.waitForRing(connection);
    if (qos === 1) acknowledge(connection, PacketType.puback, count);
  }
  return true;
}

/** Routes the messages whose packet ids are not known yet [MQTT-4.3.3-2], in stretches. */
function routeNewOnly(
  connection: Connection,
  route: Route,
  buffer: Buffer,
  start: number,
  end: number,
  header: number,
  count: number,
): void {
  const { host } = connection;
  const session = connection.session!;
  const packetIds = host.scan.packetIds;
  let from = start;
  let fresh = 0;
  let position = start;
  for (let index = 0; index < count; index++) {
    const isNew = session.acceptQos2(packetIds[index]);
    if (isNew) {
      fresh++;
      if (fresh === count) break;
    }
    const next = frameEnd(buffer, position);
    if (!isNew) {
      if (fresh > 0 && route.isPublishable) {
        host.router.publish(connection.id, route, buffer, from, position, header, fresh);
      }
      from = next;
      fresh = 0;
    }
    position = next;
  }
  if (fresh > 0 && route.isPublishable) {
    host.router.publish(connection.id, route, buffer, from, end, header, fresh);
  }
}

/** Acknowledges the packet ids in the host's scan, now or when those who read have caught up. */
function acknowledge(connection: Connection, type: number, count: number): void {
  const { host, ackHold } = connection;
  if (!ackHold?.isHolding) {
    appendAcks(connection, type, count);
    return;
  }
  if (ackHold.length >= HELD_ACK_BYTES_MAX) connection.append(ackHold.release());
  const { packetIds } = host.scan;
  const buffer = ackHold.reserve(count * ACK_BYTES);
  for (let index = 0; index < count; index++) {
    ackHold.length = writeAck(buffer, ackHold.length, type, packetIds[index]);
  }
}
