/**
 * PUBLISH of MQTT 5.0 (3.3 and 4.3): a run to the router, and the acks of its QoS to the client.
 */
import { isUtf8 } from 'node:buffer';
import { Counter } from '../base/counters.js';
import { CloseReason, ProtocolError } from '../base/errors.js';
import { RUN_FRAMES_MAX } from '../base/limits.js';
import { RETAIN } from '../protocol/fixed-header.js';
import { PacketType } from '../protocol/packet.js';
import { bodyOf, frameEnd } from '../protocol/publish-frame.js';
import { ReasonCode } from '../protocol/v5/index.js';
import type { Route } from '../router/route.js';
import { PLAIN_RUN, type RunTraits } from '../router/run-traits.js';
import { appendAcks5 } from './append-acks.js';
import { CanonicalRun } from './canonical-run.js';
import type { Connection } from './connection.js';
import {
  acknowledge,
  holdAcks,
  PACKET_ID_BYTES,
  retainedLength,
  ringBytes,
  routeNewOnly,
  TOPIC_LENGTH_BYTES,
} from './handle-publish.js';
import { IncomingAliases, unknownAlias } from './incoming-aliases.js';
import { notePayload, payloadTooLong } from './publish-limits.js';
import { findPublishRoute } from './publish-route.js';

/** The run at hand; a thread has one. */
const run = new CanonicalRun();
const traits: RunTraits = { ...PLAIN_RUN };
/** One reason code for each ack of a run. */
const reasonCodes = new Uint8Array(RUN_FRAMES_MAX);

/**
 * As `handlePublishRun`, for a run that the host's 5.0 scan has found.
 * @throws ProtocolError too for an alias that may not be, or stands for nothing.
 */
export function handlePublishRun5(
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
  const view = host.scan5.publish;
  const { topicAlias } = view;
  const qos = (header >> 1) & 3;
  if (count === 1 && end - view.payloadStart > host.scan5.payloadBytesMax) {
    refusePayload(connection, qos, end - view.payloadStart);
    return true;
  }
  let topic = buffer;
  let topicAt = topicStart;
  let length = topicLength;
  if (topicLength === 0) {
    const known = connection.aliases?.topicOf(topicAlias);
    if (known === undefined) throw unknownAlias(topicAlias, connection.terms.topicAliasMaximum);
    topic = known;
    topicAt = 0;
    length = known.length;
  }
  const route = findPublishRoute(connection, topic, topicAt, length);
  if (route === null) return false;
  if (topicAlias !== 0 && topicLength !== 0) {
    connection.aliases ??= new IncomingAliases(connection.terms.topicAliasMaximum);
    connection.aliases.set(topicAlias, buffer, topicStart, topicLength);
  }
  if (view.isPayloadText && host.config.checkPayloadFormat) {
    checkPayloads(buffer, start, end, view.payloadOffset);
  }
  run.take(view, buffer, start, end, header, topic, topicAt, length);
  // Rings and stores take what is canonical; of QoS 2 some messages may have come before.
  if (route.shardMask !== 0 || qos === 2 || (header & RETAIN) !== 0) run.settle();
  if (!host.router.hasRoomFor(route, header, ringBytes(run.end - run.start, qos, count))) {
    host.waitForRing(connection);
    return false;
  }
  const { durable } = host;
  if (durable !== null && qos > 0) {
    const retained = retainedByRun(header, count, length);
    if (durable.mustHold(route, header, retained)) {
      // Who keeps it may be unknown for the moment: then nobody would, and it is refused as well.
      if (!durable.isRefusing && !durable.refuses(route, header, retained)) {
        durable.hold(connection);
        return false;
      }
      refuse(connection, qos, count, reasonCodeFor(route));
      return true;
    }
    durable.begin(qos === 2 && connection.session!.kept !== null);
  }
  host.counters.add(Counter.publishReceivedQos0 + qos, count);
  host.counters.add(Counter.messagesReceived, count);
  if (!route.isPublishable) host.access.onForbidden(connection, 'publish', route.topicKey, count);
  publish(connection, route, header, count, qos);
  if (host.isRingFull) host.waitForRing(connection);
  if (qos === 0) return true;
  durable?.end(connection);
  acknowledgeWith(connection, qos, count, reasonCodeFor(route));
  return true;
}

/**
 * Refuses the message at hand for its payload: in its ack, and its client goes on.
 * @throws ProtocolError where there is none.
 */
function refusePayload(connection: Connection, qos: number, bytes: number): void {
  if (qos === 0) throw payloadTooLong(connection, bytes);
  notePayload(connection);
  releaseIds(connection, qos, 1);
  acknowledgeWith(connection, qos, 1, ReasonCode.quotaExceeded);
}

/** What is refused has not begun: its packet id may stand for another message [MQTT-4.3.3-9]. */
function releaseIds({ session, host }: Connection, qos: number, count: number): void {
  if (qos !== 2) return;
  const { packetIds } = host.scan5;
  for (let at = 0; at < count; at++) session!.releaseQos2(packetIds[at]);
}

/** How long the message is that the topic of the run at hand retains then; 0: none. */
function retainedByRun(header: number, count: number, topicLength: number): number {
  if ((header & RETAIN) === 0) return 0;
  const { buffer, start, end, propertyBytes } = run;
  const headBytes = TOPIC_LENGTH_BYTES + topicLength + PACKET_ID_BYTES;
  return retainedLength(buffer, start, end, header, count, headBytes, propertyBytes);
}

/**
 * Refuses what has not come before, as it would not be kept. What has was taken, and is not
 * published again [MQTT-4.3.3-10]. @param taken the reason code for that.
 */
function refuse(connection: Connection, qos: number, count: number, taken: number): void {
  const known = qos === 2 ? connection.session!.incomingQos2 : null;
  const { host } = connection;
  const { packetIds } = host.scan5;
  let isAnyKnown = false;
  for (let at = 0; at < count; at++) {
    const isKnown = known?.has(packetIds[at]) ?? false;
    isAnyKnown ||= isKnown;
    reasonCodes[at] = isKnown ? taken : ReasonCode.quotaExceeded;
  }
  // It may have come by a connection before, and not be durable yet.
  if (isAnyKnown) host.durable?.waitForAll(connection);
  acknowledgeEach(connection, qos, count);
}

/** Whether each payload of a run is the UTF-8 that it is said to be [MQTT 5.0, 3.3.2.3.2]. */
function checkPayloads(buffer: Buffer, start: number, end: number, payloadOffset: number): void {
  for (let at = start; at < end; ) {
    const next = frameEnd(buffer, at);
    const payload = buffer.subarray(bodyOf(buffer, at) + payloadOffset, next);
    if (!isUtf8(payload)) {
      throw new ProtocolError(
        '3.3.2.3.2',
        'a payload is not the UTF-8 that it is said to be',
        CloseReason.protocolViolation,
        ReasonCode.payloadFormatInvalid,
      );
    }
    at = next;
  }
}

function publish(
  connection: Connection,
  route: Route,
  header: number,
  count: number,
  qos: number,
): void {
  const session = connection.session!;
  const { buffer, start, end } = run;
  if (!route.isPublishable) {
    releaseIds(connection, qos, count);
    return;
  }
  traits.propertyBytes = run.propertyBytes;
  traits.expiresAt = run.expiresAt;
  traits.own = session.hasNoLocal ? session : null;
  traits.aliased = run.isSettled ? null : run;
  if (qos === 2) {
    routeNewOnly(connection, route, buffer, start, end, header, count, traits);
  } else {
    const { router } = connection.host;
    router.publish(connection.id, route, buffer, start, end, header, count, traits);
  }
}

/** What the acks of messages that take this route say [MQTT 5.0, 3.4.2.1]. */
function reasonCodeFor({ isPublishable, subscribers, shardMask }: Route): number {
  if (!isPublishable) return ReasonCode.notAuthorized;
  const isWanted = subscribers.length > 0 || shardMask !== 0;
  return isWanted ? ReasonCode.success : ReasonCode.noMatchingSubscribers;
}

/** Acknowledges the packet ids in the host's scan, now or when those who read have caught up. */
function acknowledgeWith(
  connection: Connection,
  qos: number,
  count: number,
  reasonCode: number,
): void {
  if (reasonCode === ReasonCode.success) {
    acknowledge(connection, ackTypeOf(qos), count);
    return;
  }
  reasonCodes.fill(reasonCode, 0, count);
  acknowledgeEach(connection, qos, count);
}

/** The same, with what `reasonCodes` has for each. */
function acknowledgeEach(connection: Connection, qos: number, count: number): void {
  const { ackHold } = connection;
  const type = ackTypeOf(qos);
  if (ackHold?.isHolding) holdAcks(connection, ackHold, type, count, reasonCodes);
  else appendAcks5(connection, type, count, reasonCodes);
}

function ackTypeOf(qos: number): number {
  return qos === 1 ? PacketType.puback : PacketType.pubrec;
}
