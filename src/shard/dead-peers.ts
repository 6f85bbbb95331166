/**
 * What dead peers were interested in is forgotten turn by turn: the 100,000 filters that one client
 * may have took their peers half a second. Nothing is sent to a dead shard meanwhile. Its successor
 * waits until all is forgotten, or its own interest would be forgotten with it.
 */
import { FORGOTTEN_STEPS_PER_TURN } from '../base/handover-limits.js';
import type { RetainedMessage } from '../router/retained-message.js';
import type { RouteCache } from '../router/route.js';
import type { Session } from '../sessions/session.js';
import type { TopicsProvider } from '../topics/provider.js';

/** A dead shard whose interest is being forgotten. */
interface Forgetting {
  readonly index: number;
  readonly steps: Iterator<void>;
  /** Its successor's welcome. */
  onForgotten: (() => void) | null;
}

/** What this works with; all of one shard. */
export interface DeadPeersParts {
  readonly topics: TopicsProvider<Session, RetainedMessage>;
  readonly routes: RouteCache;
  /** Asks for another turn. */
  readonly schedule: () => void;
}

/** One a shard. */
export class DeadPeers {
  readonly #parts: DeadPeersParts;
  readonly #forgetting: Forgetting[] = [];

  constructor(parts: DeadPeersParts) {
    this.#parts = parts;
  }

  /**
   * A peer died. @returns whether a successor's welcome was waiting here: the dead one's, which is
   * off.
   */
  drop(index: number): boolean {
    const { topics, schedule } = this.#parts;
    const known = this.#forgetting.find((forgetting) => forgetting.index === index);
    if (known !== undefined) {
      const wasWaiting = known.onForgotten !== null;
      known.onForgotten = null;
      return wasWaiting;
    }
    const steps = topics.removeShardEverywhere(index);
    this.#forgetting.push({ index, steps, onForgotten: null });
    schedule();
    return false;
  }

  /** Calls back when nothing of the dead shard is left: now, or at the end of a turn. */
  whenForgotten(index: number, onForgotten: () => void): void {
    const known = this.#forgetting.find((forgetting) => forgetting.index === index);
    if (known === undefined) onForgotten();
    else known.onForgotten = onForgotten;
  }

  /** Forgets a turn's share. To be called once a turn; asks for another one while there is more. */
  onTurn(): void {
    for (let left = FORGOTTEN_STEPS_PER_TURN; left > 0; left--) {
      const first = this.#forgetting[0];
      if (first === undefined) return;
      if (!first.steps.next().done) continue;
      this.#forgetting.shift();
      // What was resolved meanwhile names the dead shard.
      this.#parts.routes.invalidateAll();
      first.onForgotten?.();
    }
    if (this.#forgetting.length > 0) this.#parts.schedule();
  }
}
