/**
 * Builders of MQTT packets for the tests: raw fields in, bytes out, right or wrong as asked.
 * Nothing here is shared with the code under test, so that a fault there cannot hide behind the
 * same fault here.
 */

/** Text, or bytes that need not be UTF-8. */
export type Text = string | Buffer;
export type QoS = 0 | 1 | 2;

/** Bytes from hex; blanks are for the reader. */
export function hex(text: string): Buffer {
  const digits = text.replaceAll(/\s/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hex: ${text}`);
  return Buffer.from(digits, 'hex');
}

/** A 16-bit number, most significant byte first. */
export function word(value: number): Buffer {
  return Buffer.from([(value >> 8) & 0xff, value & 0xff]);
}

/** Bytes behind a two-byte length. */
export function lengthPrefixed(text: Text): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([word(bytes.length), bytes]);
}

/** The shortest encoding of a remaining length, section 2.2.3. */
export function remainingLength(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? digit | 0x80 : digit);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** A whole packet: first byte, remaining length, body. */
export function frame(header: number, ...body: Buffer[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([header]), remainingLength(length), ...body]);
}

export interface WillFields {
  readonly topic: Text;
  readonly payload?: Text;
  readonly qos?: number;
  readonly retain?: boolean;
}

export interface ConnectFields {
  /** Default 'MQTT', or 'MQIsdp' when `level` is 3. */
  readonly protocolName?: Text;
  /** Default 4. */
  readonly level?: number;
  /** Connect flags as given, instead of those that the other fields ask for. */
  readonly flags?: number;
  /** Seconds; default 0, none. */
  readonly keepAlive?: number;
  /** Default ''. */
  readonly clientId?: Text;
  /** Default true. */
  readonly cleanSession?: boolean;
  readonly will?: WillFields;
  readonly username?: Text;
  readonly password?: Text;
}

/** CONNECT, section 3.1. */
export function connect(fields: ConnectFields = {}): Buffer {
  const { level = 4, keepAlive = 0, clientId = '', cleanSession = true, will } = fields;
  const { protocolName = level === 3 ? 'MQIsdp' : 'MQTT', username, password } = fields;
  let flags = cleanSession ? 0x02 : 0;
  const payload = [lengthPrefixed(clientId)];
  if (will !== undefined) {
    flags |= 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0);
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
  const head = [lengthPrefixed(protocolName), Buffer.from([level, fields.flags ?? flags])];
  return frame(0x10, ...head, word(keepAlive), ...payload);
}

/** CONNACK, section 3.2. */
export function connack(sessionPresent: boolean, returnCode: number): Buffer {
  return Buffer.from([0x20, 2, sessionPresent ? 1 : 0, returnCode]);
}

export interface PublishFields {
  readonly topic: Text;
  readonly payload?: Text;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  /** Written whenever it is given, whatever the QoS. */
  readonly packetId?: number;
}

/** PUBLISH, section 3.3. */
export function publish(fields: PublishFields): Buffer {
  const { topic, payload = '', qos = 0, retain = false, dup = false, packetId } = fields;
  const header = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  const id = packetId === undefined ? [] : [word(packetId)];
  return frame(header, lengthPrefixed(topic), ...id, Buffer.from(payload));
}

export const puback = (packetId: number): Buffer => frame(0x40, word(packetId));
export const pubrec = (packetId: number): Buffer => frame(0x50, word(packetId));
export const pubrel = (packetId: number): Buffer => frame(0x62, word(packetId));
export const pubcomp = (packetId: number): Buffer => frame(0x70, word(packetId));

/** SUBSCRIBE, section 3.8. */
export function subscribe(packetId: number, ...subscriptions: readonly [Text, number][]): Buffer {
  const payload = subscriptions.flatMap(([filter, qos]) => [
    lengthPrefixed(filter),
    Buffer.from([qos]),
  ]);
  return frame(0x82, word(packetId), ...payload);
}

/** SUBACK, section 3.9. */
export function suback(packetId: number, ...returnCodes: readonly number[]): Buffer {
  return frame(0x90, word(packetId), Buffer.from(returnCodes));
}

/** UNSUBSCRIBE, section 3.10. */
export function unsubscribe(packetId: number, ...filters: readonly Text[]): Buffer {
  return frame(0xa2, word(packetId), ...filters.map(lengthPrefixed));
}

export const unsuback = (packetId: number): Buffer => frame(0xb0, word(packetId));
export const PINGREQ = hex('c0 00');
export const PINGRESP = hex('d0 00');
export const DISCONNECT = hex('e0 00');

/** Where the first whole packet of `bytes` ends; undefined while it is incomplete. */
export function packetEnd(bytes: Buffer): number | undefined {
  let length = 0;
  for (let at = 1; at < bytes.length; at++) {
    length += (bytes[at] & 0x7f) * 128 ** (at - 1);
    if (bytes[at] < 0x80) {
      const end = at + 1 + length;
      return end <= bytes.length ? end : undefined;
    }
    if (at === 4) throw new Error(`remaining length of five bytes: ${bytes.toString('hex', 0, 8)}`);
  }
  return undefined;
}

/** A PUBLISH as it was received. */
export interface Message {
  readonly topic: string;
  readonly payload: string;
  readonly payloadBytes: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 when there is none. */
  readonly packetId: number;
}

/** Reads a whole PUBLISH packet. */
export function parsePublish(packet: Buffer): Message {
  let at = 1;
  while (packet[at++] >= 0x80);
  const qos = (packet[0] >> 1) & 3;
  const topicEnd = at + 2 + packet.readUInt16BE(at);
  const topic = packet.toString('utf8', at + 2, topicEnd);
  const packetId = qos > 0 ? packet.readUInt16BE(topicEnd) : 0;
  const payloadBytes = packet.subarray(topicEnd + (qos > 0 ? 2 : 0));
  return {
    topic,
    payload: payloadBytes.toString(),
    payloadBytes,
    qos,
    retain: (packet[0] & 1) !== 0,
    dup: (packet[0] & 8) !== 0,
    packetId,
  };
}
