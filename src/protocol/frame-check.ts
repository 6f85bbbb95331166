/**
 * What MQTT 3.1 and 3.1.1 demand of a packet by itself, checked on its bytes. mqtt-packet leaves
 * much of it to its user: UTF-8, packet id 0, bytes too many or too few, fields that the flags do
 * not announce. SUBSCRIBE and UNSUBSCRIBE are only opened here: see filter-cursor.ts.
 */
import { ConnectRefusedError, ProtocolError } from '../base/errors.js';
import {
  FilterCursor,
  type FilterPacket,
  type FilterRules,
  SUBSCRIBE_RULES,
  UNSUBSCRIBE_RULES,
} from './filter-cursor.js';
import {
  DUP,
  FIXED_LENGTHS,
  HEADER_ALLOWED,
  HEADER_ALLOWED_IN_31,
  HEADER_RULES,
  headerError,
  LENGTH_VARIES,
  lengthError,
  lengthNotShortest,
  lengthTooLong,
  QOS_MASK,
} from './fixed-header.js';
import { PacketType, type ProtocolVersion3x } from './packet.js';
import { ConnackCode, SUBACK_FAILURE } from './return-code.js';
import { checkText } from './text-check.js';

/** Bits of the connect flags byte [MQTT 3.1.1, figure 3.4]. */
const ConnectFlag = {
  reserved: 0x01,
  cleanSession: 0x02,
  will: 0x04,
  willQos: 0x18,
  willRetain: 0x20,
  password: 0x40,
  userName: 0x80,
} as const;

const CONNECT = PacketType.connect << 4;
/** Added to the level by bridges, such as Mosquitto's. */
const BRIDGE_BIT = 0x80;
const PLUS_SIGN = 0x2b;
const NUMBER_SIGN = 0x23;

/**
 * Reads the fields of one packet in order; each read checks that the packet has that many bytes
 * left.
 */
class FieldReader {
  /** No view of it: many packets are short, and a view costs as much as they do. */
  readonly buffer: Buffer;
  readonly end: number;
  position: number;

  constructor(buffer: Buffer, position: number, end: number) {
    this.buffer = buffer;
    this.position = position;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.position === this.end;
  }

  byte(clause: string, what: string): number {
    if (this.position + 1 > this.end) throw new ProtocolError(clause, `${what} is missing`);
    return this.buffer[this.position++];
  }

  uint16(clause: string, what: string): number {
    if (this.position + 2 > this.end) throw new ProtocolError(clause, `${what} is missing`);
    const value = this.buffer.readUInt16BE(this.position);
    this.position += 2;
    return value;
  }

  /** A field of two length bytes and so many bytes. @returns a view of the latter. */
  binary(clause: string, what: string): Buffer {
    const length = this.uint16(clause, what);
    const start = this.position;
    if (start + length > this.end) {
      throw new ProtocolError(clause, `${what} is longer than the packet`);
    }
    this.position += length;
    return this.buffer.subarray(start, start + length);
  }

  /** A binary field that is a UTF-8 encoded string [MQTT 3.1.1, 1.5.3]. */
  text(clause: string, what: string): Buffer {
    const bytes = this.binary(clause, what);
    checkText(this.buffer, this.position - bytes.length, this.position, what);
    return bytes;
  }

  packetId(): number {
    const packetId = this.uint16('2.3.1', 'packet id');
    if (packetId === 0) throw new ProtocolError('MQTT-2.3.1-1', 'packet id 0');
    return packetId;
  }

  atEnd(clause: string): void {
    if (!this.isAtEnd) {
      throw new ProtocolError(clause, `${this.end - this.position} bytes too many in the packet`);
    }
  }
}

/**
 * Checks one whole frame of any type, [start, end) of `buffer`.
 * @returns the frame as mqtt-packet understands it: a view, or a copy without the liberties of
 *   MQTT 3.1 that mqtt-packet does not know.
 * @throws ProtocolError for a packet that may not be, ConnectRefusedError for a CONNECT that is
 *   answered with a return code: another protocol level (1), an empty client id (2).
 */
export function checkFrame(
  buffer: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion3x,
): Buffer {
  const frame = buffer.subarray(start, end);
  const reader = openFrame(frame, 0, frame.length, version);
  const header = frame[0];
  switch (header >> 4) {
    case PacketType.connect:
      return checkConnect(reader);
    case PacketType.connack:
      checkConnack(reader);
      break;
    case PacketType.publish:
      checkPublish(reader, header);
      break;
    case PacketType.subscribe:
      checkFilters(reader, subscribeOf(reader));
      break;
    case PacketType.suback:
      checkSuback(reader);
      break;
    case PacketType.unsubscribe:
      checkFilters(reader, unsubscribeOf(reader));
      break;
    case PacketType.pingreq:
    case PacketType.pingresp:
    case PacketType.disconnect:
      break;
    default: // PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK
      reader.packetId();
  }
  reader.atEnd('2.2.3');
  return HEADER_RULES[header] === HEADER_ALLOWED ? frame : withByte(frame, 0, header & ~DUP);
}

/**
 * Opens a whole SUBSCRIBE, [start, end) of `buffer`, up to its filters. @throws ProtocolError
 */
export function openSubscribe(
  buffer: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion3x,
): FilterPacket {
  return subscribeOf(openFrame(buffer, start, end, version));
}

/**
 * Opens a whole UNSUBSCRIBE, [start, end) of `buffer`, up to its filters. @throws ProtocolError
 */
export function openUnsubscribe(
  buffer: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion3x,
): FilterPacket {
  return unsubscribeOf(openFrame(buffer, start, end, version));
}

/** A copy of `frame` with one byte replaced. */
function withByte(frame: Buffer, index: number, byte: number): Buffer {
  const copy = Buffer.from(frame);
  copy[index] = byte;
  return copy;
}

/** Checks first byte and remaining length. @returns a reader of the body. */
function openFrame(
  buffer: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion3x,
): FieldReader {
  const reader = new FieldReader(buffer, start, end);
  const header = reader.byte('2.2', 'fixed header');
  const rule = HEADER_RULES[header];
  // CONNECT says its version itself: what 3.1 leaves open in its header is judged with that.
  const isVersion31 = version === 3 || header >> 4 === PacketType.connect;
  if (rule !== HEADER_ALLOWED && !(rule === HEADER_ALLOWED_IN_31 && isVersion31)) {
    throw headerError(header);
  }
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    if (shift > 21) throw lengthTooLong();
    const byte = reader.byte('2.2.3', 'remaining length');
    length |= (byte & 0x7f) << shift;
    if (byte === 0 && shift > 0) throw lengthNotShortest();
    if (byte < 0x80) break;
  }
  const type = header >> 4;
  if (length !== FIXED_LENGTHS[type] && FIXED_LENGTHS[type] !== LENGTH_VARIES) {
    throw lengthError(type, length);
  }
  const found = end - reader.position;
  if (length !== found) {
    throw new ProtocolError('2.2.3', `remaining length ${length}, but ${found} bytes`);
  }
  return reader;
}

/** CONNECT, from position 0. @returns the frame, its flags naming only what is there. */
function checkConnect(reader: FieldReader): Buffer {
  const version = checkProtocol(reader);
  const header = reader.buffer[0];
  if (version !== 3 && HEADER_RULES[header] !== HEADER_ALLOWED) throw headerError(header);
  const flagsAt = reader.position;
  let flags = reader.byte('3.1.2.3', 'connect flags');
  // "Unused" in 3.1, bit 0 like the low bits of the fixed header.
  if (version === 3) flags &= ~ConnectFlag.reserved;
  checkConnectFlags(flags);
  reader.uint16('3.1.2.10', 'keep alive');
  const clientId = reader.text('MQTT-3.1.3-3', 'client id');
  if ((flags & ConnectFlag.will) !== 0) {
    checkTopicName(reader.text('MQTT-3.1.2-9', 'will topic'), 'MQTT-4.7.1-1', 'will topic');
    reader.binary('MQTT-3.1.2-9', 'will message');
  }
  // "The Remaining Length field from the fixed header takes precedence over the User Name flag",
  // and over the password's: MQTT 3.1 lets both be announced and missing.
  let present = flags;
  if ((present & ConnectFlag.userName) !== 0) {
    if (version === 3 && reader.isAtEnd) present &= ~ConnectFlag.userName & ~ConnectFlag.password;
    else reader.text('MQTT-3.1.2-19', 'user name');
  }
  if ((present & ConnectFlag.password) !== 0) {
    if (version === 3 && reader.isAtEnd) present &= ~ConnectFlag.password;
    else reader.binary('MQTT-3.1.2-21', 'password');
  }
  reader.atEnd('MQTT-3.1.3-1');
  checkEmptyClientId(clientId, flags, version);
  const { buffer: frame } = reader;
  const isPlain = frame[0] === CONNECT && frame[flagsAt] === present;
  return isPlain ? frame : withByte(withByte(frame, 0, CONNECT), flagsAt, present);
}

/** Protocol name and level. An unknown level is answered before anything behind it is looked at. */
function checkProtocol(reader: FieldReader): ProtocolVersion3x {
  const name = reader.binary('MQTT-3.1.2-1', 'protocol name').toString('latin1');
  if (name !== 'MQTT' && name !== 'MQIsdp') {
    throw new ProtocolError('MQTT-3.1.2-1', 'protocol name is neither MQTT nor MQIsdp');
  }
  const level = reader.byte('3.1.2.2', 'protocol level');
  const version = name === 'MQTT' ? 4 : 3;
  if ((level & ~BRIDGE_BIT) !== version) {
    throw new ConnectRefusedError(
      ConnackCode.unacceptableProtocolVersion,
      `protocol ${name} level ${level} [MQTT-3.1.2-2]`,
    );
  }
  return version;
}

function checkConnectFlags(flags: number): void {
  if ((flags & ConnectFlag.reserved) !== 0) {
    throw new ProtocolError('MQTT-3.1.2-3', 'reserved connect flag is set');
  }
  if ((flags & ConnectFlag.will) === 0) {
    if ((flags & ConnectFlag.willQos) !== 0) {
      throw new ProtocolError('MQTT-3.1.2-13', 'will QoS without a will');
    }
    if ((flags & ConnectFlag.willRetain) !== 0) {
      throw new ProtocolError('MQTT-3.1.2-15', 'will retain without a will');
    }
  }
  if ((flags & ConnectFlag.willQos) === ConnectFlag.willQos) {
    throw new ProtocolError('MQTT-3.1.2-14', 'will QoS 3');
  }
  if ((flags & ConnectFlag.password) !== 0 && (flags & ConnectFlag.userName) === 0) {
    throw new ProtocolError('MQTT-3.1.2-22', 'password without a user name');
  }
}

function checkEmptyClientId(clientId: Buffer, flags: number, version: ProtocolVersion3x): void {
  if (clientId.length !== 0) return;
  if (version === 4 && (flags & ConnectFlag.cleanSession) !== 0) return;
  const rule = version === 3 ? 'in MQTT 3.1' : 'with clean session 0 [MQTT-3.1.3-8]';
  throw new ConnectRefusedError(ConnackCode.identifierRejected, `empty client id ${rule}`);
}

function checkConnack(reader: FieldReader): void {
  const flags = reader.byte('3.2.2', 'connect acknowledge flags');
  const returnCode = reader.byte('3.2.2', 'return code');
  if (flags > 1) throw new ProtocolError('3.2.2.1', 'reserved acknowledge flags are set');
  if (returnCode > ConnackCode.notAuthorized) {
    throw new ProtocolError('3.2.2.3', `return code ${returnCode} is reserved`);
  }
  if (flags === 1 && returnCode !== ConnackCode.accepted) {
    throw new ProtocolError('MQTT-3.2.2-4', 'session present in a refusal');
  }
}

function checkPublish(reader: FieldReader, header: number): void {
  checkTopicName(reader.text('MQTT-3.3.2-1', 'topic'), 'MQTT-3.3.2-2', 'topic');
  if ((header & QOS_MASK) !== 0) reader.packetId();
  reader.position = reader.end;
}

/** At least one byte, no wildcard. */
function checkTopicName(topic: Buffer, wildcardClause: string, what: string): void {
  if (topic.length === 0) throw new ProtocolError('MQTT-4.7.3-1', `${what} is empty`);
  if (topic.includes(PLUS_SIGN) || topic.includes(NUMBER_SIGN)) {
    throw new ProtocolError(wildcardClause, `${what} contains a wildcard`);
  }
}

function filtersOf(
  reader: FieldReader,
  rules: FilterRules,
  noFilterClause: string,
  what: string,
): FilterPacket {
  const packetId = reader.packetId();
  if (reader.isAtEnd) throw new ProtocolError(noFilterClause, `${what} without a filter`);
  const { buffer, position, end } = reader;
  return { packetId, filters: new FilterCursor(buffer, position, end, rules) };
}

function subscribeOf(reader: FieldReader): FilterPacket {
  return filtersOf(reader, SUBSCRIBE_RULES, 'MQTT-3.8.3-3', 'SUBSCRIBE');
}

function unsubscribeOf(reader: FieldReader): FilterPacket {
  return filtersOf(reader, UNSUBSCRIBE_RULES, 'MQTT-3.10.3-2', 'UNSUBSCRIBE');
}

function checkFilters(reader: FieldReader, { filters }: FilterPacket): void {
  filters.checkSome(Number.POSITIVE_INFINITY);
  reader.position = reader.end;
}

function checkSuback(reader: FieldReader): void {
  reader.packetId();
  if (reader.isAtEnd) throw new ProtocolError('MQTT-3.9.3-1', 'SUBACK without a return code');
  while (!reader.isAtEnd) {
    const code = reader.byte('3.9.3', 'return code');
    if (code > 2 && code !== SUBACK_FAILURE) {
      throw new ProtocolError('MQTT-3.9.3-2', `return code ${code} is reserved`);
    }
  }
}
