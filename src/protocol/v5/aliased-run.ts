/** Sends frames on that have a Topic Alias in the place of their topic, with another one. */
import { copyBytes } from '../../base/copy-bytes.js';
import { PACKET_ID_MAX } from '../../base/limits.js';
import { QOS_MASK } from '../fixed-header.js';
import { bodyOf, frameEnd } from '../publish-frame.js';

/** Bytes of a topic that is left out, with its length before it. */
const NO_TOPIC_BYTES = 2;

/**
 * Copies the run [start, end) of `source`, whose topic is left out, to `target` at `at`: each first
 * byte is set to `header`, which must have the QoS of the run (or the other of 1 and 2), packet ids
 * to `firstPacketId` and the following ones, where there are any; 1 follows 65,535. Source and
 * target must not overlap. Trusted input: a scan has checked it.
 * @param aliasAt bytes from each body's begin to its Topic Alias, which becomes `alias`.
 * @returns the end in `target`.
 */
export function copyRunWithAlias(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
  header: number,
  firstPacketId: number,
  aliasAt: number,
  alias: number,
): number {
  copyBytes(source, start, end, target, at);
  const stop = at + end - start;
  const hasIds = (header & QOS_MASK) !== 0;
  let packetId = firstPacketId;
  for (let position = at; position < stop; ) {
    const next = frameEnd(target, position);
    const body = bodyOf(target, position);
    target[position] = header;
    if (hasIds) {
      target[body + NO_TOPIC_BYTES] = packetId >> 8;
      target[body + NO_TOPIC_BYTES + 1] = packetId;
      packetId = packetId === PACKET_ID_MAX ? 1 : packetId + 1;
    }
    target[body + aliasAt] = alias >> 8;
    target[body + aliasAt + 1] = alias;
    position = next;
  }
  return stop;
}
