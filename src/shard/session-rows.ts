/**
 * What the store has of each session beside its queue: who it is, and how long it stays. Times on
 * disk are dates, as a clock that begins with the machine says nothing to the next process.
 */
import type { AccessRule } from '../base/access-rule.js';
import type { ConnectRequest } from '../connection/connect-request.js';
import type { ProtocolVersion } from '../protocol/packet.js';
import type { Filters } from '../router/replay-filters.js';
import { type DelayedWills, type MovedWill, movedOf } from '../sessions/delayed-wills.js';
import type { KeptReader, KeptSession, MovedKept, StoredQueue } from '../sessions/kept-session.js';
import type { KeptSessions } from '../sessions/kept-sessions.js';
import type { Session } from '../sessions/session.js';
import { delayMsOf, prepareWill } from '../sessions/will.js';
import type { Grant } from '../topics/grant.js';

/** The head of a stored session: store/stored-session.ts. */
export interface SessionRow extends StoredQueue {
  /** The shard that it was on. */
  readonly home: number;
  /** How long it outlives its connection, in milliseconds; Infinity: it never ends. */
  readonly expiryMs: number;
  readonly protocolVersion: ProtocolVersion;
  readonly username: string | null;
  readonly rules: readonly AccessRule[] | null;
  /** Date when its client left, in milliseconds; 0: it was here. */
  readonly leftAt: number;
  /**
   * What is published for it, and the date when; Infinity: its delay begins with the next start. Of
   * a client that is here: should the shard die, or the broker, which ends its connection.
   */
  readonly will: MovedWill | null;
  readonly willAt: number;
}

/** A session that was found in the store. */
export interface FoundSession {
  readonly filters: Filters;
  readonly kept: KeptSession;
  readonly row: SessionRow;
}

/** What of a CONNECT is noted. */
export type ComingClient = Pick<ConnectRequest, 'receiveMaximum' | 'will'>;

/** What they work with. */
export interface SessionRowsParts {
  readonly shardIndex: number;
  readonly kept: KeptSessions;
  readonly wills: DelayedWills;
  readonly deadlines: { readonly now: number };
}

/** One a shard that has a store. */
export class SessionRows {
  readonly #parts: SessionRowsParts;

  constructor(parts: SessionRowsParts) {
    this.#parts = parts;
  }

  /** A session begins, which does not end with its connection. */
  begin(session: Session): void {
    this.#parts.kept.begin(session);
  }

  /** It is on its way here: what it is given meanwhile is kept. */
  beginTail(session: Session): void {
    this.#parts.kept.beginTail(session);
  }

  /** It has come, with what it was given meanwhile. */
  endTail({ clientId, kept }: Session, tail: KeptSession): void {
    this.#parts.kept.endTail(clientId, tail, kept);
  }

  /** It has ended. @param kept what was kept of it: that is the session's until it ends. */
  drop(session: Session, kept: KeptSession | null = session.kept): void {
    this.#parts.kept.drop(session, kept);
  }

  /** What is on disk is another shard's from here on, and does not end with it here. */
  letGo(session: Session): void {
    session.kept?.move();
    session.kept = null;
  }

  /** The session of a client in the store; null: there is none. */
  find(clientId: string): FoundSession | null {
    const { kept } = this.#parts;
    const { reader } = kept;
    reader.renew();
    const stored = reader.session(clientId);
    if (stored === null) return null;
    const { number } = stored;
    const row = stored.head as SessionRow;
    const filters = filtersOf(reader, number);
    return { filters, kept: kept.lost(number, row), row };
  }

  /** Has its will, if it has one, wait for what is left of its delay. */
  recallWill(session: Session, row: SessionRow): void {
    const { will, willAt, leftAt, username, rules } = row;
    if (will === null) return;
    const { wills, deadlines } = this.#parts;
    // Who has claimed the session may be somebody else.
    const isOwn = session.username === username && session.rules === rules;
    const leftBy = will.leftBy ?? (isOwn ? null : { username, rules });
    // The connection of a client that was here has ended with its shard: the delay begins.
    const leftMs = leftAt === 0 ? will.leftMs : Math.max(0, willAt - Date.now());
    // A clock that was set back adds none.
    const rest = { leftMs: Math.min(will.leftMs, leftMs), leftBy };
    wills.arrive(session, { ...will, ...rest }, deadlines.now);
  }

  /** Its client is here, and its will is not to be published: as `save` of one without. */
  forgetWill(session: Session): void {
    if (session.kept === null) return;
    this.save(session, { receiveMaximum: session.kept.queue.inflightMax, will: null });
  }

  /** What another shard has had on disk is this one's. */
  arrive(moved: MovedKept): KeptSession | null {
    return this.#parts.kept.arrive(moved);
  }

  /**
   * Notes what it is now. Does nothing for one that is not kept.
   * @param client that comes; undefined: it is away. @param awayMs for so long already.
   */
  save(session: Session, client?: ComingClient, awayMs = 0): void {
    const { kept, clientId, expiryMs, protocolVersion, username, rules } = session;
    if (kept === null) return;
    const { shardIndex, deadlines, wills } = this.#parts;
    const isHere = client !== undefined;
    const will = isHere ? willOf(client) : wills.copy(session, deadlines.now);
    const window = isHere ? Math.min(client.receiveMaximum, session.limits.maxInflight) : 0;
    if (isHere) kept.queue.inflightMax = window;
    const row: SessionRow = {
      ...{ home: shardIndex, expiryMs, protocolVersion, username, rules, will },
      leftAt: isHere ? 0 : Date.now() - awayMs,
      mayBeSent: Math.max(window, sentOf(session, kept)),
      inflightMax: Math.max(window, kept.inflightMax),
      next: kept.next,
      lookedTo: kept.lookedTo,
      willAt: will === null || isHere ? 0 : willAtOf(session, will),
    };
    this.#parts.kept.journal.putSession(kept.queue.number, clientId, row);
    this.#parts.kept.onSaved(session);
  }

  /** It is on this shard from here on. @param row which says that it was on another. */
  moveHere(session: Session, row: SessionRow): void {
    const { kept: sessions, shardIndex } = this.#parts;
    const { kept, clientId } = session;
    if (row.leftAt === 0 || kept === null) {
      this.save(session);
      return;
    }
    const { lookedTo } = kept;
    // Since when it is away stays as it is.
    const moved: SessionRow = { ...row, home: shardIndex, lookedTo };
    sessions.journal.putSession(kept.queue.number, clientId, moved);
  }

  onSubscribed({ kept }: Session, filterKey: string, grant: Grant): void {
    // Those of a session that is on its way are on disk already.
    if (kept === null || kept.isTail) return;
    this.#parts.kept.journal.putSubscription(kept.queue.number, filterKey, grant);
  }

  onUnsubscribed({ kept }: Session, filterKey: string): void {
    if (kept === null) return;
    this.#parts.kept.journal.removeSubscription(kept.queue.number, filterKey);
  }
}

/** The will that a client comes with. */
function willOf({ will }: ComingClient): MovedWill | null {
  return will === null ? null : movedOf(prepareWill(will), delayMsOf(will));
}

/** The date when the will of a client that has left is published. */
function willAtOf({ delayedWill }: Session, { leftMs }: MovedWill): number {
  return delayedWill?.isDeferred === true ? Number.POSITIVE_INFINITY : Date.now() + leftMs;
}

/** How many messages of a session's queue have been sent, counted from its oldest row. */
function sentOf({ window }: Session, { mayBeSent, queue }: KeptSession): number {
  if (window === null) return mayBeSent;
  return Math.max(mayBeSent, window.messages.sent - queue.rowsFrom);
}

/** What a stored session has subscribed to. */
export function filtersOf(reader: KeptReader, number: number): Filters {
  return reader.subscriptions(number).map(({ filterKey, grant }) => [filterKey, grant] as const);
}
