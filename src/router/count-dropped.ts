/** Counts messages that found no room in a session's queue, each by the bound that it met. */
import { Counter, type Counters } from '../base/counters.js';
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import { framesEnd } from '../sessions/run-queue.js';

/**
 * The last `dropped` messages of a run that was just offered to a queue found no room in it.
 * @param maxQueuedBytes of one client: who is longer never gets in.
 */
export function countDropped(
  counters: Counters,
  queuedTotal: QueuedTotal,
  maxQueuedBytes: number,
  run: Run,
  dropped: number,
): void {
  const refused = queuedTotal.takeRefused();
  let oversize = 0;
  if (run.bytes.length > maxQueuedBytes) {
    let at = framesEnd(run.bytes, 0, run.count - dropped);
    while (at < run.bytes.length) {
      const next = frameEnd(run.bytes, at);
      if (next - at > maxQueuedBytes) oversize++;
      at = next;
    }
  }
  counters.add(Counter.droppedOversize, oversize);
  counters.add(Counter.droppedTotalBytes, refused);
  counters.add(Counter.droppedQueueFull, dropped - oversize - refused);
}
