/** Which clients lose messages, for the log: a counter tells how many, but not whose. */
import { CLIENT_DROPS_LOG_INTERVAL_MS, CLIENT_DROPS_MAX } from '../base/slow-reader-limits.js';
import type { Session } from '../sessions/session.js';

interface Drops {
  /** Messages dropped and not said yet. */
  dropped: number;
  saidAt: number;
}

/** One a shard. It knows CLIENT_DROPS_MAX clients at a time: others are counted and not told of. */
export class ClientDrops {
  readonly #clients = new Map<Session, Drops>();

  /** Messages for this client were dropped, for whatever reason. */
  note(session: Session, messages: number): void {
    const known = this.#clients.get(session);
    if (known !== undefined) known.dropped += messages;
    else if (this.#clients.size < CLIENT_DROPS_MAX) {
      this.#clients.set(session, { dropped: messages, saidAt: Number.NEGATIVE_INFINITY });
    }
  }

  /**
   * Tells of each client that has lost messages since it was told of last: at once the first time,
   * then at most once in CLIENT_DROPS_LOG_INTERVAL_MS. To be called once a second; `now` in
   * milliseconds.
   */
  tell(now: number, say: (clientId: string, dropped: number) => void): void {
    for (const [session, drops] of this.#clients) {
      if (now - drops.saidAt < CLIENT_DROPS_LOG_INTERVAL_MS) continue;
      if (drops.dropped === 0) {
        this.#clients.delete(session);
        continue;
      }
      say(session.clientId, drops.dropped);
      drops.dropped = 0;
      drops.saidAt = now;
    }
  }
}
