/** Runs of MQTT 5.0 that come from another thread: as ../run-check.ts, with their properties. */
import { RecordError } from '../../base/errors.js';
import { QOS_MASK } from '../fixed-header.js';
import { bodyOf, frameEnd } from '../publish-frame.js';
import { checkRun } from '../run-check.js';
import { variableByteIntegerAt, variableByteIntegerEnd } from './variable-byte-integer.js';

/**
 * Checks the first frame of the run [start, end) as `checkRun` does, and that its properties have
 * the length that was said; they themselves were checked where they came in.
 * @param propertiesLength bytes of every frame's properties, without their length.
 * @returns the bytes from a body's begin to its payload: the same in all frames.
 * @throws RecordError when this cannot be.
 */
export function checkRun5(
  buffer: Buffer,
  start: number,
  end: number,
  header: number,
  topicLength: number,
  propertiesLength: number,
  count: number,
): number {
  const topicStart = checkRun(buffer, start, end, header, topicLength, count);
  const lengthAt = topicStart + topicLength + ((header & QOS_MASK) === 0 ? 0 : 2);
  const firstEnd = frameEnd(buffer, start);
  const propertiesStart = variableByteIntegerEnd(buffer, lengthAt, firstEnd);
  if (
    propertiesStart < 0 ||
    variableByteIntegerAt(buffer, lengthAt) !== propertiesLength ||
    propertiesStart + propertiesLength > firstEnd
  ) {
    throw new RecordError("a run's properties do not lie in its first frame");
  }
  return propertiesStart + propertiesLength - bodyOf(buffer, start);
}
