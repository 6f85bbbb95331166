/** The sessions of one shard and their subscriptions: kept, routed, told to the peers, ended. */
import { preciseMs } from '../base/clock.js';
import type { Counters } from '../base/counters.js';
import { Counter } from '../base/counters.js';
import {
  ENDED_FILTER_BYTES_PER_TURN,
  ENDED_FILTER_MS_PER_TURN,
  ENDED_FILTERS_PER_LOOK,
  ENDED_FILTERS_PER_SHARE,
} from '../base/limits.js';
import type { ProtocolVersion } from '../protocol/packet.js';
import { isShareFilter } from '../protocol/v5/index.js';
import type { Interest } from '../router/interest.js';
import type { Members } from '../router/members.js';
import type { PeerLink } from '../router/peer-link.js';
import type { Filters } from '../router/replay-filters.js';
import type { RetainedMessage } from '../router/retained-message.js';
import type { RouteCache } from '../router/route.js';
import { AbsentQueues } from '../sessions/absent-queues.js';
import type { DelayedWills } from '../sessions/delayed-wills.js';
import type { KeptSession, MovedKept } from '../sessions/kept-session.js';
import type { OutgoingWindow, WindowLimits } from '../sessions/outgoing-window.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import { Session, type SessionHead } from '../sessions/session.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { TopicsProvider } from '../topics/provider.js';
import { Unsubscribed } from '../topics/subscription-tree.js';
import type { PrimaryLine } from './primary-line.js';
import type { ComingClient, SessionRows } from './session-rows.js';

/** Bytes of a filter in a SUBSCRIBE beside its own: its length and its QoS. */
const FILTER_OVERHEAD_BYTES = 3;

/** Has a session be given what was on its way to it when its shard died: deliver-pending.ts. */
export interface Missed {
  /** What is older than that which it was given on its way. @param tail has that; null: nothing. */
  beforeTail(session: Session, tail: OutgoingWindow | null): void;
  /** What is newer. */
  behindTail(session: Session): void;
}

/** A session that has ended, and its filters that are still routed to it. */
interface Ended {
  readonly session: Session;
  readonly filterKeys: Iterator<string>;
}

/** What a registry works with. */
export interface RegistryParts {
  readonly store: SessionStore<Session>;
  readonly topics: TopicsProvider<Session, RetainedMessage>;
  readonly routes: RouteCache;
  readonly interest: Interest;
  readonly link: Pick<PeerLink, 'isFull'>;
  readonly members: Pick<Members, 'subscribe' | 'unsubscribe' | 'onGone' | 'letGo'>;
  readonly counters: Counters;
  readonly limits: WindowLimits;
  readonly queuedTotal: QueuedTotal;
  readonly line: PrimaryLine;
  readonly wills: DelayedWills;
  /** Null: nothing is kept on disk. */
  readonly rows: SessionRows | null;
  /** Calls back when all wills are published: who claims the client id next comes behind them. */
  afterMade(done: () => void): void;
  /** The client of a session that does not end with its connection has left. */
  onAbsent(session: Session): void;
  /** Asks for another turn. */
  readonly schedule: () => void;
  /** Milliseconds with fractions; tests bring their own. */
  readonly clock?: () => number;
}

/** One a shard. */
export class SessionRegistry {
  /** What waits for absent clients. */
  readonly absentQueues: AbsentQueues;
  readonly #parts: RegistryParts;
  readonly #clock: () => number;
  /** A stack: in which order they are forgotten makes no difference to anybody. */
  readonly #ended: Ended[] = [];
  /** Filters of all of them that are still routed. */
  #endedFilters = 0;
  /** Bytes of filters that may still be removed in this turn. */
  #bytesLeft = ENDED_FILTER_BYTES_PER_TURN;
  /** How long one go at it may take, in milliseconds. */
  #msAtOnce = ENDED_FILTER_MS_PER_TURN;
  /** A turn has left its share until there is room in the ring. */
  #awaitsRoom = false;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? preciseMs;
    this.absentQueues = new AbsentQueues(parts.queuedTotal);
  }

  get(clientId: string): Session | undefined {
    return this.#parts.store.get(clientId);
  }

  /** Makes what stands for the group of a Shared Subscription: nobody's session, in no table. */
  makeGroupSession(): Session {
    const { limits } = this.#parts;
    const session = new Session('', Number.POSITIVE_INFINITY, 4, 0, limits, this.absentQueues);
    session.isGroup = true;
    session.sourceMask = 0;
    return session;
  }

  /** Makes a session without any state [MQTT-3.1.2-6]. */
  create(
    clientId: string,
    expiryMs: number,
    protocolVersion: ProtocolVersion,
    claim: number,
  ): Session {
    const { store, counters, limits } = this.#parts;
    const { absentQueues } = this;
    const session = new Session(clientId, expiryMs, protocolVersion, claim, limits, absentQueues);
    store.set(clientId, session);
    counters.add(Counter.sessions, 1);
    return session;
  }

  /**
   * Adds or replaces subscriptions [MQTT-3.8.4-3]; calls back when every shard routes the filters.
   */
  subscribe(session: Session, filters: Filters, confirmed: () => void): void {
    const { topics, routes, interest, counters, members, rows } = this.#parts;
    const isKept = rows !== null && !session.endsWithConnection;
    const plain: string[] = [];
    let unconfirmed = 1;
    const onConfirmed = () => {
      if (--unconfirmed === 0) confirmed();
    };
    for (const [filterKey, grant] of filters) {
      if (session.addSubscription(filterKey, grant)) counters.add(Counter.subscriptions, 1);
      rows?.onSubscribed(session, filterKey, grant);
      if (isShareFilter(filterKey)) {
        unconfirmed++;
        members.subscribe(session, filterKey, grant, onConfirmed);
        continue;
      }
      plain.push(filterKey);
      if (topics.subscribe(filterKey, session, grant)) interest.add(filterKey);
      if (isKept && topics.keepHere(filterKey)) interest.keep(filterKey);
      routes.invalidate(filterKey);
    }
    interest.whenConfirmed(plain, onConfirmed);
  }

  /** Removes a subscription. @returns false when there was none. */
  unsubscribe(session: Session, filterKey: string): boolean {
    const wasSubscribed = session.removeSubscription(filterKey);
    if (!wasSubscribed) return false;
    this.#parts.rows?.onUnsubscribed(session, filterKey);
    this.#unroute(session, filterKey);
    return true;
  }

  /** The client has left: so its session ends with it [MQTT-3.1.2-6], or waits for it. */
  leave(session: Session): void {
    // What others get from here on has had packet ids, which stay in use for its client.
    if (session.memberships !== null) this.#parts.rows?.save(session);
    this.#parts.members.onGone(session);
    if (session.endsWithConnection) {
      this.end(session);
      return;
    }
    this.#parts.line.left(session.claim);
    this.#parts.onAbsent(session);
    this.#parts.rows?.save(session);
  }

  /** A session is on its way here. */
  beginTail(session: Session): void {
    this.#parts.rows?.beginTail(session);
  }

  /** There is a store. */
  get isStored(): boolean {
    return this.#parts.rows !== null;
  }

  /** Ends a session here that another shard is to find in the store, if it is there. */
  leaveStored(session: Session): void {
    const { rows, members, wills } = this.#parts;
    rows?.letGo(session);
    if (rows !== null) members.letGo(session);
    // It does not end: who finds it there finds its will, too.
    if (rows !== null) wills.cancel(session);
    this.end(session);
  }

  /**
   * Has a session, which may have been given messages already, go on where that of its client in
   * the store was. @returns whether there was one; if not, it is one that begins.
   */
  recover(session: Session, missed: Missed): boolean {
    const { kept: tail, window: newer } = session;
    const found = this.#parts.rows?.find(session.clientId) ?? null;
    if (found === null) {
      this.keep(session);
      session.goOn(session.kept, () => {});
    } else {
      const { filters, kept, row } = found;
      const missing = filters.filter(([filterKey]) => !session.subscriptions.has(filterKey));
      this.subscribe(session, missing, () => {});
      session.goOn(kept, () => missed.beforeTail(session, newer));
      missed.behindTail(session);
      this.#parts.rows?.recallWill(session, row);
    }
    if (tail?.isTail) this.#parts.rows?.endTail(session, tail);
    // The client has come before any delay was over, but where there was none.
    if (found?.row.will?.leftMs === 0) this.#parts.wills.publish(session);
    return found !== null;
  }

  /** See Session.restore: what it was given on its way is in its queue from here on. */
  restore(
    session: Session,
    head: SessionHead,
    arrived: OutgoingWindow | null,
    kept: KeptSession | null,
  ): number {
    const tail = session.kept;
    const dropped = session.restore(head, arrived, kept);
    if (tail?.isTail) this.#parts.rows?.endTail(session, tail);
    return dropped;
  }

  /** What another shard has had of a session on disk is this one's. */
  keptOf(moved: MovedKept | null): KeptSession | null {
    return moved === null ? null : (this.#parts.rows?.arrive(moved) ?? null);
  }

  /** Its client comes. */
  onComing(session: Session, client: ComingClient): void {
    this.#parts.rows?.save(session, client);
  }

  /** A session that was made by `create` and is not to end with its connection is kept on disk. */
  keep(session: Session): void {
    if (!session.endsWithConnection) this.#parts.rows?.begin(session);
  }

  /** Ends a session: nothing of it is kept, and its client id is free. */
  end(session: Session): void {
    this.discard(session);
    const { claim } = session;
    this.#parts.afterMade(() => this.#parts.line.dropped(claim));
  }

  /**
   * Ends a session, for one that begins anew by the same claim. It is delivered nothing from here
   * on. What it has subscribed to goes within this turn's share, and the rest turn by turn: the
   * 100,000 filters a client may have by default would take hundreds of milliseconds.
   */
  discard(session: Session): void {
    const { store, counters } = this.#parts;
    if (store.get(session.clientId) === session) {
      store.delete(session.clientId);
      counters.add(Counter.sessions, -1);
    }
    counters.add(Counter.droppedExpired, session.window?.waiting ?? 0);
    // Its delay is over with the session [MQTT-3.1.2-8]. Until it is published it is in the row.
    const { wills, rows } = this.#parts;
    const { kept } = session;
    wills.publish(session);
    if (kept !== null) wills.whenSent(session, () => rows?.drop(session, kept));
    const subscriptions = session.end();
    this.#ended.push({ session, filterKeys: subscriptions.keys() });
    this.#endedFilters += subscriptions.size;
    this.#removeEnded();
  }

  /**
   * Removes a turn's share of what ended sessions have subscribed to. To be called once a turn;
   * asks for another one while there is more.
   *
   * A share is what one connection may subscribe to in a turn. Many together may outrun it: so the
   * more there is to be removed, the more shares a turn has. But the peers hear of each filter, and
   * a shard that has little else to do has many turns: what is read there meanwhile waits for what
   * was told before, 400 ms behind 100,000 filters. So the share waits while the ring is full.
   */
  onTurn(): void {
    this.#awaitsRoom = this.#ended.length > 0 && this.#parts.link.isFull;
    if (!this.#awaitsRoom) this.#removeShare();
  }

  /** Behind a flush, when the ring has room: before those that feed it go on. */
  onRingRoom(): void {
    if (!this.#awaitsRoom) return;
    this.#awaitsRoom = false;
    this.#removeShare();
    // The peers are to hear of it.
    this.#parts.schedule();
  }

  #removeShare(): void {
    const shares = 1 + Math.floor(this.#endedFilters / ENDED_FILTERS_PER_SHARE);
    this.#bytesLeft = shares * ENDED_FILTER_BYTES_PER_TURN;
    this.#msAtOnce = shares * ENDED_FILTER_MS_PER_TURN;
    this.#removeEnded();
  }

  #removeEnded(): void {
    const end = this.#clock() + this.#msAtOnce;
    for (let removed = 1; this.#bytesLeft > 0; removed++) {
      const ended = this.#ended.at(-1);
      if (ended === undefined) return;
      const next = ended.filterKeys.next();
      if (next.done) {
        this.#ended.pop();
        continue;
      }
      this.#unroute(ended.session, next.value);
      this.#endedFilters--;
      this.#bytesLeft -= next.value.length + FILTER_OVERHEAD_BYTES;
      if (removed % ENDED_FILTERS_PER_LOOK === 0 && this.#clock() >= end) this.#bytesLeft = 0;
    }
    if (this.#ended.length > 0) this.#parts.schedule();
  }

  #unroute(session: Session, filterKey: string): void {
    const { topics, routes, interest, counters, members } = this.#parts;
    counters.add(Counter.subscriptions, -1);
    if (isShareFilter(filterKey)) {
      members.unsubscribe(session, filterKey);
      return;
    }
    if (topics.unsubscribe(filterKey, session) === Unsubscribed.last) interest.remove(filterKey);
    routes.invalidate(filterKey);
  }
}
