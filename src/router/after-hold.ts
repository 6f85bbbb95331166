/**
 * What is to be sent at QoS 0 when the arena is held no more. While it is, it cannot be flushed,
 * and a form that one subscriber alone takes would be laid out for each of them: ten thousand times
 * a long message. So beyond the arena's size they are only noted here, and share one copy.
 */
import type { Run } from '../protocol/run.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import type { Session } from '../sessions/session.js';

/** A run that a session is to get at QoS 0. */
export interface PutOff {
  readonly session: Session;
  readonly identifiers: readonly number[] | undefined;
  readonly keepsRetain: boolean;
  readonly topicKey: string;
  /** By which `QueuedTotal` names the run. */
  readonly place: number;
}

/** One a shard. */
export class AfterHold {
  readonly #total: QueuedTotal;
  #waiting: PutOff[] = [];

  constructor(total: QueuedTotal) {
    this.#total = total;
  }

  /** Something waits: what comes behind it has to wait as well. */
  get isAny(): boolean {
    return this.#waiting.length > 0;
  }

  /** @returns false when there is no room for it. */
  add(entry: Omit<PutOff, 'place'>, run: Run): boolean {
    if (!this.#total.hasRoomFor(run)) return false;
    this.#waiting.push({ ...entry, place: this.#total.hold(run) });
    return true;
  }

  /** Has each sent, in the order in which they came, and forgets it. */
  release(send: (entry: PutOff, run: Run) => void): void {
    // Nothing is added meanwhile: the arena is not held.
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting) {
      send(entry, this.#total.runAt(entry.place));
      this.#total.letGo(entry.place);
    }
  }
}
