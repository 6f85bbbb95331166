/** Runs of MQTT 5.0 that come from another thread: what ../run-check.ts leaves. */
import { RecordError } from '../../base/errors.js';
import { QOS_MASK } from '../fixed-header.js';
import { frameEnd } from '../publish-frame.js';
import { variableByteIntegerAt, variableByteIntegerEnd } from './variable-byte-integer.js';

/**
 * Bytes of the properties in the first frame of a run that `checkRun` has passed, with their length
 * before them; the properties themselves were checked where they came in.
 * @param topicStart where the topic begins in that frame, as `checkRun` says.
 * @throws RecordError when they do not lie in it.
 */
export function propertyBytesOf(
  buffer: Buffer,
  start: number,
  topicStart: number,
  topicLength: number,
  header: number,
): number {
  const lengthAt = topicStart + topicLength + ((header & QOS_MASK) === 0 ? 0 : 2);
  const firstEnd = frameEnd(buffer, start);
  const propertiesStart = variableByteIntegerEnd(buffer, lengthAt, firstEnd);
  if (propertiesStart >= 0) {
    const end = propertiesStart + variableByteIntegerAt(buffer, lengthAt);
    if (end <= firstEnd) return end - lengthAt;
  }
  throw new RecordError("a run's properties do not lie in its first frame");
}
