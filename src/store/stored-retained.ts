/**
 * A retained message as it stands on disk and in a segment, little-endian:
 *
 *     byte  0   form of its frame: 0 that of 3.x, 1 that of 5.0
 *           1   when it expires: a date in milliseconds (double), 0 never
 *           9   topic key, bytes of (2 bytes)
 *          11   topic key (latin1), then the frame
 */
import { dateOf, sharedOf } from '../base/clock.js';
import { latin1Text } from '../base/latin1.js';
import { RETAINED_OF_5, RETAINED_PREFIX_BYTES } from '../protocol/retained-form.js';
import type { SegmentWriter } from './segment-writer.js';

/** Bytes before the topic key. */
export const STORED_RETAINED_HEAD_BYTES = 11;
const EXPIRES_AT = 1;
const TOPIC_LENGTH_AT = 9;

/** @param message as router/retained-message.ts has it. Room must have been made. */
export function writeRetained(writer: SegmentWriter, topicKey: string, message: string): void {
  const isOf5 = message.charCodeAt(0) === RETAINED_OF_5;
  writer.byte(isOf5 ? 1 : 0);
  writer.number(isOf5 ? dateOf(expiryOf(message)) : 0);
  writer.short(topicKey.length);
  writer.latin1(topicKey);
  writer.latin1(isOf5 ? message.slice(RETAINED_PREFIX_BYTES) : message);
}

/**
 * The topic key alone. @param length of the row, at the beginning of `stored`.
 * @throws RangeError when it has no whole head.
 */
export function topicKeyOfRetained(stored: Buffer, length: number = stored.length): string {
  return latin1Text(stored, STORED_RETAINED_HEAD_BYTES, frameStart(stored, length));
}

/** Where the frame begins. What stands behind the row in memory may be another's. */
function frameStart(stored: Buffer, length: number): number {
  if (length >= STORED_RETAINED_HEAD_BYTES) {
    const topicLength = stored[TOPIC_LENGTH_AT] | (stored[TOPIC_LENGTH_AT + 1] << 8);
    const start = STORED_RETAINED_HEAD_BYTES + topicLength;
    if (start < length) return start;
  }
  throw new RangeError('a retained message is cut off');
}

/** How long the message of a row is, as router/retained-message.ts has it. */
export function lengthOfRetained(stored: Buffer): number {
  const frame = stored.length - frameStart(stored, stored.length);
  return stored.readUInt8(0) === 1 ? frame + RETAINED_PREFIX_BYTES : frame;
}

/** What a row says, as it is. @throws RangeError when it has no whole head. */
export function readRetainedRow(stored: Buffer): {
  readonly isOf5: boolean;
  /** A date in milliseconds; 0: never. */
  readonly expiresAt: number;
  readonly frame: Buffer;
} {
  const frame = stored.subarray(frameStart(stored, stored.length));
  const expiresAt = stored.readDoubleLE(EXPIRES_AT);
  return { isOf5: stored.readUInt8(0) === 1, expiresAt, frame };
}

/** A topic, and what is retained of it as router/retained-message.ts has it. */
export interface RetainedRow {
  readonly topicKey: string;
  readonly message: string;
}

/** The way back. @throws RangeError when it has no whole head. */
export function readRetained(stored: Buffer): RetainedRow {
  return { topicKey: topicKeyOfRetained(stored), message: messageOfRetained(stored) };
}

/**
 * The message alone. @param length of the row, at the beginning of `stored`.
 * @throws RangeError when it has no whole head.
 */
export function messageOfRetained(stored: Buffer, length: number = stored.length): string {
  const frame = latin1Text(stored, frameStart(stored, length), length);
  if (stored[0] !== 1) return frame;
  const prefix = Buffer.allocUnsafe(RETAINED_PREFIX_BYTES);
  prefix[0] = RETAINED_OF_5;
  prefix.writeDoubleLE(sharedOf(stored.readDoubleLE(EXPIRES_AT)), 1);
  return prefix.toString('latin1') + frame;
}

function expiryOf(message: string): number {
  return Buffer.from(message.slice(1, RETAINED_PREFIX_BYTES), 'latin1').readDoubleLE(0);
}
