/** The sessions of one shard and their subscriptions: kept, routed, told to the peers, ended. */
import type { Counters } from '../base/counters.js';
import { Counter } from '../base/counters.js';
import type { ProtocolVersion, QoS } from '../protocol/packet.js';
import type { Interest } from '../router/interest.js';
import type { RetainedMessage } from '../router/retained-message.js';
import type { RouteCache } from '../router/route.js';
import type { WindowLimits } from '../sessions/outgoing-window.js';
import { Session } from '../sessions/session.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { TopicsProvider } from '../topics/provider.js';
import { Unsubscribed } from '../topics/subscription-tree.js';
import type { PrimaryLine } from './primary-line.js';

/** What a registry works with. */
export interface RegistryParts {
  readonly store: SessionStore<Session>;
  readonly topics: TopicsProvider<Session, RetainedMessage>;
  readonly routes: RouteCache;
  readonly interest: Interest;
  readonly counters: Counters;
  readonly limits: WindowLimits;
  readonly line: PrimaryLine;
}

/** One a shard. */
export class SessionRegistry {
  readonly #parts: RegistryParts;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
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
    const session = new Session(clientId, cleanSession, protocolVersion, claim, limits);
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
    const { topics, routes, interest, counters } = this.#parts;
    if (!session.removeSubscription(filterKey)) return;
    counters.add(Counter.subscriptions, -1);
    if (topics.unsubscribe(filterKey, session) === Unsubscribed.last) interest.remove(filterKey);
    routes.invalidate(filterKey);
  }

  /** Ends a session: nothing of it is kept, and its client id is free. */
  end(session: Session): void {
    this.discard(session);
    this.#parts.line.dropped(session.claim);
  }

  /** Ends a session, for one that begins anew by the same claim. */
  discard(session: Session): void {
    const { store, counters } = this.#parts;
    for (const filterKey of [...session.subscriptions.keys()]) this.unsubscribe(session, filterKey);
    if (store.get(session.clientId) === session) {
      store.delete(session.clientId);
      counters.add(Counter.sessions, -1);
    }
  }
}
