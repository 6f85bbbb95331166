/** Two windows become one, where a session was given messages while what it had was on its way. */
import { NO_PLACE } from './held-runs.js';
import type { OutgoingWindow } from './outgoing-window.js';

/**
 * Queues what `newer` holds, which has sent nothing, behind what is in `window`.
 * @returns how many of its messages were dropped because of a bound.
 */
export function queueBehind(window: OutgoingWindow, newer: OutgoingWindow): number {
  let dropped = 0;
  for (let moved = newer.takeRun(); moved !== null; moved = newer.takeRun()) {
    const { bytes, end, deliveryHeader, identifiers, membership } = moved;
    const { header, topicLength, count, propertyBytes, expiresAt } = moved;
    const run = {
      bytes: bytes.subarray(0, end),
      header,
      topicLength,
      count,
      propertyBytes,
      expiresAt,
      place: NO_PLACE,
    };
    const qos = ((deliveryHeader >> 1) & 3) as 1 | 2;
    const isRetained = (deliveryHeader & 1) !== 0;
    dropped += window.enqueue(run, qos, isRetained, false, false, identifiers, membership);
    dropped += window.displaced;
  }
  return dropped;
}
