/**
 * PUBLISH (MQTT 3.1.1, 3.3 and 4.3): a run to the router, and the acks of its QoS to the client.
 */
import { Counter } from '../base/counters.js';
import { HELD_ACK_BYTES_MAX } from '../base/limits.js';
import { RETAIN } from '../protocol/fixed-header.js';
import { PacketType } from '../protocol/packet.js';
import { bodyOf, frameEnd } from '../protocol/publish-frame.js';
import { RETAINED_PREFIX_BYTES } from '../protocol/retained-form.js';
import { ACK_BYTES_MAX_5, writeAck5 } from '../protocol/v5/index.js';
import { recordSpace } from '../router/ring.js';
import type { Route } from '../router/route.js';
import { PLAIN_RUN, type RunTraits } from '../router/run-traits.js';
import type { AckHold } from './ack-hold.js';
import { appendAcks } from './append-acks.js';
import type { Connection } from './connection.js';
import { payloadTooLong } from './publish-limits.js';
import { findPublishRoute } from './publish-route.js';

/** What a record takes in the ring beside its bytes, with the header of a flush. */
const RECORD_OVERHEAD_BYTES = 2 * recordSpace(0);

export const TOPIC_LENGTH_BYTES = 2;
export const PACKET_ID_BYTES = 2;

/**
 * Handles a run of an open connection; its packet ids, if any, are in the host's scan.
 * @returns false when finding its route takes longer than a share of a turn, or the ring has no
 * room for it: nothing of it is handled, and it comes again.
 * @throws ProtocolError for a topic that is none or is not taken, and for a payload too long.
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
  const { counters, scan } = host;
  const qos = (header >> 1) & 3;
  if (count === 1 && end - start > scan.payloadBytesMax) {
    const payloadBytes = end - topicStart - topicLength - (qos > 0 ? PACKET_ID_BYTES : 0);
    if (payloadBytes > scan.payloadBytesMax) throw payloadTooLong(connection, payloadBytes);
  }
  const route = findPublishRoute(connection, buffer, topicStart, topicLength);
  if (route === null) return false;
  if (!host.router.hasRoomFor(route, header, ringBytes(end - start, qos, count))) {
    host.waitForRing(connection);
    return false;
  }
  const { durable } = host;
  if (durable !== null && qos > 0) {
    const headBytes = TOPIC_LENGTH_BYTES + topicLength + PACKET_ID_BYTES;
    const retained = retainedLength(buffer, start, end, header, count, headBytes);
    if (durable.mustHold(route, header, retained)) {
      // Not acknowledged, so it is the client's still.
      durable.hold(connection);
      return false;
    }
    durable.begin(qos === 2 && connection.session!.kept !== null);
  }
  counters.add(Counter.publishReceivedQos0 + qos, count);
  counters.add(Counter.messagesReceived, count);
  if (!route.isPublishable) host.access.onForbidden(connection, 'publish', route.topicKey, count);
  const traits = traitsOf3x(connection);
  if (qos === 2) {
    routeNewOnly(connection, route, buffer, start, end, header, count, traits);
    if (host.isRingFull) host.waitForRing(connection);
    durable?.end(connection);
    acknowledge(connection, PacketType.pubrec, count);
  } else {
    if (route.isPublishable) {
      host.router.publish(connection.id, route, buffer, start, end, header, count, traits);
    }
    if (host.isRingFull) host.waitForRing(connection);
    if (qos === 0) return true;
    durable?.end(connection);
    acknowledge(connection, PacketType.puback, count);
  }
  return true;
}

/**
 * How long the message is that its topic retains behind a run; 0: none.
 * @param headBytes of each frame before its payload, without its fixed header and properties.
 * @param propertyBytes as in Run.
 */
export function retainedLength(
  buffer: Buffer,
  start: number,
  end: number,
  header: number,
  count: number,
  headBytes: number,
  propertyBytes = 0,
): number {
  if ((header & RETAIN) === 0) return 0;
  let last = start;
  for (let passed = 1; passed < count; passed++) last = frameEnd(buffer, last);
  if (bodyOf(buffer, last) + headBytes + propertyBytes === end) return 0;
  return end - last + (propertyBytes === 0 ? 0 : RETAINED_PREFIX_BYTES);
}

/** What a run takes in the ring at most: of QoS 2 each message may be a record of its own. */
export function ringBytes(bytes: number, qos: number, count: number): number {
  return bytes + (qos === 2 ? count * RECORD_OVERHEAD_BYTES : 0);
}

/** For a bridge, which has No Local on all it subscribes to. */
const ownRun: RunTraits = { ...PLAIN_RUN };

function traitsOf3x({ session }: Connection): Readonly<RunTraits> {
  if (!session!.hasNoLocal) return PLAIN_RUN;
  ownRun.own = session;
  return ownRun;
}

/** Routes the messages whose packet ids are not known yet [MQTT-4.3.3-2], in stretches. */
export function routeNewOnly(
  connection: Connection,
  route: Route,
  buffer: Buffer,
  start: number,
  end: number,
  header: number,
  count: number,
  traits: Readonly<RunTraits>,
): void {
  const { host } = connection;
  const session = connection.session!;
  const packetIds = host.scan.packetIds;
  let from = start;
  let fresh = 0;
  let isAnyKnown = false;
  let position = start;
  for (let index = 0; index < count; index++) {
    const isNew = session.acceptQos2(packetIds[index]);
    if (isNew) {
      fresh++;
      if (fresh === count) break;
    }
    const next = frameEnd(buffer, position);
    if (!isNew) {
      isAnyKnown = true;
      if (fresh > 0 && route.isPublishable) {
        host.router.publish(connection.id, route, buffer, from, position, header, fresh, traits);
      }
      from = next;
      fresh = 0;
    }
    position = next;
  }
  if (fresh > 0 && route.isPublishable) {
    host.router.publish(connection.id, route, buffer, from, end, header, fresh, traits);
  }
  // What is known may have come by a connection before, and not be durable yet.
  if (isAnyKnown) host.durable?.waitForAll(connection);
}

/** Acknowledges the packet ids in the host's scan, now or when those who read have caught up. */
export function acknowledge(connection: Connection, type: number, count: number): void {
  const { ackHold } = connection;
  if (ackHold?.isHolding) holdAcks(connection, ackHold, type, count, null);
  else appendAcks(connection, type, count);
}

/**
 * Withholds them. @param reasonCodes one for each; null: 0, as those of 3.x, which are of the same
 * bytes.
 */
export function holdAcks(
  connection: Connection,
  ackHold: AckHold,
  type: number,
  count: number,
  reasonCodes: Uint8Array | null,
): void {
  if (ackHold.length >= HELD_ACK_BYTES_MAX) connection.append(ackHold.release());
  const { packetIds } = connection.host.scan;
  const buffer = ackHold.reserve(count * ACK_BYTES_MAX_5);
  for (let index = 0; index < count; index++) {
    const reasonCode = reasonCodes === null ? 0 : reasonCodes[index];
    ackHold.length = writeAck5(buffer, ackHold.length, type, packetIds[index], reasonCode);
  }
}
