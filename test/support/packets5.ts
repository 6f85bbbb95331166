/**
 * Builders of MQTT 5.0 packets for the tests, beside those of packets.ts. Nothing here is shared
 * with the code under test.
 */
import {
  frame,
  hex,
  lengthPrefixed,
  packetEnd,
  remainingLength,
  type Text,
  type WillFields,
  word,
} from './packets.js';

/** Bytes of properties, without the length before them: hex, or as `props` makes them. */
export type Block = string | Buffer;

/** A Property Length and the properties behind it. */
export function properties(block: Block = ''): Buffer {
  const bytes = typeof block === 'string' ? hex(block) : block;
  return Buffer.concat([remainingLength(bytes.length), bytes]);
}

/** Properties by identifier: numbers of their type's width, texts and bytes behind their length. */
export const prop = {
  byte: (id: number, value: number): Buffer => Buffer.from([id, value]),
  uint16: (id: number, value: number): Buffer => Buffer.concat([Buffer.from([id]), word(value)]),
  uint32(id: number, value: number): Buffer {
    const bytes = Buffer.alloc(5, id);
    bytes.writeUInt32BE(value, 1);
    return bytes;
  },
  varint: (id: number, value: number): Buffer =>
    Buffer.concat([Buffer.from([id]), remainingLength(value)]),
  text: (id: number, text: Text): Buffer =>
    Buffer.concat([Buffer.from([id]), lengthPrefixed(text)]),
  pair: (name: Text, value: Text): Buffer =>
    Buffer.concat([hex('26'), lengthPrefixed(name), lengthPrefixed(value)]),
} as const;

export interface WillFields5 extends WillFields {
  readonly properties?: Block;
}

export interface ConnectFields5 {
  readonly clientId?: Text;
  /** Default true. */
  readonly cleanStart?: boolean;
  readonly keepAlive?: number;
  readonly properties?: Block;
  readonly will?: WillFields5;
  readonly username?: Text;
  readonly password?: Text;
  /** Connect flags as given, instead of those that the other fields ask for. */
  readonly flags?: number;
}

/** CONNECT, section 3.1. */
export function connect5(fields: ConnectFields5 = {}): Buffer {
  const { clientId = '', cleanStart = true, keepAlive = 0, will, username, password } = fields;
  let flags = cleanStart ? 0x02 : 0;
  const payload = [lengthPrefixed(clientId)];
  if (will !== undefined) {
    flags |= 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0);
    payload.push(properties(will.properties));
    payload.push(lengthPrefixed(will.topic), lengthPrefixed(will.payload ?? ''));
  }
  if (username !== undefined) {
    flags |= 0x80;
    payload.push(lengthPrefixed(username));
  }
  if (password !== undefined) {
    flags |= 0x40;
    payload.push(lengthPrefixed(password));
  }
  const head = [lengthPrefixed('MQTT'), Buffer.from([5, fields.flags ?? flags]), word(keepAlive)];
  return frame(0x10, ...head, properties(fields.properties), ...payload);
}

/** SUBSCRIBE, section 3.8: each filter with its Subscription Options byte. */
export function subscribe5(
  packetId: number,
  subscriptions: readonly (readonly [filter: Text, options: number])[],
  block: Block = '',
): Buffer {
  const payload = subscriptions.flatMap(([filter, options]) => [
    lengthPrefixed(filter),
    Buffer.from([options]),
  ]);
  return frame(0x82, word(packetId), properties(block), ...payload);
}

/** UNSUBSCRIBE, section 3.10. */
export function unsubscribe5(
  packetId: number,
  filters: readonly Text[],
  block: Block = '',
): Buffer {
  return frame(0xa2, word(packetId), properties(block), ...filters.map(lengthPrefixed));
}

/** SUBACK (`header` 0x90) or UNSUBACK (0xb0). */
export function filterAck5(header: number, packetId: number, codes: readonly number[]): Buffer {
  return frame(header, word(packetId), properties(), Buffer.from(codes));
}

/** PUBLISH, section 3.3. */
export function publish5(fields: {
  readonly topic: Text;
  readonly payload?: Text;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly packetId?: number;
  readonly properties?: Block;
}): Buffer {
  const { topic, payload = '', qos = 0, retain = false, dup = false, packetId } = fields;
  const header = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  const id = packetId === undefined ? [] : [word(packetId)];
  const body = [lengthPrefixed(topic), ...id, properties(fields.properties), Buffer.from(payload)];
  return frame(header, ...body);
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP with a reason code. */
export function ack5(header: number, packetId: number, code: number, block?: Block): Buffer {
  const rest = block === undefined ? [] : [properties(block)];
  return frame(header, word(packetId), Buffer.from([code]), ...rest);
}

/** DISCONNECT or AUTH. */
export function reasoned5(header: number, code: number, block?: Block): Buffer {
  const rest = block === undefined ? [] : [properties(block)];
  return frame(header, Buffer.from([code]), ...rest);
}

/** What a CONNACK, DISCONNECT or AUTH says: its code and its properties by identifier. */
export interface Said {
  readonly type: number;
  readonly sessionPresent: boolean;
  readonly code: number;
  /** By identifier; a User Property is its name, `=` and its value. */
  readonly properties: ReadonlyMap<number, string | number>;
}

/** Reads one. */
export function parseSaid(packet: Buffer): Said {
  if (packetEnd(packet) !== packet.length) throw new Error(`no packet: ${packet.toString('hex')}`);
  let at = 1;
  while (packet[at++] >= 0x80);
  const type = packet[0] >> 4;
  const sessionPresent = type === 2 && packet[at++] === 1;
  const code = at < packet.length ? packet[at++] : 0;
  const found = new Map<number, string | number>();
  if (at === packet.length) return { type, sessionPresent, code, properties: found };
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = packet[at++];
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const end = at + length;
  const text = (): string => {
    const start = at + 2;
    at = start + packet.readUInt16BE(at);
    return packet.toString('utf8', start, at);
  };
  const number = (bytes: number): number => {
    at += bytes;
    return packet.readUIntBE(at - bytes, bytes);
  };
  while (at < end) {
    const id = packet[at++];
    if (id === 0x26) found.set(id, `${text()}=${text()}`);
    else if (TEXTS.has(id)) found.set(id, text());
    else found.set(id, number(WIDTHS.get(id) ?? 1));
  }
  return { type, sessionPresent, code, properties: found };
}

/** Identifiers of texts and bytes, and the widths of numbers that are no single bytes. */
const TEXTS = new Set([0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f]);
const WIDTHS = new Map([
  [0x11, 4],
  [0x13, 2],
  [0x21, 2],
  [0x22, 2],
  [0x27, 4],
]);

/** A PUBLISH of 5.0, taken apart. */
export interface Published5 {
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly topic: string;
  /** 0 for QoS 0. */
  readonly packetId: number;
  /** Properties without their length, as hex. */
  readonly block: string;
  readonly payload: string;
}

/** Reads one. */
export function parsePublish5(packet: Buffer): Published5 {
  if (packet[0] >> 4 !== 3) throw new Error(`no PUBLISH: ${packet.toString('hex')}`);
  const qos = (packet[0] >> 1) & 3;
  let at = 1;
  while (packet[at++] >= 0x80);
  const topicEnd = at + 2 + packet.readUInt16BE(at);
  const topic = packet.toString('utf8', at + 2, topicEnd);
  const packetId = qos === 0 ? 0 : packet.readUInt16BE(topicEnd);
  at = topicEnd + (qos === 0 ? 0 : 2);
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = packet[at++];
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return {
    qos,
    retain: (packet[0] & 1) === 1,
    dup: (packet[0] & 8) !== 0,
    topic,
    packetId,
    block: packet.toString('hex', at, at + length),
    payload: packet.toString('utf8', at + length),
  };
}
