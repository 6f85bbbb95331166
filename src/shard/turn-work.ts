/**
 * What a shard does in each turn besides reading and delivering: what it tells the other shards
 * before a flush, and what goes on behind one, when there is room again.
 */
import type { Outbox } from '../connection/outbox.js';
import { RingWaits } from './ring-waits.js';
import type { Shard } from './shard.js';

/** One a shard. */
export class TurnWork {
  readonly ringWaits: RingWaits;
  readonly #shard: Shard;
  /** In this turn: see `announce`. */
  #hasAnnounced = false;
  #relieved: Outbox[] = [];

  /** @param shard whose link is made already; the rest of it is used once it has turns. */
  constructor(shard: Shard) {
    this.#shard = shard;
    this.ringWaits = new RingWaits(shard.link);
  }

  /** A turn begins to end: its drains are done. */
  onTurn(): void {
    if (this.#shard.isClosed) return;
    const { router, turn, members, access, registry, deadPeers, isStopping } = this.#shard;
    const { durable, store, takeover } = this.#shard;
    this.#hasAnnounced = false;
    durable?.onTurn();
    takeover.cutHolds.onTurn();
    if (store?.kept.onTurn()) turn.schedule();
    if (router.made.goOn()) turn.schedule();
    members.onTurn();
    access.onTurn();
    // What would be removed goes with the shard anyway.
    if (!isStopping) registry.onTurn();
    deadPeers.onTurn();
  }

  /**
   * A filter that was subscribed to is announced at once, and the other shards are told to look: a
   * client may publish to it from another connection without waiting for the SUBACK. Once a turn,
   * so that clients that subscribe without end do not fill the ring.
   */
  announce(): void {
    if (this.#hasAnnounced) return;
    this.#hasAnnounced = true;
    this.beforeFlush();
    this.#shard.flushRing();
  }

  /** An outbox has room again: its publishers go on behind the flush. */
  onRelieved(outbox: Outbox): void {
    // Not now: a flush may be under way, and a publisher that goes on appends its acks.
    this.#relieved.push(outbox);
    this.#shard.turn.schedule();
  }

  beforeFlush(): void {
    this.#shard.interest.flush();
    this.#shard.replays.beforeFlush();
    this.#shard.store?.retained.beforeSubmit();
    // What other shards are shown is in the journal before.
    this.#shard.durable?.submit();
  }

  afterFlush(): void {
    const {
      isClosed,
      isStopping,
      line,
      link,
      backpressure,
      turn,
      router,
      interest,
      takeover,
      replays,
      members,
      registry,
    } = this.#shard;
    if (line.hasCollected) link.tell();
    line.flush();
    if (isClosed) return;
    if (this.#relieved.length > 0) {
      const relieved = this.#relieved;
      this.#relieved = [];
      for (const outbox of relieved) backpressure.relieve(outbox);
      // What was said to publishers on other shards is on the ring, and has to be seen there.
      turn.schedule();
    }
    this.ringWaits.answer();
    if (link.isBlocked) return;
    if (router.made.areWaiting) {
      // Not in the middle of another run, for which this flush makes room.
      if (!router.delivery.isDelivering) router.made.goOn();
      // What the disk has taken is heard of.
      if (!router.made.isHeld) turn.schedule();
    }
    const isToldMore = interest.sendPieces();
    if (takeover.sendPieces() || isToldMore) turn.schedule();
    replays.answers.onRingRoom();
    members.onRingRoom();
    if (!link.isFull && !isStopping) registry.onRingRoom();
    this.ringWaits.goOn();
  }
}
