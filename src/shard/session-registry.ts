/** The sessions of one shard and their subscriptions: kept, routed, told to the peers, ended. */
import type { Counters } from '../base/counters.js';
import { Counter } from '../base/counters.js';
import { ENDED_FILTER_BYTES_PER_TURN, ENDED_FILTERS_PER_SHARE } from '../base/limits.js';
import type { ProtocolVersion, QoS } from '../protocol/packet.js';
import type { Interest } from '../router/interest.js';
import type { RetainedMessage } from '../router/retained-message.js';
import type { RouteCache } from '../router/route.js';
import { AbsentQueues } from '../sessions/absent-queues.js';
import type { WindowLimits } from '../sessions/outgoing-window.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import { Session } from '../sessions/session.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { TopicsProvider } from '../topics/provider.js';
import { Unsubscribed } from '../topics/subscription-tree.js';
import type { PrimaryLine } from './primary-line.js';

/** Bytes of a filter in a SUBSCRIBE beside its own: its length and its QoS. */
const FILTER_OVERHEAD_BYTES = 3;

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
  readonly counters: Counters;
  readonly limits: WindowLimits;
  readonly queuedTotal: QueuedTotal;
  readonly line: PrimaryLine;
  /** Calls back when all wills are published: who claims the client id next comes behind them. */
  afterMade(done: () => void): void;
  /** The client of a session that does not end with its connection has left. */
  onAbsent(session: Session): void;
  /** Asks for another turn. */
  readonly schedule: () => void;
}

/** One a shard. */
export class SessionRegistry {
  /** What waits for absent clients. */
  readonly absentQueues: AbsentQueues;
  readonly #parts: RegistryParts;
  /** A stack: in which order they are forgotten makes no difference to anybody. */
  readonly #ended: Ended[] = [];
  /** Filters of all of them that are still routed. */
  #endedFilters = 0;
  /** Bytes of filters that may still be removed in this turn. */
  #bytesLeft = ENDED_FILTER_BYTES_PER_TURN;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.absentQueues = new AbsentQueues(parts.queuedTotal);
  }

  get(clientId: string): Session | undefined {
    return this.#parts.store.get(clientId);
  }

  /** Makes a session without any state [MQTT-3.1.2-6]. */
  create(
    clientId: string,
    cleanSession: boolean,
    protocolVersion: ProtocolVersion,
    claim: number,
  ): Session {
    const { store, counters, limits } = this.#parts;
    const { absentQueues } = this;
    const session = new Session(
      clientId,
      cleanSession,
      protocolVersion,
      claim,
      limits,
      absentQueues,
    );
    store.set(clientId, session);
    counters.add(Counter.sessions, 1);
    return session;
  }

  /**
   * Adds or replaces subscriptions [MQTT-3.8.4-3]; calls back when every shard routes the filters.
   */
  subscribe(
    session: Session,
    filters: readonly (readonly [filterKey: string, qos: QoS])[],
    confirmed: () => void,
  ): void {
    const { topics, routes, interest, counters } = this.#parts;
    for (const [filterKey, qos] of filters) {
      if (session.addSubscription(filterKey, qos)) counters.add(Counter.subscriptions, 1);
      if (topics.subscribe(filterKey, session, qos)) interest.add(filterKey);
      routes.invalidate(filterKey);
    }
    interest.whenConfirmed(
      filters.map(([filterKey]) => filterKey),
      confirmed,
    );
  }

  /** Removes a subscription, if there is one. */
  unsubscribe(session: Session, filterKey: string): void {
    if (session.removeSubscription(filterKey)) this.#unroute(session, filterKey);
  }

  /** The client has left: a clean session ends with its connection [MQTT-3.1.2-6]. */
  leave(session: Session): void {
    if (session.cleanSession) this.end(session);
    else this.#parts.onAbsent(session);
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
    counters.add(Counter.droppedExpired, session.window?.queuedMessages ?? 0);
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
   * more there is to be removed, the more shares a turn has.
   */
  onTurn(): void {
    const shares = 1 + Math.floor(this.#endedFilters / ENDED_FILTERS_PER_SHARE);
    this.#bytesLeft = shares * ENDED_FILTER_BYTES_PER_TURN;
    this.#removeEnded();
  }

  #removeEnded(): void {
    while (this.#bytesLeft > 0) {
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
    }
    if (this.#ended.length > 0) this.#parts.schedule();
  }

  #unroute(session: Session, filterKey: string): void {
    const { topics, routes, interest, counters } = this.#parts;
    counters.add(Counter.subscriptions, -1);
    if (topics.unsubscribe(filterKey, session) === Unsubscribed.last) interest.remove(filterKey);
    routes.invalidate(filterKey);
  }
}
