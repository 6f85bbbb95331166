/**
 * A run as it stands on disk and in a segment, little-endian:
 *
 *     byte  0   header
 *           1   Topic Name, bytes of (2 bytes)
 *           3   frames, number of (4 bytes)
 *           7   properties, bytes of in each frame (4 bytes)
 *          11   when it expires: a date in milliseconds (double), 0 never
 *          19   frames
 */
import { dateOf, sharedOf } from '../base/clock.js';
import type { Run } from '../protocol/run.js';
import type { SegmentWriter } from './segment-writer.js';

/** Bytes before the frames. */
export const STORED_RUN_HEAD_BYTES = 19;
const TOPIC_LENGTH_AT = 1;
const COUNT_AT = 3;
const PROPERTY_BYTES_AT = 7;
const EXPIRES_AT = 11;

/** Writes the first `count` frames of a run, `length` bytes. Room must have been made. */
export function writeRun(writer: SegmentWriter, run: Run, length: number, count: number): void {
  writer.byte(run.header);
  writer.short(run.topicLength);
  writer.count(count);
  writer.count(run.propertyBytes);
  writer.number(dateOf(run.expiresAt));
  writer.raw(run.bytes, length);
}

/** When a stored run expires, as a date in milliseconds; 0: never. */
export function expiryOfRun(stored: Buffer): number {
  return stored.readDoubleLE(EXPIRES_AT);
}

/**
 * Reads one, whose bytes stay where they are.
 * @throws RangeError when it has no whole head.
 */
export function readRun(stored: Buffer): Run {
  return {
    bytes: stored.subarray(STORED_RUN_HEAD_BYTES),
    header: stored.readUInt8(0),
    topicLength: stored.readUInt16LE(TOPIC_LENGTH_AT),
    count: stored.readUInt32LE(COUNT_AT),
    propertyBytes: stored.readUInt32LE(PROPERTY_BYTES_AT),
    expiresAt: sharedOf(stored.readDoubleLE(EXPIRES_AT)),
  };
}
