/**
 * Frames small or frequent enough to be written by hand: acks, CONNACK, SUBACK, pings, DISCONNECT.
 */
import { invariant } from '../base/assert.js';
import { PacketType, type ProtocolVersion3x } from './packet.js';
import { remainingLengthBytes, writeRemainingLength } from './publish-frame.js';
import { ConnackCode } from './return-code.js';

/** Length of PUBACK, PUBREC, PUBREL, PUBCOMP and UNSUBACK frames. */
export const ACK_BYTES = 4;

/** A whole PINGREQ frame. Shared: never to be written to. */
export const PINGREQ: Buffer = Buffer.from([PacketType.pingreq << 4, 0]);
/** A whole PINGRESP frame. Shared: never to be written to. */
export const PINGRESP: Buffer = Buffer.from([PacketType.pingresp << 4, 0]);
/** A whole DISCONNECT frame. Shared: never to be written to. */
export const DISCONNECT: Buffer = Buffer.from([PacketType.disconnect << 4, 0]);

/**
 * Writes PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK, ACK_BYTES long, to `target` at `at`.
 * `target` must have room; `packetId` is 1 to 65,535. Allocates nothing.
 * @returns the position behind it.
 */
export function writeAck(target: Buffer, at: number, type: number, packetId: number): number {
  // PUBREL is the one ack whose flags are not 0 [MQTT-3.6.1-1].
  target[at] = type === PacketType.pubrel ? 0x62 : type << 4;
  target[at + 1] = 2;
  target[at + 2] = packetId >> 8;
  target[at + 3] = packetId;
  return at + ACK_BYTES;
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK as a frame of its own. `packetId` is 1 to 65,535. */
export function ackFrame(type: number, packetId: number): Buffer {
  const frame = Buffer.allocUnsafe(ACK_BYTES);
  writeAck(frame, 0, type, packetId);
  return frame;
}

/** CONNACK frames by return code, and behind them the accepted one with Session Present. */
const CONNACKS: readonly Buffer[] = [
  ...Object.values(ConnackCode).map((code) => Buffer.from([PacketType.connack << 4, 2, 0, code])),
  Buffer.from([PacketType.connack << 4, 2, 1, ConnackCode.accepted]),
];
const CONNACK_SESSION_PRESENT = CONNACKS.length - 1;

/**
 * A whole CONNACK frame. Shared: never to be written to.
 * Session Present is left out where it may not be: with a refusal [MQTT-3.2.2-4], and in MQTT 3.1,
 * whose CONNACK has a reserved byte in its place.
 * @param returnCode a ConnackCode, 0 to 5.
 */
export function connackFrame(
  returnCode: number,
  sessionPresent: boolean,
  version: ProtocolVersion3x,
): Buffer {
  invariant(returnCode >= 0 && returnCode < CONNACK_SESSION_PRESENT, 'a CONNACK return code');
  const withSession = sessionPresent && returnCode === ConnackCode.accepted && version !== 3;
  return CONNACKS[withSession ? CONNACK_SESSION_PRESENT : returnCode];
}

/**
 * A whole SUBACK frame. By hand, because mqtt-packet keeps a piece of a shared 8 KiB slab for ever
 * for each length that it has written, and a client chooses that length by the filters it sends.
 * @param returnCodes one for each filter, in the order of the filters [MQTT-3.9.3-1].
 */
export function subackFrame(packetId: number, returnCodes: ArrayLike<number>): Buffer {
  const length = 2 + returnCodes.length;
  const frame = Buffer.allocUnsafe(1 + remainingLengthBytes(length) + length);
  frame[0] = PacketType.suback << 4;
  let at = writeRemainingLength(frame, 1, length);
  frame[at++] = packetId >> 8;
  frame[at++] = packetId;
  frame.set(returnCodes, at);
  return frame;
}
