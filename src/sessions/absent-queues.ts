/** What waits in the sessions of absent clients. */
import type { OutgoingWindow } from './outgoing-window.js';
import { QueuedTotal } from './queued-total.js';

/**
 * The messages that a shard keeps for absent clients. It is kept up to date by the sessions, in the
 * few places where they change: an absent session is only ever queued to, until its client comes
 * back or it ends. Looking at all of them several times a second, as is done with connected ones,
 * would cost a shard with a million absent sessions all of its time.
 */
export class AbsentQueues {
  /** Messages waiting to be sent for the first time. */
  queuedMessages = 0;
  /** Messages sent and not acknowledged: they will be sent again. */
  inflightMessages = 0;
  /** Of the shard's sessions, those of connected clients too. */
  readonly total: QueuedTotal;

  constructor(total = new QueuedTotal()) {
    this.total = total;
  }

  /** The window of a session that is absent from here on. */
  add(window: OutgoingWindow | null): void {
    if (window === null) return;
    this.queuedMessages += window.queuedMessages;
    this.inflightMessages += window.inflight;
  }

  /** The window of a session that was absent so far. */
  remove(window: OutgoingWindow | null): void {
    if (window === null) return;
    this.queuedMessages -= window.queuedMessages;
    this.inflightMessages -= window.inflight;
  }
}
