/**
 * MQTT 5.0 Control Packets to bytes, for what is not hot: PUBLISH runs have publish-form.ts, plain
 * acks ack-frame.ts.
 */
import { unreachable } from '../../base/assert.js';
import { ProtocolError } from '../../base/errors.js';
import { PACKET_ID_MAX, REMAINING_LENGTH_MAX, STRING_BYTES_MAX } from '../../base/limits.js';
import { PINGREQ, PINGRESP } from '../ack-frame.js';
import { DUP, RETAIN } from '../fixed-header.js';
import { PacketType } from '../packet.js';
import { ByteWriter } from './byte-writer.js';
import { protocolError } from './fixed-header.js';
import type {
  AckPacket5,
  AuthPacket5,
  ConnackPacket5,
  ConnectPacket5,
  ControlPacket5,
  DisconnectPacket5,
  FilterAckPacket5,
  PublishPacket5,
  SubscribePacket5,
  SubscriptionRequest5,
  UnsubscribePacket5,
} from './packet.js';
import { encodeProperties, type Properties } from './properties.js';
import { type PropertyHolder, type Sender, WILL_PROPERTIES } from './property.js';
import { ConnectFlag, WILL_QOS_SHIFT } from './read-connect.js';
import { parsePacket5 } from './read-packet.js';
import { RETAIN_HANDLING_SHIFT, SubscriptionOption } from './subscription-options.js';
import { variableByteIntegerBytes, writeVariableByteInteger } from './variable-byte-integer.js';

/** Flags that all frames of these types have [MQTT-2.1.3-1]. */
const FLAGGED = 0b0010;

/**
 * The frame of a packet, which may be a shared constant: never to be written to. Acks, DISCONNECT
 * and AUTH take their shortest form.
 * @param sender who sends it, for what only one side may send.
 * @throws ProtocolError when the packet may not be sent: what `parsePacket5` refuses is not made.
 *   ArgumentError (a TypeError) for a property, which it names.
 */
export function encodePacket5(packet: ControlPacket5, sender: Sender): Buffer {
  if (packet.type === 'pingreq') return PINGREQ;
  if (packet.type === 'pingresp') return PINGRESP;
  const writer = new ByteWriter();
  const flags = writeBody(writer, packet, sender);
  const length = lengthOf(writer.length);
  const frame = Buffer.allocUnsafe(1 + variableByteIntegerBytes(length) + length);
  frame[0] = (PacketType[packet.type] << 4) | flags;
  writer.bytes.copy(frame, writeVariableByteInteger(frame, 1, length));
  parsePacket5(frame, 0, frame.length, sender);
  return frame;
}

/** What a remaining length can say. */
function lengthOf(length: number): number {
  if (length <= REMAINING_LENGTH_MAX) return length;
  throw new ProtocolError('2.1.4', `a packet of some ${length} bytes is too long`);
}

/** Writes what follows the fixed header. @returns the flags in the fixed header. */
function writeBody(
  writer: ByteWriter,
  packet: Exclude<ControlPacket5, { type: 'pingreq' | 'pingresp' }>,
  sender: Sender,
): number {
  switch (packet.type) {
    case 'connect':
      writeConnect(writer, packet, sender);
      return 0;
    case 'connack':
      writeConnack(writer, packet, sender);
      return 0;
    case 'publish':
      return writePublish(writer, packet, sender);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      writeAck(writer, packet, sender);
      return packet.type === 'pubrel' ? FLAGGED : 0;
    case 'subscribe':
      writeSubscribe(writer, packet, sender);
      return FLAGGED;
    case 'unsubscribe':
      writeUnsubscribe(writer, packet, sender);
      return FLAGGED;
    case 'suback':
    case 'unsuback':
      writeFilterAck(writer, packet, sender);
      return 0;
    case 'disconnect':
    case 'auth':
      writeReasoned(writer, packet, sender);
      return 0;
    default:
      return unreachable(packet);
  }
}

function writeProperties(
  writer: ByteWriter,
  properties: Properties,
  holder: PropertyHolder,
  sender: Sender,
): void {
  const block = encodeProperties(properties, holder, sender);
  writer.variableByteInteger(block.length).raw(block);
}

function packetIdOf(packetId: number): number {
  if (Number.isInteger(packetId) && packetId >= 1 && packetId <= PACKET_ID_MAX) return packetId;
  throw protocolError('MQTT-2.2.1-3', `packet id ${packetId}`);
}

function byteOf(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xff) return value;
  throw protocolError('1.5.1', `${what} ${value}`);
}

function qosOf(qos: number): number {
  if (qos === 0 || qos === 1 || qos === 2) return qos;
  throw protocolError('4.3', `QoS ${qos}`);
}

/** Text that UTF-8 can say in the bytes that a string may have. NUL is found in the frame. */
function textOf(text: string, what: string): string {
  if (/\p{Surrogate}/u.test(text)) {
    throw new ProtocolError('MQTT-1.5.4-1', `${what} has half a surrogate pair`);
  }
  return contentOf(text, what);
}

function contentOf<T extends string | Buffer>(content: T, what: string): T {
  const length = Buffer.byteLength(content);
  if (length <= STRING_BYTES_MAX) return content;
  throw new ProtocolError('1.5.4', `${what} of ${length} bytes, over ${STRING_BYTES_MAX}`);
}

function writeConnect(writer: ByteWriter, packet: ConnectPacket5, sender: Sender): void {
  const { will, username, password, keepAliveSeconds } = packet;
  if (!(Number.isInteger(keepAliveSeconds) && keepAliveSeconds >= 0 && keepAliveSeconds <= 65_535))
    throw protocolError('3.1.2.10', `keep alive ${keepAliveSeconds}`);
  let flags = packet.cleanStart ? ConnectFlag.cleanStart : 0;
  if (will !== null) {
    flags |= ConnectFlag.will | (qosOf(will.qos) << WILL_QOS_SHIFT);
    if (will.retain) flags |= ConnectFlag.willRetain;
  }
  if (username !== null) flags |= ConnectFlag.userName;
  if (password !== null) flags |= ConnectFlag.password;
  writer.field('MQTT').byte(5).byte(flags).uint16(keepAliveSeconds);
  writeProperties(writer, packet.properties, PacketType.connect, sender);
  writer.field(textOf(packet.clientId, 'client id'));
  if (will !== null) {
    writeProperties(writer, will.properties, WILL_PROPERTIES, sender);
    writer.field(textOf(will.topic, 'will topic')).field(contentOf(will.payload, 'will payload'));
  }
  if (username !== null) writer.field(textOf(username, 'user name'));
  if (password !== null) writer.field(contentOf(password, 'password'));
}

function writeConnack(writer: ByteWriter, packet: ConnackPacket5, sender: Sender): void {
  writer.byte(packet.sessionPresent ? 1 : 0).byte(byteOf(packet.reasonCode, 'reason code'));
  writeProperties(writer, packet.properties, PacketType.connack, sender);
}

function writePublish(writer: ByteWriter, packet: PublishPacket5, sender: Sender): number {
  writer.field(textOf(packet.topic, 'topic'));
  const qos = qosOf(packet.qos);
  if (qos !== 0) writer.uint16(packetIdOf(packet.packetId));
  writeProperties(writer, packet.properties, PacketType.publish, sender);
  // Before it is copied.
  lengthOf(writer.length + packet.payload.length);
  writer.raw(packet.payload);
  return (packet.dup ? DUP : 0) | (qos << 1) | (packet.retain ? RETAIN : 0);
}

function writeAck(writer: ByteWriter, packet: AckPacket5, sender: Sender): void {
  writer.uint16(packetIdOf(packet.packetId));
  const block = encodeProperties(packet.properties, PacketType[packet.type], sender);
  if (packet.reasonCode === 0 && block.length === 0) return;
  writer.byte(byteOf(packet.reasonCode, 'reason code'));
  if (block.length > 0) writer.variableByteInteger(block.length).raw(block);
}

function writeSubscribe(writer: ByteWriter, packet: SubscribePacket5, sender: Sender): void {
  writer.uint16(packetIdOf(packet.packetId));
  writeProperties(writer, packet.properties, PacketType.subscribe, sender);
  for (const subscription of packet.subscriptions) {
    writer.field(textOf(subscription.filter, 'topic filter')).byte(optionsOf(subscription));
  }
}

/** The Subscription Options byte of a subscription. */
function optionsOf(subscription: SubscriptionRequest5): number {
  const { qos, noLocal, retainAsPublished, retainHandling } = subscription;
  if (![0, 1, 2].includes(retainHandling)) {
    throw protocolError('3.8.3.1', `Retain Handling ${retainHandling}`);
  }
  return (
    qosOf(qos) |
    (noLocal ? SubscriptionOption.noLocal : 0) |
    (retainAsPublished ? SubscriptionOption.retainAsPublished : 0) |
    (retainHandling << RETAIN_HANDLING_SHIFT)
  );
}

function writeUnsubscribe(writer: ByteWriter, packet: UnsubscribePacket5, sender: Sender): void {
  writer.uint16(packetIdOf(packet.packetId));
  writeProperties(writer, packet.properties, PacketType.unsubscribe, sender);
  for (const filter of packet.filters) writer.field(textOf(filter, 'topic filter'));
}

function writeFilterAck(writer: ByteWriter, packet: FilterAckPacket5, sender: Sender): void {
  writer.uint16(packetIdOf(packet.packetId));
  writeProperties(writer, packet.properties, PacketType[packet.type], sender);
  for (const code of packet.reasonCodes) writer.byte(byteOf(code, 'reason code'));
}

function writeReasoned(
  writer: ByteWriter,
  packet: DisconnectPacket5 | AuthPacket5,
  sender: Sender,
): void {
  const { type, reasonCode, properties } = packet;
  // The short form of AUTH has no properties, though it needs the method otherwise.
  const isShort = reasonCode === 0 && Object.values(properties).every((one) => one === undefined);
  if (isShort) return;
  const block = encodeProperties(properties, PacketType[type], sender);
  writer.byte(byteOf(reasonCode, 'reason code'));
  if (block.length > 0 || type === 'auth') writer.variableByteInteger(block.length).raw(block);
}
