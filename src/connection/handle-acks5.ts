/** PUBACK, PUBREC, PUBREL and PUBCOMP of MQTT 5.0 (3.4 to 3.7), which may say that it failed. */
import { PacketType } from '../protocol/packet.js';
import { type AckPacket5, isErrorCode, ReasonCode } from '../protocol/v5/index.js';
import { stampBits } from '../sessions/inflight.js';
import { appendAcks5 } from './append-acks.js';
import type { Connection } from './connection.js';
import { handleAcks, waitIfKept } from './handle-acks.js';

/** Handles one that has properties: what they say is for people, and nobody asks for it here. */
export function handleAck5(connection: Connection, type: number, packet: AckPacket5): void {
  const { scan5 } = connection.host;
  scan5.packetIds[0] = packet.packetId;
  scan5.reasonCodes[0] = packet.reasonCode;
  scan5.hasReasonCodes = packet.reasonCode !== 0;
  handleAcks5(connection, type, 1);
}

/**
 * Handles acks in a row of an open 5.0 connection; packet ids and reason codes are in the host's
 * 5.0 scan. As `handleAcks`, but a PUBREC that says that the delivery failed ends it
 * [MQTT-4.4.0-2], as a PUBACK does whatever it says, and what is unknown is answered with 0x92.
 * @throws ProtocolError for one that is not what its delivery waits for.
 */
export function handleAcks5(connection: Connection, type: number, count: number): void {
  if (type === PacketType.pubrec) handlePubrecs(connection, count);
  else if (type === PacketType.pubrel) handlePubrels(connection, count);
  else handleAcks(connection, type, count);
}

function handlePubrecs(connection: Connection, count: number): void {
  const { scan5, stamp } = connection.host;
  const { packetIds, reasonCodes, hasReasonCodes } = scan5;
  const window = connection.session!.window;
  if (window !== null) window.lastStamp = stampBits(stamp);
  let isAnyEnded = false;
  let answers = 0;
  for (let at = 0; at < count; at++) {
    const packetId = packetIds[at];
    if (hasReasonCodes && isErrorCode(reasonCodes[at])) {
      if (window?.onPubrec(packetId, true)) isAnyEnded = true;
      continue;
    }
    const isKnown = window?.onPubrec(packetId) ?? false;
    packetIds[answers] = packetId;
    reasonCodes[answers++] = isKnown ? ReasonCode.success : ReasonCode.packetIdentifierNotFound;
  }
  if (answers > 0) {
    waitIfKept(connection);
    appendAcks5(connection, PacketType.pubrel, answers, reasonCodes);
  }
  if (isAnyEnded) connection.outbox.onAcknowledged();
}

function handlePubrels(connection: Connection, count: number): void {
  const { packetIds, reasonCodes } = connection.host.scan5;
  const session = connection.session!;
  for (let at = 0; at < count; at++) {
    const isKnown = session.releaseQos2(packetIds[at]);
    reasonCodes[at] = isKnown ? ReasonCode.success : ReasonCode.packetIdentifierNotFound;
  }
  waitIfKept(connection);
  appendAcks5(connection, PacketType.pubcomp, count, reasonCodes);
}
