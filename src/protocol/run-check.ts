/** Runs that come from another thread: what they say of themselves is held against their bytes. */
import { RecordError } from '../base/errors.js';
import { RUN_FRAMES_MAX } from '../base/limits.js';
import { DUP, HEADER_ALLOWED, HEADER_RULES, PUBLISH, QOS_MASK } from './fixed-header.js';
import { frameEnd } from './publish-frame.js';

/** Bytes of the shortest PUBLISH but for its topic and packet id. */
const FRAME_BYTES_MIN = 4;

/**
 * Checks the first frame of the run [start, end), and that `count` frames may be there. The frames
 * behind the first are not looked at: that would cost as much as delivering them, and whoever
 * copies them finds out where they end (publish-frame.ts).
 * @param header as in Run. @param topicLength of every frame's topic. @param count of the frames.
 * @returns where the topic's bytes begin in the first frame.
 * @throws RecordError when this cannot be.
 */
export function checkRun(
  buffer: Buffer,
  start: number,
  end: number,
  header: number,
  topicLength: number,
  count: number,
): number {
  if (
    header >> 4 !== PUBLISH >> 4 ||
    HEADER_RULES[header] !== HEADER_ALLOWED ||
    end - start < FRAME_BYTES_MIN ||
    (buffer[start] & ~DUP) !== header
  ) {
    throw new RecordError('a run does not begin with the frame it should');
  }
  const firstEnd = frameEnd(buffer, start);
  let body = start + 2;
  while (buffer[body - 1] >= 0x80 && body < firstEnd) body++;
  const topicStart = body + 2;
  const overhead = topicLength + ((header & QOS_MASK) === 0 ? 0 : 2);
  if (
    topicLength === 0 ||
    ((buffer[body] << 8) | buffer[body + 1]) !== topicLength ||
    topicStart + overhead > firstEnd
  ) {
    throw new RecordError("a run's topic does not lie in its first frame");
  }
  if (
    firstEnd > end ||
    count < 1 ||
    count > RUN_FRAMES_MAX ||
    (count === 1) !== (firstEnd === end) ||
    (FRAME_BYTES_MIN + overhead) * count > end - start
  ) {
    throw new RecordError(`a run of ${end - start} bytes is not ${count} frames`);
  }
  return topicStart;
}

/**
 * Checks that [start, end) are `count` frames.
 * @throws RecordError when they are not.
 */
export function checkFrames(buffer: Buffer, start: number, end: number, count: number): void {
  let position = start;
  let left = count;
  while (left > 0 && position < end) {
    position = frameEnd(buffer, position);
    left--;
  }
  if (left === 0 && position === end) return;
  throw new RecordError(`${end - start} bytes are not ${count} frames`);
}
