/** The first byte of a frame and the remaining length behind it [MQTT 3.1.1, 2.2]. */
import { ProtocolError } from '../base/errors.js';
import { PacketType } from './packet.js';

/** Bit 3 of a PUBLISH header: a delivery that may have been made before. */
export const DUP = 0x08;
/** Bits 2 and 1 of a PUBLISH header. */
export const QOS_MASK = 0x06;
/** Bit 0 of a PUBLISH header. */
export const RETAIN = 0x01;
/** A PUBLISH header with every flag 0. */
export const PUBLISH = PacketType.publish << 4;

/** Bytes of the longest fixed header: the first byte, and four of the remaining length. */
export const FIXED_HEADER_BYTES_MAX = 5;

/** Value in HEADER_RULES of a header byte that no version allows. */
export const HEADER_FORBIDDEN = 0;
/** Value in HEADER_RULES of a header byte that 3.1 and 3.1.1 allow. */
export const HEADER_ALLOWED = 1;
/**
 * Value in HEADER_RULES of one that 3.1 only allows: its clients set DUP on what they send again,
 * and may set any of the bits that it leaves unused in CONNECT.
 */
export const HEADER_ALLOWED_IN_31 = 2;

/**
 * What the 256 possible first bytes of a frame are worth: one look-up instead of a chain of tests.
 */
export const HEADER_RULES: Uint8Array = headerRules();

function headerRules(): Uint8Array {
  const rules = new Uint8Array(256);
  for (let type: number = PacketType.connect; type <= PacketType.disconnect; type++) {
    rules[(type << 4) | requiredFlags(type)] = HEADER_ALLOWED;
  }
  for (const type of [PacketType.pubrel, PacketType.subscribe, PacketType.unsubscribe]) {
    rules[(type << 4) | 0b0010 | DUP] = HEADER_ALLOWED_IN_31;
  }
  const connect = PacketType.connect << 4;
  rules.fill(HEADER_ALLOWED_IN_31, connect + 1, connect + 16);
  for (const retain of [0, RETAIN]) {
    rules[PUBLISH | retain] = HEADER_ALLOWED;
    for (const qos of [0b0010, 0b0100]) {
      rules[PUBLISH | qos | retain] = HEADER_ALLOWED;
      rules[PUBLISH | DUP | qos | retain] = HEADER_ALLOWED;
    }
  }
  return rules;
}

/** Value in FIXED_LENGTHS of the types whose packets vary in length. */
export const LENGTH_VARIES = 255;

/** By packet type: the only remaining length that its packets have, or LENGTH_VARIES. */
export const FIXED_LENGTHS: Uint8Array = fixedLengths();

function fixedLengths(): Uint8Array {
  const lengths = new Uint8Array(16).fill(LENGTH_VARIES);
  const { connack, puback, pubrec, pubrel, pubcomp, unsuback } = PacketType;
  for (const type of [connack, puback, pubrec, pubrel, pubcomp, unsuback]) lengths[type] = 2;
  const { pingreq, pingresp, disconnect } = PacketType;
  for (const type of [pingreq, pingresp, disconnect]) lengths[type] = 0;
  return lengths;
}

/** The flags that a packet other than PUBLISH has to carry [MQTT-2.2.2-1]. */
function requiredFlags(type: number): number {
  return type === PacketType.pubrel ||
    type === PacketType.subscribe ||
    type === PacketType.unsubscribe
    ? 0b0010
    : 0;
}

/** The error for a first byte that HEADER_RULES does not allow, with the clause it breaks. */
export function headerError(header: number): ProtocolError {
  const type = header >> 4;
  const hex = `0x${header.toString(16).padStart(2, '0')}`;
  switch (type) {
    case 0:
    case 15:
      return new ProtocolError('2.2.1', `packet type ${type} is reserved (header ${hex})`);
    case PacketType.publish:
      return (header & QOS_MASK) === QOS_MASK
        ? new ProtocolError('MQTT-3.3.1-4', `PUBLISH with QoS 3 (header ${hex})`)
        : new ProtocolError('MQTT-3.3.1-2', `PUBLISH with DUP and QoS 0 (header ${hex})`);
    case PacketType.pubrel:
      return new ProtocolError('MQTT-3.6.1-1', `PUBREL flags must be 0010 (header ${hex})`);
    case PacketType.subscribe:
      return new ProtocolError('MQTT-3.8.1-1', `SUBSCRIBE flags must be 0010 (header ${hex})`);
    case PacketType.unsubscribe:
      return new ProtocolError('MQTT-3.10.1-1', `UNSUBSCRIBE flags must be 0010 (header ${hex})`);
    case PacketType.disconnect:
      return new ProtocolError('MQTT-3.14.1-1', `DISCONNECT flags must be 0 (header ${hex})`);
    default:
      return new ProtocolError('MQTT-2.2.2-2', `reserved flags are set (header ${hex})`);
  }
}

/** The error for a remaining length that goes on behind its fourth byte. */
export function lengthTooLong(): ProtocolError {
  return new ProtocolError('2.2.3', 'remaining length of more than 4 bytes');
}

/**
 * The error for a remaining length in more bytes than table 2.4 gives it. Frames go on to
 * subscribers as they came, and clients exist that close on such a length: it must not get that
 * far.
 */
export function lengthNotShortest(): ProtocolError {
  return new ProtocolError('2.2.3', 'remaining length is not in its shortest form');
}

/**
 * The error for a remaining length that packets of this type cannot have (section 3.n is on type
 * n).
 */
export function lengthError(type: number, length: number): ProtocolError {
  const expected = FIXED_LENGTHS[type];
  return new ProtocolError(
    `3.${type}.1`,
    `packet of type ${type} with remaining length ${length} instead of ${expected}`,
  );
}
