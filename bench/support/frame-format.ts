/**
 * The PUBLISH frames of a load: all frames of one publisher have one length, so that a publisher
 * only patches numbers into bytes made beforehand, and a receiver finds the numbers at a fixed
 * stride.
 *
 * Payload, little endian: publisher (uint32), sequence (uint32), intended time of sending in
 * nanoseconds of the monotonic clock (float64, 0 where nobody takes latencies), then filling.
 */
import { remainingLengthBytes, writeRemainingLength } from '../../src/protocol/publish-frame.js';

/** Smallest payload: publisher, sequence and time. */
export const PAYLOAD_BYTES_MIN = 16;
/** Digits at the end of topics that change from message to message. */
const TOPIC_DIGITS = 10;
/** Where the sequence and the time stand in a payload. */
export const SEQUENCE_AT = 4;
export const TIME_AT = 8;

/** What decides the bytes of a publisher's frames. */
export interface FrameShape {
  readonly topic: string;
  /** Topics in rotation: 1 is `topic` itself, 0 never comes back to one (in ten digits). */
  readonly topicCount: number;
  readonly payloadBytes: number;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

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
  readonly payloadAt: number;
}

/** The filter that matches all topics of a shape. */
export function filterFor({ topic, topicCount }: Pick<FrameShape, 'topic' | 'topicCount'>): string {
  return topicCount === 1 ? topic : `${topic}/#`;
}

/** Lays out the frame of a shape. */
export function frameFormat(shape: FrameShape): FrameFormat {
  const { topic, topicCount, payloadBytes, qos, retain } = shape;
  const name = Buffer.from(topicCount === 1 ? topic : `${topic}/${'0'.repeat(TOPIC_DIGITS)}`);
  const rest = 2 + name.length + (qos > 0 ? 2 : 0) + payloadBytes;
  const topicAt = 1 + remainingLengthBytes(rest) + 2;
  const template = Buffer.alloc(1 + remainingLengthBytes(rest) + rest);
  template[0] = 0x30 | (qos << 1) | (retain ? 1 : 0);
  writeRemainingLength(template, 1, rest);
  template.writeUInt16BE(name.length, topicAt - 2);
  name.copy(template, topicAt);
  const topicEnd = topicAt + name.length;
  const payloadAt = topicEnd + (qos > 0 ? 2 : 0);
  // Filling that is neither zeros nor easy to compress, the same in every run.
  for (let at = payloadAt + PAYLOAD_BYTES_MIN; at < template.length; at++) {
    template[at] = (at * 167 + (at >> 3)) & 0xff;
  }
  return {
    template,
    length: template.length,
    firstWord: template.readInt32LE(0),
    digitsEnd: topicCount === 1 ? -1 : topicEnd,
    packetIdAt: qos > 0 ? topicEnd : -1,
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
