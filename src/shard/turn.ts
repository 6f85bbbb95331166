/**
 * The turn of a shard. Sockets and the doorbell are read in the event loop's poll phase, and only
 * lay work out; the check phase behind it ends the turn: rings are drained, the own ring's head is
 * stored, every outbox with something in it is flushed once, and whoever sleeps is woken. Then
 * those that have more to do than their share of a turn go on for a while, and are flushed too.
 */
import { preciseMs } from '../base/clock.js';
import { DEAD_RING_MS_MAX, DRAIN_BYTES, TURN_FLUSH_BYTES } from '../base/limits.js';
import { CATCH_UP_MS_PER_TURN, DRAIN_MS_PER_TURN } from '../base/turn-limits.js';
import type { Outbox } from '../connection/outbox.js';
import { TurnShare } from '../connection/turn-share.js';
import type { PeerLink, RecordHandler } from '../router/peer-link.js';
import { TurnArena } from '../router/turn-arena.js';
import type { Wakes } from '../router/wakes.js';

/** What a turn calls on its way; all of one shard. */
export interface TurnSteps {
  /** The rings have been read to their ends. */
  readonly onDrained: () => void;
  /** Once a turn, before its flush: work that is shared out over turns. */
  readonly onTurn: () => void;
  /**
   * What the turn has brought is out: connections with more to do than their share go on.
   * @returns whether some still have.
   */
  readonly onBusy: () => boolean;
  /** Before the ring's head is stored: what was collected goes onto it. */
  readonly beforeFlush: () => void;
  /** Everything is out. */
  readonly afterFlush: () => void;
  /**
   * Nothing is left to do. @param hasDrained records have come from other shards in this turn.
   * @returns whether to look for more instead of going to sleep.
   */
  readonly onIdle: (hasDrained: boolean) => boolean;
}

/** One a shard. */
export class Turn {
  readonly arena: TurnArena;
  readonly share: TurnShare;
  readonly #link: PeerLink;
  readonly #records: RecordHandler;
  readonly #steps: TurnSteps;
  readonly #wakes: Wakes;
  /**
   * Outboxes with something to write. Emptied by its count: setting a length leaves compiled code.
   */
  readonly #dirty: (Outbox | null)[] = [];
  #dirtyCount = 0;
  #isScheduled = false;
  /** What is left of CATCH_UP_MS_PER_TURN for drains between two ends of turns. */
  #drainMsLeft = CATCH_UP_MS_PER_TURN;
  /** What drains before reads have taken, in all. */
  #drainedMs = 0;
  /** `catchUp` has handed over records in this turn. */
  #hasCaughtUp = false;
  /** What is to be done when so much is handed over, in the order in which it came. */
  readonly #waiting: { readonly mark: number; readonly work: () => void }[] = [];
  readonly #end = () => this.#endTurn();

  /** @param busyMs for connections that are polled, all together (busyMsPerTurn). */
  constructor(
    link: PeerLink,
    records: RecordHandler,
    wakes: Wakes,
    steps: TurnSteps,
    busyMs: number,
  ) {
    this.share = new TurnShare(busyMs);
    this.#wakes = wakes;
    this.#link = link;
    this.#records = records;
    this.#steps = steps;
    this.arena = new TurnArena(() => this.flush());
  }

  /** An outbox has something to write. */
  addDirty(outbox: Outbox): void {
    this.#dirty[this.#dirtyCount++] = outbox;
    this.schedule();
  }

  /** A turn's end is to follow what the event loop does now. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#end);
  }

  /**
   * A peer has died: hands over what it has shown, and what others have meanwhile, in the order in
   * which it comes always. It may be acknowledged. Not to be called by a handler of records.
   */
  drainDead(index: number): void {
    const end = preciseMs() + DEAD_RING_MS_MAX;
    while (this.#link.hasUnread(index) && preciseMs() < end) {
      this.share.begin(null, DRAIN_MS_PER_TURN);
      this.#link.drain(this.#records, DRAIN_BYTES);
    }
    this.share.endTurn();
    this.schedule();
  }

  /**
   * To be called when something was read or heard of, before it is handled: hands over what was
   * acknowledged or delivered to anybody before, on whichever shard.
   * @returns false when there is no time for all of it: what was read waits until `isPast(mark())`.
   */
  catchUp(): boolean {
    const link = this.#link;
    if (!link.hasNews) return true;
    const mark = link.mark();
    if (link.isPast(mark)) return true;
    if (link.isDraining || this.#drainMsLeft <= 0) return false;
    this.share.interrupt(this.#drainMsLeft);
    try {
      if (link.drain(this.#records, DRAIN_BYTES, false) > 0) this.#hasCaughtUp = true;
    } finally {
      const taken = this.share.resume();
      this.#drainMsLeft -= taken;
      this.#drainedMs += taken;
    }
    this.schedule();
    return link.isPast(mark);
  }

  /** A socket is read. @returns whether the shard has just woken for it: see `awaitOthers`. */
  onRead(): boolean {
    return this.#wakes.onRead();
  }

  /** Lets other shards that have just woken, too, handle what they read first. */
  awaitOthers(): void {
    this.#wakes.awaitOthers();
  }

  /** There is time for `catchUp`. */
  get mayCatchUp(): boolean {
    return this.#drainMsLeft > 0;
  }

  /** Milliseconds as they pass, but for those that `catchUp` takes. */
  get ownMs(): number {
    return preciseMs() - this.#drainedMs;
  }

  /** See `PeerLink.mark`. */
  mark(): number {
    return this.#link.mark();
  }

  /** See `PeerLink.isPast`. */
  isPast(mark: number): boolean {
    return this.#link.isPast(mark);
  }

  /**
   * Does `work`, which was just heard of, when it has caught up, behind what waits for that.
   */
  whenCaughtUp(work: () => void): void {
    if (this.#waiting.length === 0 && this.catchUp()) {
      work();
      return;
    }
    this.#waiting.push({ mark: this.#link.mark(), work });
    this.schedule();
  }

  /** A socket was read. */
  afterRead(): void {
    this.flushWhenFull();
    this.schedule();
  }

  /** Flushes at once when so much has gathered that it would leave the processor's cache. */
  flushWhenFull(): void {
    if (this.arena.position >= TURN_FLUSH_BYTES) this.flush();
  }

  /**
   * Stores the ring's head first: what is acknowledged below is then on its way to the other
   * shards. Before anybody is told, the others are told that they are.
   */
  flush(): void {
    this.#steps.beforeFlush();
    this.#link.flush();
    if (this.#dirtyCount > 0) this.#link.tell();
    this.#flushOutboxes();
    this.arena.rewind();
    this.#steps.afterFlush();
  }

  /**
   * Messages before acks alone: a publisher that waits for its acks sends the next run when they
   * come, and it is cheaper when those who read the last have acknowledged it by then. The other
   * way round a client that keeps up has every run queued for it, and copied, for ever after.
   */
  #flushOutboxes(): void {
    const dirty = this.#dirty;
    const { buffer } = this.arena;
    let left = 0;
    for (let index = 0; index < this.#dirtyCount; index++) {
      const outbox = dirty[index] as Outbox;
      dirty[index] = null;
      if (outbox.bringsMessages) outbox.flush(buffer);
      else dirty[left++] = outbox;
    }
    this.#dirtyCount = left;
    for (let index = 0; index < this.#dirtyCount; index++) {
      const outbox = dirty[index] as Outbox;
      dirty[index] = null;
      outbox.flush(buffer);
    }
    this.#dirtyCount = 0;
  }

  #endTurn(): void {
    this.#isScheduled = false;
    const { share } = this;
    share.begin(null, DRAIN_MS_PER_TURN);
    const drained = this.#link.drain(this.#records, DRAIN_BYTES);
    if (drained < DRAIN_BYTES && !share.isSpent) this.#steps.onDrained();
    else this.schedule();
    this.#goOn();
    this.#steps.onTurn();
    this.flush();
    this.#wakes.onCameRound();
    this.#drainMsLeft = CATCH_UP_MS_PER_TURN;
    if (this.#steps.onBusy()) this.schedule();
    share.endTurn();
    this.#drainMsLeft = CATCH_UP_MS_PER_TURN;
    const hasDrained = drained > 0 || this.#hasCaughtUp;
    this.#hasCaughtUp = false;
    if (this.#isScheduled) return;
    this.#wakes.onIdle();
    if (this.#steps.onIdle(hasDrained) || !this.#link.sleep()) this.schedule();
  }

  /** Does what has waited for what is handed over by now. */
  #goOn(): void {
    const waiting = this.#waiting;
    let done = 0;
    while (done < waiting.length && this.#link.isPast(waiting[done].mark)) waiting[done++].work();
    if (done > 0) waiting.splice(0, done);
    if (waiting.length > 0) this.schedule();
  }
}
