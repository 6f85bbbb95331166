/**
 * The PUBLISH frames of a load: all frames of one publisher have one length, so that a publisher
 * only patches numbers into bytes made beforehand, and a receiver finds the numbers at a fixed
 * stride.
 *
 * Payload, little endian: publisher (uint32), sequence (uint32), intended time of sending in
 * nanoseconds of the monotonic clock (float64, 0 where nobody takes latencies), then filling.
 */
import { PacketType } from '../../src/protocol/packet.js';
import { remainingLengthBytes, writeRemainingLength } from '../../src/protocol/publish-frame.js';
import {
  encodeProperties,
  PropertyId,
  Sender,
  TOPIC_ALIAS_BYTES,
  type UserProperty,
  variableByteIntegerBytes,
  writeVariableByteInteger,
} from '../../src/protocol/v5/index.js';

/** Smallest payload: publisher, sequence and time. */
export const PAYLOAD_BYTES_MIN = 16;
/** Digits at the end of topics that change from message to message. */
const TOPIC_DIGITS = 10;
/** Where the sequence and the time stand in a payload. */
export const SEQUENCE_AT = 4;
export const TIME_AT = 8;

/** Protocol level of a client: 3.1.1 or 5.0. */
export type LoadVersion = 4 | 5;

/** What decides the bytes of a publisher's frames. */
export interface FrameShape {
  /** Of the client that sends or gets them. */
  readonly version: LoadVersion;
  readonly topic: string;
  /** Topics in rotation: 1 is `topic` itself, 0 never comes back to one (in ten digits). */
  readonly topicCount: number;
  readonly payloadBytes: number;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** User Properties on each message; only 5.0 carries them. */
  readonly userProperties: number;
}

/** What stands for the topic of a frame [MQTT 5.0, 3.3.2.3.4]. */
export type TopicForm =
  /** Its name alone. */
  | 'name'
  /** Its name, and the Topic Alias that means it from then on. */
  | 'nameAndAlias'
  /** The alias alone. */
  | 'alias';

/**
 * A frame with zeros where the numbers go, and where that is. Positions count from its first byte.
 */
export interface FrameFormat {
  readonly template: Buffer;
  readonly length: number;
  /** The first four bytes of every frame, as a little-endian int32: equal for all of them. */
  readonly firstWord: number;
  /** End of the topic's digits, or -1. */
  readonly digitsEnd: number;
  /** Of the packet id, or -1. */
  readonly packetIdAt: number;
  /** Of the Topic Alias, or -1. */
  readonly aliasAt: number;
  readonly payloadAt: number;
}

/** The filter that matches all topics of a shape. */
export function filterFor({ topic, topicCount }: Pick<FrameShape, 'topic' | 'topicCount'>): string {
  return topicCount === 1 ? topic : `${topic}/#`;
}

/** The name of the first topic of a shape; all have its length. */
export function topicName({ topic, topicCount }: Pick<FrameShape, 'topic' | 'topicCount'>): string {
  return topicCount === 1 ? topic : `${topic}/${'0'.repeat(TOPIC_DIGITS)}`;
}

/** The bytes of so many User Properties of 11 and 16 characters, as they stand in a PUBLISH. */
export function userPropertyBytes(count: number): Buffer {
  const userProperties = Array.from({ length: count }, (_, index): UserProperty => {
    const digits = String(index).padStart(2, '0');
    return [`property-${digits}`, `value-of-prop-${digits}`];
  });
  return encodeProperties({ userProperties }, PacketType.publish, Sender.client);
}

/** The Property Length and the properties. An alias, zero still, stands first. */
interface PropertyBlock {
  readonly bytes: Buffer;
  /** Where the properties begin, behind the Property Length. */
  readonly start: number;
}

const NO_BLOCK: PropertyBlock = { bytes: Buffer.alloc(0), start: 0 };

function propertyBlock(userProperties: Buffer, hasAlias: boolean): PropertyBlock {
  const length = userProperties.length + (hasAlias ? TOPIC_ALIAS_BYTES : 0);
  const start = variableByteIntegerBytes(length);
  const bytes = Buffer.alloc(start + length);
  writeVariableByteInteger(bytes, 0, length);
  if (hasAlias) bytes[start] = PropertyId.topicAlias;
  userProperties.copy(bytes, bytes.length - userProperties.length);
  return { bytes, start };
}

/** Lays out the frame of a shape. An alias needs version 5. */
export function frameFormat(shape: FrameShape, form: TopicForm = 'name'): FrameFormat {
  const { topicCount, payloadBytes, qos, retain, version } = shape;
  const hasAlias = form !== 'name';
  const name = Buffer.from(form === 'alias' ? '' : topicName(shape));
  const block =
    version === 5 ? propertyBlock(userPropertyBytes(shape.userProperties), hasAlias) : NO_BLOCK;
  const rest = 2 + name.length + (qos > 0 ? 2 : 0) + block.bytes.length + payloadBytes;
  const topicAt = 1 + remainingLengthBytes(rest) + 2;
  const template = Buffer.alloc(1 + remainingLengthBytes(rest) + rest);
  template[0] = 0x30 | (qos << 1) | (retain ? 1 : 0);
  writeRemainingLength(template, 1, rest);
  template.writeUInt16BE(name.length, topicAt - 2);
  name.copy(template, topicAt);
  const topicEnd = topicAt + name.length;
  const blockAt = topicEnd + (qos > 0 ? 2 : 0);
  block.bytes.copy(template, blockAt);
  const payloadAt = blockAt + block.bytes.length;
  // Filling that is neither zeros nor easy to compress, the same in every run.
  for (let at = payloadAt + PAYLOAD_BYTES_MIN; at < template.length; at++) {
    template[at] = (at * 167 + (at >> 3)) & 0xff;
  }
  return {
    template,
    length: template.length,
    firstWord: template.readInt32LE(0),
    digitsEnd: topicCount === 1 || form === 'alias' ? -1 : topicEnd,
    packetIdAt: qos > 0 ? topicEnd : -1,
    aliasAt: hasAlias ? blockAt + block.start + 1 : -1,
    payloadAt,
  };
}

/** Writes the digits of `value`, with leading zeros, so that they end before `end`. */
export function writeTopicDigits(target: Buffer, end: number, value: number): void {
  let rest = value;
  for (let at = end - 1; at >= end - TOPIC_DIGITS; at--) {
    const tens = Math.floor(rest / 10);
    target[at] = 48 + (rest - tens * 10);
    rest = tens;
  }
}
