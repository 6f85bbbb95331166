/** PUBACK, PUBREC, PUBREL and PUBCOMP of MQTT 5.0 without properties, for rows of them. */
import { ACK_BYTES, writeAck } from '../ack-frame.js';

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
