/**
 * Before the runs of a shard become those of a session's new holder (handover.ts), what it has sent
 * to the former one is to be durable there. Else a crash could lose that and keep what came behind
 * it: it is published again, and comes in the wrong order. What is published meanwhile for such a
 * session waits, as long as a disk takes. Sessions that come meanwhile wait for the next time, all
 * together: so publishers go on in between, however many sessions come.
 */
import type { Route } from '../router/route.js';
import type { Session } from '../sessions/session.js';

/** What is to be cut. */
interface Cut {
  /** Null: it is on its way to another shard, and it is not known what it has subscribed to. */
  readonly session: Session | null;
  /** A bit for the shard that it comes from. */
  readonly former: number;
  /** Bits of the other shards that what is for it is sent to. */
  readonly shards: number;
  readonly cut: () => void;
}

/** What these work with, where there is a store. */
export interface CutHoldsParts {
  /** Calls back when what was sent to these shards, a bit each, is durable there. */
  whenKept(shards: number, done: () => void): void;
  readonly schedule: () => void;
}

/** One a shard. */
export class CutHolds {
  readonly #parts: CutHoldsParts;
  /** What is waited for; their publishers wait. */
  #held: Cut[] = [];
  /** Of those: the sessions that come here, and bits for the shards that they come from. */
  readonly #sessions = new Set<Session>();
  #formers = 0;
  /** What the others are sent to. */
  readonly #elsewhere = new Set<number>();
  #next: Cut[] = [];
  /** Publishers have had a turn since the last ones were cut. */
  #haveGoneOn = true;

  constructor(parts: CutHoldsParts) {
    this.#parts = parts;
  }

  /** Calls back when the shard's runs may be the new holder's from then on. */
  add(session: Session | null, former: number, shards: number, cut: () => void): void {
    this.#next.push({ session, former, shards, cut });
    this.#parts.schedule();
  }

  /** Somebody's publishers wait. */
  get areAny(): boolean {
    return this.#held.length > 0;
  }

  /** Whether what is published there waits. */
  mustHold({ subscribers, keptMask }: Route): boolean {
    for (const shards of this.#elsewhere) if ((keptMask & shards) === shards) return true;
    // Nothing that was for them can be lost where nothing of it is sent.
    if ((keptMask & this.#formers) === 0) return false;
    // As much as it takes to deliver it.
    return subscribers.some((session) => this.#sessions.has(session));
  }

  /** To be called once a turn, behind what lets publishers go on. */
  onTurn(): void {
    if (this.areAny || this.#next.length === 0) return;
    if (!this.#haveGoneOn) {
      this.#haveGoneOn = true;
      this.#parts.schedule();
      return;
    }
    this.#held = this.#next;
    this.#next = [];
    let all = 0;
    for (const { session, former, shards } of this.#held) {
      all |= former;
      if (session === null) {
        this.#elsewhere.add(shards);
      } else {
        this.#sessions.add(session);
        this.#formers |= former;
      }
    }
    this.#parts.whenKept(all, () => this.#cutAll());
  }

  #cutAll(): void {
    const held = this.#held;
    this.#held = [];
    this.#sessions.clear();
    this.#elsewhere.clear();
    this.#formers = 0;
    this.#haveGoneOn = false;
    for (const { cut } of held) cut();
    this.#parts.schedule();
  }
}
