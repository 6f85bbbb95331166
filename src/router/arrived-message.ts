/** A retained message that its owner has sent to another shard. */
import { DUP } from '../protocol/fixed-header.js';
import { checkRun } from '../protocol/run-check.js';
import { propertyBytesOf } from '../protocol/v5/index.js';
import type { RetainedFrame } from './retained-message.js';
import { expiryOf } from './run-words.js';

export interface Arrived extends RetainedFrame {
  readonly topicKey: string;
}

/**
 * Reads a record of one; the words are those of RecordKind.
 * @throws RecordError when [start, end) is no PUBLISH.
 */
export function readArrived(
  word1: number,
  topicLength: number,
  word3: number,
  buffer: Buffer,
  start: number,
  end: number,
): Arrived {
  const header = buffer[start]! & ~DUP;
  const topicStart = checkRun(buffer, start, end, header, topicLength, 1);
  const topicKey = buffer.toString('latin1', topicStart, topicStart + topicLength);
  const isOf5 = (word1 & 1) === 1;
  if (isOf5) propertyBytesOf(buffer, start, topicStart, topicLength, header);
  const frame = Buffer.from(buffer.subarray(start, end));
  return { topicKey, frame, isOf5, expiresAt: expiryOf(word1, word3) };
}
