/**
 * Who may do what on a shard: gives sessions their rights, and those of the next configuration when
 * one comes.
 */
import type { AccessTable } from '../access/access-table.js';
import type { Rights } from '../access/rights.js';
import { preciseMs } from '../base/clock.js';
import { Counter, type Counters } from '../base/counters.js';
import type { Admission } from '../base/credentials.js';
import {
  FORBIDDEN_LOG_INTERVAL_MS,
  INVALIDATED_APART_MAX,
  REVISION_MS_PER_TURN,
} from '../base/limits.js';
import type { Connection } from '../connection/connection.js';
import type { AccessHost, Forbidden, ForbiddenAction } from '../connection/host.js';
import { isShareFilter } from '../protocol/v5/index.js';
import type { Members } from '../router/members.js';
import { isPublishable, type RouteCache } from '../router/route.js';
import type { Session } from '../sessions/session.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { Will } from '../sessions/will.js';
import { fromTopicKey, toTopicKey } from '../topics/topic.js';
import type { PrimaryLine } from './primary-line.js';

const COUNTED_BY: Readonly<Record<ForbiddenAction, number>> = {
  publish: Counter.refusedPublications,
  will: Counter.refusedPublications,
  subscribe: Counter.deniedSubscriptions,
};

/** Who somebody was let in as, as far as rules go. */
export type Admitted = Pick<Admission, 'username' | 'rules'>;

/** What it works with; all of one shard. */
export interface AccessParts {
  readonly store: SessionStore<Session>;
  readonly routes: RouteCache;
  readonly counters: Counters;
  readonly line: Pick<PrimaryLine, 'log'>;
  readonly clock: { readonly now: number };
  /** Ends a subscription, as UNSUBSCRIBE does. */
  readonly unsubscribe: (session: Session, filterKey: string) => void;
  /** Is told of members of groups. */
  readonly members: Pick<Members, 'onRightsChanged' | 'onIdentityChanged' | 'revise'>;
  /** Asks for another turn. */
  readonly schedule: () => void;
}

/** One a shard. */
export class ShardAccess implements AccessHost {
  readonly #parts: AccessParts;
  #table: AccessTable;
  /** What a configuration that has come leaves to be done. */
  #revision: Iterator<void> | null = null;
  /** Sessions with subscriptions that their rights may not cover any more. */
  readonly #changed = new Set<Session>();
  /** Those who wait until all sessions follow. */
  readonly #waiting: (() => void)[] = [];
  /** Forbidden and not told of, by action. */
  #untold = new Map<ForbiddenAction, number>();
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(parts: AccessParts, table: AccessTable) {
    this.#parts = parts;
    this.#table = table;
  }

  /** What somebody may do; null: everything, as no rules are configured. */
  rightsOf({ username, rules }: Admitted, clientId: string): Rights | null {
    const rights = this.#table.rightsOf(username, clientId, rules);
    if (rights !== null) this.#parts.routes.isRuled = true;
    return rights;
  }

  /** The client of a session is let in, or its rules have changed: before it is sent anything. */
  admit(session: Session, admitted: Admitted): void {
    const { username, rules } = admitted;
    const isSame = session.username === username && session.rules === null && rules === null;
    if (isSame && session.rights !== null) return;
    const { delayedWill } = session;
    // Of who has left it, whatever whoever has claimed the session may do.
    if (delayedWill !== null) {
      delayedWill.leftBy ??= { username: session.username, rules: session.rules };
    }
    session.username = username;
    session.rules = rules;
    this.#give(session, this.rightsOf(admitted, session.clientId));
  }

  /** Another configuration counts from here on; sessions are brought to it turn by turn. */
  replace(table: AccessTable): void {
    const wasOpen = this.#table.isOpen;
    this.#table = table;
    this.#parts.members.revise();
    if (wasOpen && table.isOpen) return;
    this.#revision = this.#revise();
    this.#parts.schedule();
  }

  /** Calls back when all sessions are what the rules of now say: now, but behind `replace`. */
  whenRevised(done: () => void): void {
    if (this.#isRevised) done();
    else this.#waiting.push(done);
  }

  get #isRevised(): boolean {
    return this.#revision === null && this.#changed.size === 0;
  }

  /** One turn's share of what is left to be done. */
  onTurn(): void {
    if (this.#isRevised) return;
    const end = preciseMs() + REVISION_MS_PER_TURN;
    this.#revision ??= this.#prune();
    do {
      if (this.#revision.next().done === true) {
        this.#revision = this.#changed.size > 0 ? this.#prune() : null;
      }
    } while (this.#revision !== null && preciseMs() < end);
    if (this.#revision !== null) this.#parts.schedule();
    else for (const done of this.#waiting.splice(0)) done();
  }

  /**
   * Whether somebody may publish the Will of a CONNECT, which is refused otherwise: nobody would be
   * told later. One below `$SYS/` is not looked at, as nobody's is published there.
   */
  mayLeaveWill(connection: Connection, admitted: Admitted, will: Will | null): boolean {
    if (will === null) return true;
    const topicKey = toTopicKey(will.topic);
    const rights = this.rightsOf(admitted, connection.clientId);
    if (rights === null || !isPublishable(topicKey) || rights.mayPublish(topicKey)) return true;
    this.onForbidden(connection, 'will', topicKey, 1);
    return false;
  }

  /** See AccessHost. */
  onForbidden(who: Forbidden, action: ForbiddenAction, topicKey: string, count: number): void {
    const { counters, line, clock } = this.#parts;
    counters.add(COUNTED_BY[action], count);
    const untold = (this.#untold.get(action) ?? 0) + count;
    this.#untold.set(action, untold);
    if (clock.now - this.#saidAt < FORBIDDEN_LOG_INTERVAL_MS) return;
    this.#saidAt = clock.now;
    const { clientId, username } = who;
    const topic = fromTopicKey(topicKey);
    const all = Object.fromEntries(this.#untold);
    line.log('warn', { clientId, username, action, topic, refused: all }, 'access rules forbid it');
    this.#untold.clear();
  }

  #give(session: Session, rights: Rights | null): void {
    if (session.rights === rights) return;
    session.rights = rights;
    if (session.window !== null) session.window.rights = rights;
    if (session.subscriptions.size === 0) return;
    this.#invalidate(session);
    if (rights !== null) this.#changed.add(session);
    if (session.memberships !== null) this.#parts.members.onIdentityChanged(session);
    this.#parts.schedule();
  }

  /** The routes that a session may be on are found anew. */
  #invalidate({ subscriptions }: Session): void {
    const { routes } = this.#parts;
    if (subscriptions.size > INVALIDATED_APART_MAX) {
      routes.invalidateAll();
      return;
    }
    for (const filterKey of subscriptions.keys()) {
      if (!isShareFilter(filterKey)) routes.invalidate(filterKey);
    }
  }

  /**
   * Finds the rights of all sessions, and gives them out together: so no route has some of the old
   * and some of the new.
   */
  *#revise(): Generator<void> {
    const { store, routes } = this.#parts;
    const found: [session: Session, username: string | null, rights: Rights | null][] = [];
    const table = this.#table;
    for (const [clientId, session] of store.entries()) {
      found.push([
        session,
        session.username,
        table.rightsOf(session.username, clientId, session.rules),
      ]);
      yield;
    }
    if (!table.isOpen) routes.isRuled = true;
    for (const [session, username, rights] of found) {
      // Let in as somebody else meanwhile, by the new rules.
      if (session.username !== username) continue;
      session.rights = rights;
      if (session.window !== null) session.window.rights = rights;
      if (rights !== null && session.subscriptions.size > 0) this.#changed.add(session);
    }
    routes.invalidateAll();
  }

  /** Ends subscriptions that are not allowed any more. */
  *#prune(): Generator<void> {
    for (const session of this.#changed) {
      this.#changed.delete(session);
      const { rights } = session;
      // It may have ended meanwhile.
      if (rights === null) continue;
      if (session.memberships !== null) this.#parts.members.onRightsChanged(session);
      for (const filterKey of session.subscriptions.keys()) {
        if (!rights.maySubscribe(filterKey)) this.#parts.unsubscribe(session, filterKey);
        yield;
      }
    }
  }
}
