/** Acks of MQTT 5.0 without properties, for rows of them and for long ones. */
import { ACK_BYTES, writeAck } from '../ack-frame.js';
import type { PacketType } from '../packet.js';
import { variableByteIntegerBytes, writeVariableByteInteger } from './variable-byte-integer.js';

/** Most bytes that `writeAck5` writes. */
export const ACK_BYTES_MAX_5: number = ACK_BYTES + 1;

/**
 * Writes an ack to `target` at `at` in its shortest form: as in 3.x for reason code 0, with the
 * code behind the packet id for others [MQTT 5.0, 3.4.2.1]. Allocates nothing.
 * @param type PUBACK, PUBREC, PUBREL or PUBCOMP. @param packetId 1 to 65,535.
 * @param reasonCode one that such a packet may carry.
 * @returns the position behind it.
 */
export function writeAck5(
  target: Buffer,
  at: number,
  type: number,
  packetId: number,
  reasonCode: number,
): number {
  const end = writeAck(target, at, type, packetId);
  if (reasonCode === 0) return end;
  target[at + 1] = 3;
  target[end] = reasonCode;
  return end + 1;
}

/**
 * A whole SUBACK or UNSUBACK frame.
 * @param packetId 1 to 65,535. @param reasonCodes one for each filter, in the order of the filters
 *   [MQTT-3.9.3-1] [MQTT-3.11.3-1]; each allowed in such a packet.
 */
export function filterAckFrame5(
  type: typeof PacketType.suback | typeof PacketType.unsuback,
  packetId: number,
  reasonCodes: ArrayLike<number>,
): Buffer {
  const length = 3 + reasonCodes.length;
  const frame = Buffer.allocUnsafe(1 + variableByteIntegerBytes(length) + length);
  frame[0] = type << 4;
  let at = writeVariableByteInteger(frame, 1, length);
  frame[at++] = packetId >> 8;
  frame[at++] = packetId;
  frame[at++] = 0;
  frame.set(reasonCodes, at);
  return frame;
}
