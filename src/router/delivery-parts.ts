/** What deliveries work with, and whom they tell. */
import type { Counters } from '../base/counters.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import type { Outlet, Session } from '../sessions/session.js';
import type { GroupRun } from './group-link.js';
import type { Impatience } from './slowdown.js';
import type { TurnArena } from './turn-arena.js';

/** Told when a run reached an outlet that is over its mark, so that its publisher can be paused. */
export interface PressureSink {
  /** Publishers here that do not wait for slow readers. */
  readonly impatient: ReadonlyMap<number, Impatience>;
  onFed(outlet: Outlet, source: number, publisherId: number, qos: number): void;
  /** Whoever waits for this outlet alone may go on. */
  relieve(outlet: Outlet): void;
}

/** Takes what is for the groups of Shared Subscriptions. */
export interface GroupSink {
  deliverToGroup(session: Session, run: GroupRun): void;
}

/** What deliveries work with; all of one shard. */
export interface DeliveryParts {
  readonly shardIndex: number;
  readonly arena: TurnArena;
  readonly pressure: PressureSink;
  readonly counters: Counters;
  readonly queuedTotal: QueuedTotal;
  /** Coarse time in milliseconds. */
  readonly clock: { readonly now: number };
}
