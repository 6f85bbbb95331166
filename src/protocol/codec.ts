/**
 * Control Packets from and to bytes: mqtt-packet behind our names and our checks, which read
 * SUBSCRIBE and UNSUBSCRIBE by themselves. For all that is not hot; PUBLISH runs and acks have
 * frame-scan.ts, publish-frame.ts and ack-frame.ts.
 */
import * as mqttPacket from 'mqtt-packet';
import { unreachable } from '../base/assert.js';
import { ProtocolError } from '../base/errors.js';
import { PACKET_ID_MAX, REMAINING_LENGTH_MAX, STRING_BYTES_MAX } from '../base/limits.js';
import { ackFrame, connackFrame, DISCONNECT, PINGREQ, PINGRESP, subackFrame } from './ack-frame.js';
import type { FilterPacket } from './filter-cursor.js';
import { DUP, PUBLISH, RETAIN } from './fixed-header.js';
import { checkFrame, openSubscribe, openUnsubscribe } from './frame-check.js';
import {
  type ConnackPacket,
  type ConnectPacket,
  type ControlPacket,
  PacketType,
  type ProtocolVersion3x,
  type PublishPacket,
  type QoS,
  type SubscribePacket,
  type SubscriptionRequest,
  type UnsubscribePacket,
} from './packet.js';
import { encodePublish } from './publish-frame.js';
import { ConnackCode } from './return-code.js';

// Otherwise mqtt-packet keeps 65,536 two-byte Buffers in every thread that writes a packet.
mqttPacket.writeToStream.cacheNumbers = false;

/** What mqtt-packet's types leave out: a level with the bit of bridges. */
interface BridgeMode {
  readonly bridgeMode?: boolean;
}

/** The parser of this thread and what it said last. It is only ever given one whole frame. */
let parser = createParser();
let parsedCount = 0;
let parsed: mqttPacket.Packet | null = null;
let failure: unknown = null;

function createParser(): mqttPacket.Parser {
  return mqttPacket
    .parser()
    .on('packet', (packet) => {
      parsedCount++;
      parsed = packet;
    })
    .on('error', (error) => {
      failure = error;
    });
}

/**
 * Parses the one whole frame [start, end) of `buffer`. Nothing of the packet is a view of `buffer`.
 * @param version of the connection; CONNECT says its own.
 * @throws ProtocolError with the clause that the frame breaks; ConnectRefusedError for a CONNECT
 *   that gets a CONNACK with a return code (1: protocol level, 2: empty client id). Nothing else.
 */
export function parsePacket(
  buffer: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion3x,
): ControlPacket {
  switch (buffer[start] >> 4) {
    case PacketType.subscribe:
      return readSubscribe(openSubscribe(buffer, start, end, version));
    case PacketType.unsubscribe:
      return readUnsubscribe(openUnsubscribe(buffer, start, end, version));
    default:
      return toControlPacket(parseFrame(checkFrame(buffer, start, end, version)), version);
  }
}

function readSubscribe({ packetId, filters }: FilterPacket): SubscribePacket {
  const subscriptions: SubscriptionRequest[] = [];
  filters.checkSome(Number.POSITIVE_INFINITY);
  while (!filters.isAtEnd) {
    const filter = decodeKey(filters.next());
    subscriptions.push({ filter, qos: filters.options as QoS });
  }
  return { type: 'subscribe', packetId, subscriptions };
}

function readUnsubscribe({ packetId, filters }: FilterPacket): UnsubscribePacket {
  const read: string[] = [];
  filters.checkSome(Number.POSITIVE_INFINITY);
  while (!filters.isAtEnd) read.push(decodeKey(filters.next()));
  return { type: 'unsubscribe', packetId, filters: read };
}

function decodeKey(filterKey: string): string {
  return Buffer.from(filterKey, 'latin1').toString('utf8');
}

/** Has mqtt-packet parse a checked frame. */
function parseFrame(frame: Buffer): mqttPacket.Packet {
  parsedCount = 0;
  parsed = null;
  failure = null;
  let left = 0;
  try {
    left = parser.parse(frame);
  } catch (error) {
    failure = error;
  }
  const packet: mqttPacket.Packet | null = parsed;
  parsed = null;
  if (failure !== null || packet === null || parsedCount !== 1 || left !== 0) {
    // What a parser that failed still holds would be taken for the start of the next frame.
    parser = createParser();
    const what = failure instanceof Error ? failure.message : 'not one packet';
    throw new ProtocolError('MQTT-4.8.0-1', `unreadable packet: ${what}`);
  }
  return packet;
}

/** Our packet for one of mqtt-packet's. Its Buffers are views of the frame, ours are copies. */
function toControlPacket(packet: mqttPacket.Packet, version: ProtocolVersion3x): ControlPacket {
  const packetId = packet.messageId ?? 0;
  switch (packet.cmd) {
    case 'connect':
      return toConnect(packet);
    case 'connack':
      return {
        type: 'connack',
        // MQTT 3.1 has a reserved byte there, which says nothing.
        sessionPresent: packet.sessionPresent && version !== 3,
        returnCode: packet.returnCode ?? 0,
      };
    case 'publish':
      return {
        type: 'publish',
        topic: packet.topic,
        payload: Buffer.from(packet.payload),
        qos: packet.qos,
        retain: packet.retain,
        dup: packet.dup,
        packetId,
      };
    case 'suback':
      return { type: 'suback', packetId, returnCodes: packet.granted.map(Number) };
    case 'unsuback':
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return { type: packet.cmd, packetId };
    case 'pingreq':
    case 'pingresp':
    case 'disconnect':
      return { type: packet.cmd };
    case 'subscribe': // Read by filter-cursor.ts.
    case 'unsubscribe':
    case 'auth': // Packet type 15 is reserved.
      throw new ProtocolError('2.2.1', `no ${packet.cmd} is read here`);
    default:
      return unreachable(packet);
  }
}

function toConnect(packet: mqttPacket.IConnectPacket & BridgeMode): ConnectPacket {
  const { will, password } = packet;
  return {
    type: 'connect',
    protocolVersion: packet.protocolVersion === 3 ? 3 : 4,
    ...(packet.bridgeMode && { isBridge: true }),
    clientId: packet.clientId,
    cleanSession: packet.clean ?? false,
    keepAliveSeconds: packet.keepalive ?? 0,
    will:
      will === undefined
        ? null
        : {
            topic: will.topic,
            payload: copyToKeep(will.payload),
            qos: will.qos ?? 0,
            retain: will.retain ?? false,
          },
    username: packet.username ?? null,
    password: password === undefined ? null : Buffer.from(password),
  };
}

/**
 * A copy with memory of its own: one out of Node's pool would hold 8 KiB for as long as it lives.
 */
function copyToKeep(bytes: Buffer | string): Buffer {
  const source = Buffer.from(bytes as Buffer);
  const copy = Buffer.allocUnsafeSlow(source.length);
  source.copy(copy);
  return copy;
}

/**
 * The frame of a packet, which may be a shared constant: never to be written to.
 * @param version of the connection; CONNECT says its own.
 * @throws ProtocolError when the packet may not be sent: what `parsePacket` refuses is not made.
 *   ConnectRefusedError for an empty client id that no server may accept.
 */
export function encodePacket(packet: ControlPacket, version: ProtocolVersion3x): Buffer {
  switch (packet.type) {
    case 'connect':
      return generate(connectForm(packet), packet.protocolVersion);
    case 'connack':
      return connackFrame(checkedReturnCode(packet), packet.sessionPresent, version);
    case 'publish':
      return checked(publishFrame(packet), version);
    case 'subscribe':
      return generate(subscribeForm(packet), version);
    case 'suback':
      return checked(subackFrame(checkedId(packet.packetId), packet.returnCodes), version);
    case 'unsubscribe':
      return generate(unsubscribeForm(packet), version);
    case 'unsuback':
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return ackFrame(PacketType[packet.type], checkedId(packet.packetId));
    case 'pingreq':
      return PINGREQ;
    case 'pingresp':
      return PINGRESP;
    case 'disconnect':
      return DISCONNECT;
    default:
      return unreachable(packet);
  }
}

/** Has mqtt-packet write the packet and checks the frame as if it had been received. */
function generate(packet: mqttPacket.Packet, version: ProtocolVersion3x): Buffer {
  let frame: Buffer;
  try {
    frame = mqttPacket.generate(packet);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new ProtocolError('MQTT-4.8.0-1', `${packet.cmd} cannot be written: ${what}`);
  }
  return checked(frame, version);
}

function checked(frame: Buffer, version: ProtocolVersion3x): Buffer {
  checkFrame(frame, 0, frame.length, version);
  return frame;
}

function checkedId(packetId: number): number {
  if (Number.isInteger(packetId) && packetId >= 1 && packetId <= PACKET_ID_MAX) return packetId;
  throw new ProtocolError('MQTT-2.3.1-1', `packet id ${packetId}`);
}

function checkedReturnCode({ returnCode, sessionPresent }: ConnackPacket): number {
  if (
    !(Number.isInteger(returnCode) && returnCode >= 0 && returnCode <= ConnackCode.notAuthorized)
  ) {
    throw new ProtocolError('3.2.2.3', `return code ${returnCode} is reserved`);
  }
  if (sessionPresent && returnCode !== 0) {
    throw new ProtocolError('MQTT-3.2.2-4', 'session present in a refusal');
  }
  return returnCode;
}

/** Text that UTF-8 can say in the bytes that a string may have. NUL is found in the frame. */
function checkedText(text: string, what: string): string {
  if (/\p{Surrogate}/u.test(text)) {
    throw new ProtocolError('MQTT-1.5.3-1', `${what} has half a surrogate pair`);
  }
  checkedBinary(text, what);
  return text;
}

function checkedBinary<T extends string | Buffer>(bytes: T, what: string): T {
  const length = Buffer.byteLength(bytes);
  if (length <= STRING_BYTES_MAX) return bytes;
  throw new ProtocolError('MQTT-1.5.3', `${what} of ${length} bytes, over ${STRING_BYTES_MAX}`);
}

function connectForm(packet: ConnectPacket): mqttPacket.IConnectPacket {
  const { will, username, password } = packet;
  return {
    cmd: 'connect',
    protocolId: packet.protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: packet.protocolVersion,
    ...(packet.isBridge && { bridgeMode: true }),
    clientId: checkedText(packet.clientId, 'client id'),
    clean: packet.cleanSession,
    keepalive: packet.keepAliveSeconds,
    ...(will !== null && {
      will: {
        topic: checkedText(will.topic, 'will topic'),
        payload: checkedBinary(will.payload, 'will message'),
        qos: will.qos,
        retain: will.retain,
      },
    }),
    ...(username !== null && { username: checkedText(username, 'user name') }),
    ...(password !== null && { password: checkedBinary(password, 'password') }),
  };
}

function subscribeForm(packet: SubscribePacket): mqttPacket.ISubscribePacket {
  return {
    cmd: 'subscribe',
    messageId: checkedId(packet.packetId),
    subscriptions: packet.subscriptions.map(({ filter, qos }) => ({
      topic: checkedText(filter, 'topic filter'),
      qos,
    })),
  };
}

function unsubscribeForm(packet: UnsubscribePacket): mqttPacket.IUnsubscribePacket {
  return {
    cmd: 'unsubscribe',
    messageId: checkedId(packet.packetId),
    unsubscriptions: packet.filters.map((filter) => checkedText(filter, 'topic filter')),
  };
}

function publishFrame(packet: PublishPacket): Buffer {
  const topicKey = Buffer.from(checkedText(packet.topic, 'topic')).toString('latin1');
  const length = topicKey.length + packet.payload.length + 4;
  if (length > REMAINING_LENGTH_MAX) {
    throw new ProtocolError('2.2.3', `a PUBLISH of some ${length} bytes is too long`);
  }
  const flags = (packet.dup ? DUP : 0) | (packet.qos << 1) | (packet.retain ? RETAIN : 0);
  const packetId = packet.qos === 0 ? 0 : checkedId(packet.packetId);
  return encodePublish(topicKey, packet.payload, PUBLISH | flags, packetId);
}
