/**
 * Has publishers wait whose messages go on from this shard to others, as those to members of groups
 * do, while its ring is full. Who publishes here waits for the ring anyway (shard/ring-waits.ts).
 */
import type { CloseReason } from '../base/errors.js';
import type { Outlet } from '../sessions/session.js';
import type { PressureSink } from './delivery-parts.js';
import type { PeerLink } from './peer-link.js';

/** The ring, as back-pressure knows what is written to: it is heavy while it is full. */
class RingOutlet implements Outlet {
  readonly isStalled = false;
  readonly slowQueue = null;
  readonly isBlocked = true;
  readonly isHeavy = true;
  /**
   * Publishers are not read from, as those here: shards read their rings whatever clients do, so
   * nobody waits for one who waits. Their acks stay in order.
   */
  readonly isOverfull = true;
  readonly isLagging = false;
  readonly keepsUp = false;
  feeders: Set<number> | null = null;
  append(): void {}
  wake(): void {}
  closeConnection(_reason: CloseReason): void {}
}

/** One a shard. */
export class RingPressure {
  readonly #shardIndex: number;
  readonly #link: PeerLink;
  readonly #pressure: PressureSink;
  readonly #outlet = new RingOutlet();

  constructor(shardIndex: number, link: PeerLink, pressure: PressureSink) {
    this.#shardIndex = shardIndex;
    this.#link = link;
    this.#pressure = pressure;
  }

  /** What was published on shard `source` was sent on to another one. */
  onSent(source: number, publisherId: number, qos: number): void {
    if (source === this.#shardIndex || !this.#link.isFull) return;
    this.#pressure.onFed(this.#outlet, source, publisherId, qos);
  }

  /** Somebody waits. */
  get isHolding(): boolean {
    return this.#outlet.feeders !== null;
  }

  /** Once a turn. @returns whether some wait for room that is there now, and may go on. */
  onTurn(): boolean {
    if (!this.isHolding || this.#link.isFull) return false;
    this.#pressure.relieve(this.#outlet);
    return true;
  }
}
