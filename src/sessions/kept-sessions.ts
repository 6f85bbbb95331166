/**
 * The sessions of a shard that outlive their connections, as the store sees them: what of their
 * queues is to be journaled with the next submit, what waits until it is durable, and whose window
 * is to be filled from disk.
 */
import {
  KEPT_REFILL_BYTES,
  KEPT_REFILLS_PER_TURN,
  KEPT_WINDOW_BYTES,
  SHARDS_MAX,
} from '../base/limits.js';
import type { StoreFullPolicy } from '../base/store-full-policy.js';
import type { Journal } from '../store/journal.js';
import type { KeptQueue } from './kept-queue.js';
import {
  type KeptReader,
  KeptSession,
  type KeptSessionHost,
  type MovedKept,
  NO_NUMBER,
  type StoredQueue,
} from './kept-session.js';
import type { Session } from './session.js';

/** What they are kept in. */
export interface KeptSessionsParts {
  readonly journal: Journal;
  readonly reader: KeptReader;
  readonly shardIndex: number;
  /** Above the number of every session that the store has: store/store-messages.ts. */
  readonly base: number;
  /** False: whatever is sent counts as durable. */
  readonly waits: boolean;
  readonly storeFull: StoreFullPolicy;
}

/** The head of a tail, which stands among the stored sessions: see `beginTail`. */
export interface TailRow {
  readonly isTail: true;
  /** The shard that its session was on its way to. */
  readonly home: number;
}

/** Messages of QoS 2 that may be sent when the journal is durable up to a position. */
interface Awaited {
  readonly queue: KeptQueue;
  readonly next: number;
  readonly position: number;
}

/** One a shard. */
export class KeptSessions implements KeptSessionHost {
  readonly journal: Journal;
  readonly reader: KeptReader;
  readonly waits: boolean;
  diskMessages = 0;
  readonly #storeFull: StoreFullPolicy;
  readonly #shardIndex: number;
  #nextNumber: number;
  #dirty: KeptQueue[] = [];
  #awaited: Awaited[] = [];
  /** Of clients that are here: those that have messages on disk alone. */
  readonly #thin = new Set<Session>();

  constructor({ journal, reader, shardIndex, base, waits, storeFull }: KeptSessionsParts) {
    this.#storeFull = storeFull;
    this.journal = journal;
    this.reader = reader;
    this.waits = waits;
    this.#shardIndex = shardIndex;
    this.#nextNumber = base + shardIndex;
  }

  get whenFull(): StoreFullPolicy | null {
    return this.journal.isStoreFull ? this.#storeFull : null;
  }

  /** A session begins. */
  begin(session: Session): void {
    session.kept = new KeptSession(this, this.takeNumber());
  }

  /** A number that nothing in the store has had. */
  takeNumber(): number {
    const number = this.#nextNumber;
    this.#nextNumber += SHARDS_MAX;
    return number;
  }

  /** One that is on disk from before; see KeptSession. */
  take(session: Session, number: number, stored: StoredQueue): void {
    session.kept = this.lost(number, stored);
  }

  /** The same, of a session that is not to have it yet. */
  lost(number: number, stored: StoredQueue): KeptSession {
    return KeptSession.lost(this, number, stored);
  }

  /** One that comes from another shard; null for one that is not on disk. */
  arrive(moved: MovedKept | null): KeptSession | null {
    return moved === null ? null : KeptSession.moved(this, moved);
  }

  /**
   * A session is on its way here: what it is given before it has come is on disk too, by itself, so
   * that whoever has published it is answered. It goes behind what comes.
   */
  beginTail(session: Session): void {
    this.begin(session);
    session.kept!.isTail = true;
    session.kept!.queue.staysInMemory = true;
    this.#putTail(session.kept!.queue.number, session.clientId);
  }

  /**
   * It has come, and what it was given is in its queue. Until its row says that it is here, an
   * empty tail does: what is pending for this shard is for it.
   */
  endTail(clientId: string, tail: KeptSession, kept: KeptSession | null): void {
    this.journal.dropSession(tail.queue.number, tailOf(clientId));
    if (kept === null) return;
    kept.emptyTail = this.takeNumber();
    this.#putTail(kept.emptyTail, clientId);
  }

  #putTail(number: number, clientId: string): void {
    const row: TailRow = { isTail: true, home: this.#shardIndex };
    this.journal.putSession(number, tailOf(clientId), row);
  }

  /** Its row says where it is. */
  onSaved({ clientId, kept }: Pick<Session, 'clientId' | 'kept'>): void {
    if (kept === null || kept.emptyTail === NO_NUMBER) return;
    this.journal.dropSession(kept.emptyTail, tailOf(clientId));
    kept.emptyTail = NO_NUMBER;
  }

  /** It has ended, with all that is on disk. */
  drop({ clientId }: Session, kept: KeptSession | null): void {
    if (kept === null) return;
    if (kept.isTail) {
      this.endTail(clientId, kept, null);
      return;
    }
    this.journal.dropSession(kept.queue.number, clientId);
    this.onSaved({ clientId, kept });
  }

  addDirty(queue: KeptQueue): void {
    this.#dirty.push(queue);
  }

  /** A client is here from now on, or what its session has on disk has grown. */
  watch(session: Session): void {
    const { kept } = session;
    if (kept !== null && kept.queue.onDisk > 0) this.#thin.add(session);
  }

  /** Before the journal is submitted. */
  beforeSubmit(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const queue of dirty) {
      queue.note();
      if (!queue.hasNewQos2) continue;
      queue.hasNewQos2 = false;
      this.#awaited.push({ queue, next: queue.next, position: this.journal.appended });
    }
  }

  /** More of the journal is durable. */
  onDurable(): void {
    const { durable } = this.journal;
    let done = 0;
    while (done < this.#awaited.length && this.#awaited[done]!.position <= durable) done++;
    for (const { queue, next } of this.#awaited.splice(0, done)) release(queue, next);
  }

  /**
   * Fills windows that are running empty, some in each turn, so that one that replays a million
   * messages takes no more of a turn than any other client.
   * @returns whether there is more to be read at once.
   */
  onTurn(): boolean {
    let refills = 0;
    // One that has had its turn stands behind them, and would be come to again.
    let looks = this.#thin.size;
    for (const session of this.#thin) {
      if (looks-- === 0) break;
      const { kept, outlet } = session;
      if (kept === null || outlet === null || kept.queue.onDisk === 0) {
        this.#thin.delete(session);
        continue;
      }
      const window = session.openWindow();
      if (outlet.isBlocked || window.queuedBytes > KEPT_WINDOW_BYTES / 2) continue;
      // Next time another one comes first.
      this.#thin.delete(session);
      this.#thin.add(session);
      if (kept.refill(window, KEPT_REFILL_BYTES) === 0) continue;
      outlet.wake();
      if (++refills === KEPT_REFILLS_PER_TURN) return true;
    }
    return refills > 0;
  }
}

/** What was queued of a session up to here is durable. */
function release(queue: KeptQueue, next: number): void {
  queue.durableTo = Math.max(queue.durableTo, next);
  queue.outlet?.wake();
}

/** What a tail is called in the store: no client id has that character [MQTT-1.5.3-2]. */
export function tailOf(clientId: string): string {
  return `${clientId}\0`;
}
