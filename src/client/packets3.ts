/**
 * Packets of MQTT 3.1 and 3.1.1 that a client sends and receives, but for messages and acks.
 * Written and read here: in a browser the library that the broker uses would be larger than the
 * whole client.
 */
import { ProtocolError } from '../base/errors.js';
import { REMAINING_LENGTH_MAX } from '../base/limits.js';
import { checkFrame } from '../protocol/frame-check.js';
import {
  type ConnectPacket,
  PacketType,
  type ProtocolVersion3x,
  type SubscriptionRequest,
} from '../protocol/packet.js';
import { remainingLengthBytes, writeRemainingLength } from '../protocol/publish-frame.js';

/** What a server sends of these. */
export type ServerPacket3 =
  | { readonly type: 'suback'; readonly packetId: number; readonly returnCodes: readonly number[] }
  | { readonly type: 'unsuback'; readonly packetId: number }
  | { readonly type: 'pingresp' };

/** SUBSCRIBE and UNSUBSCRIBE have these flags [MQTT-3.8.1-1] [MQTT-3.10.1-1]. */
const FLAGGED = 0b0010;
/** Bits of the connect flags [MQTT 3.1.1, figure 3.4], and where the QoS of the will begins. */
const CLEAN_SESSION = 0x02;
const WILL = 0x04;
const WILL_QOS_SHIFT = 3;
const WILL_RETAIN = 0x20;
const PASSWORD = 0x40;
const USER_NAME = 0x80;
const UINT16_BYTES = 2;
/** A byte of the remaining length behind which there is another one [MQTT 3.1.1, 2.2.3]. */
const CONTINUED = 0x80;

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** Two length bytes and the content, whose length its caller has seen to. */
function field(content: string | Buffer): Buffer[] {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return [uint16(bytes.length), bytes];
}

/** @throws ProtocolError when it is too long, or not what may be sent. */
function frameOf(header: number, parts: readonly Buffer[], version: ProtocolVersion3x): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > REMAINING_LENGTH_MAX) {
    throw new ProtocolError('2.2.3', `a packet of some ${length} bytes is too long`);
  }
  const head = Buffer.alloc(1 + remainingLengthBytes(length));
  head[0] = header;
  writeRemainingLength(head, 1, length);
  const frame = Buffer.concat([head, ...parts]);
  checkFrame(frame, 0, frame.length, version);
  return frame;
}

/** A CONNECT [MQTT 3.1.1, 3.1]. @throws ProtocolError, ConnectRefusedError for an empty id. */
export function connectFrame3(packet: ConnectPacket): Buffer {
  const { protocolVersion, will, username, password } = packet;
  const flags =
    (packet.cleanSession ? CLEAN_SESSION : 0) |
    (will === null ? 0 : WILL | (will.qos << WILL_QOS_SHIFT) | (will.retain ? WILL_RETAIN : 0)) |
    (password === null ? 0 : PASSWORD) |
    (username === null ? 0 : USER_NAME);
  const parts = [
    ...field(protocolVersion === 3 ? 'MQIsdp' : 'MQTT'),
    Buffer.from([protocolVersion, flags]),
    uint16(packet.keepAliveSeconds),
    ...field(packet.clientId),
    ...(will === null ? [] : [...field(will.topic), ...field(will.payload)]),
    ...(username === null ? [] : field(username)),
    ...(password === null ? [] : field(password)),
  ];
  return frameOf(PacketType.connect << 4, parts, protocolVersion);
}

/** A SUBSCRIBE [MQTT 3.1.1, 3.8]. @throws ProtocolError */
export function subscribeFrame3(
  packetId: number,
  subscriptions: readonly SubscriptionRequest[],
  version: ProtocolVersion3x,
): Buffer {
  const filters = subscriptions.flatMap(({ filter, qos }) => [
    ...field(filter),
    Buffer.from([qos]),
  ]);
  const header = (PacketType.subscribe << 4) | FLAGGED;
  return frameOf(header, [uint16(packetId), ...filters], version);
}

/** An UNSUBSCRIBE [MQTT 3.1.1, 3.10]. @throws ProtocolError */
export function unsubscribeFrame3(
  packetId: number,
  filters: readonly string[],
  version: ProtocolVersion3x,
): Buffer {
  const header = (PacketType.unsubscribe << 4) | FLAGGED;
  return frameOf(header, [uint16(packetId), ...filters.flatMap(field)], version);
}

/**
 * Reads a CONNACK [MQTT 3.1.1, 3.2], [start, end) of `buffer`.
 * @throws ProtocolError for what is none, or is wrong.
 */
export function readConnack3(
  buffer: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion3x,
): { sessionPresent: boolean; returnCode: number } {
  const frame = checkFrame(buffer, start, end, version);
  const [sessionPresent, returnCode] = frame.subarray(-2);
  // MQTT 3.1 has a reserved byte there, which says nothing.
  return { sessionPresent: sessionPresent === 1 && version !== 3, returnCode };
}

/**
 * Reads any other packet of a server, [start, end) of `buffer`.
 * @returns the name of its type for one that only a client sends.
 * @throws ProtocolError for one that is wrong.
 */
export function readPacket3(
  buffer: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion3x,
): ServerPacket3 | string {
  const frame = checkFrame(buffer, start, end, version);
  const type = frame[0] >> 4;
  if (type === PacketType.pingresp) return { type: 'pingresp' };
  if (type !== PacketType.suback && type !== PacketType.unsuback) return nameOf(type);
  let at = 1;
  while (frame[at++] >= CONTINUED);
  const packetId = (frame[at] << 8) | frame[at + 1];
  if (type === PacketType.unsuback) return { type: 'unsuback', packetId };
  return { type: 'suback', packetId, returnCodes: [...frame.subarray(at + UINT16_BYTES)] };
}

function nameOf(type: number): string {
  const entry = Object.entries(PacketType).find(([, value]) => value === type);
  return entry?.[0] ?? `packet type ${type}`;
}
