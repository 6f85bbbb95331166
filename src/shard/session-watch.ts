/**
 * What is looked at in a session when its time has come: of a connected one whether its client
 * acknowledges, of an absent one whether it ends.
 */
import { Counter, type Counters } from '../base/counters.js';
import type { Deadlines } from '../base/deadlines.js';
import { CloseReason } from '../base/errors.js';
import { ACK_LOOK_MS, STAMP_SLACK_MS } from '../base/limits.js';
import type { DelayedWills } from '../sessions/delayed-wills.js';
import { STAMP_UNIT_MS } from '../sessions/inflight.js';
import type { OutgoingWindow } from '../sessions/outgoing-window.js';
import type { Outlet, Session } from '../sessions/session.js';

/** What a watch works with. */
export interface SessionWatchParts {
  /** As they are now. */
  settings(): {
    readonly ackTimeoutMs: number;
    readonly timeoutRetries: number;
    readonly closeUnresponsive: boolean;
  };
  readonly counters: Counters;
  readonly wills: DelayedWills;
  readonly deadlines: Pick<Deadlines<Session>, 'now' | 'set'>;
  log(level: 'info' | 'warn', fields: object, message: string): void;
  /**
   * Some shards are still to find what they have in the store, or the broker stops: nobody's time
   * comes, as a will would miss their sessions.
   */
  isTooEarly(): boolean;
  /** The client of this session has been away for too long. */
  onExpired(session: Session): void;
}

/** One a shard. */
export class SessionWatch {
  /** Messages of connected clients, as of the last look at each. */
  inflightMessages = 0;
  queuedMessages = 0;
  readonly #parts: SessionWatchParts;
  readonly #unresponsive = new WeakSet<Outlet>();
  /** Absent ones whose time has come: too early, or to end when their will has found room. */
  readonly #early = new Set<Session>();

  constructor(parts: SessionWatchParts) {
    this.#parts = parts;
  }

  /** Something is on its way to a connected client, or waits: to be looked at from here on. */
  begin(session: Session): void {
    this.#count(session.window!);
    this.#setAckLook(session);
  }

  /** The client has left: its acks are looked at no longer. */
  end(session: Session): void {
    session.cancelDeadline();
    if (session.window !== null) this.#forget(session.window);
  }

  /**
   * The session stays while its client is away: its time begins, and the delay of a will ends.
   * @param awayMs of its time that is over.
   */
  onAbsent(session: Session, awayMs = 0): void {
    const endsAt = this.#parts.deadlines.now + session.expiryMs - awayMs;
    const will = session.delayedWill;
    if (will !== null) will.sessionEndsAt = endsAt;
    // One that is being published already has no time that is to come.
    const isDue = will !== null && !will.isLeaving;
    this.#setEnd(session, isDue ? Math.min(endsAt, will.dueAt) : endsAt);
  }

  /** The client is back: what its time has come for is done first, and nothing on its way. */
  onClaimed(session: Session): void {
    session.cancelDeadline();
    if (!this.#early.delete(session)) return;
    this.#endAbsence(session, true);
    session.cancelDeadline();
  }

  /** All shards have found what they have: whose time had come by then has it now. */
  takeUp(): void {
    const early = [...this.#early];
    this.#early.clear();
    for (const session of early) if (session.outlet === null) this.#endAbsence(session);
  }

  /** The time of a session has come. */
  onDue(session: Session): void {
    const { window, outlet } = session;
    if (outlet === null) {
      this.#onAbsentDue(session);
      return;
    }
    if (window === null) return;
    this.#count(window);
    if (window.inflight > 0) this.#checkAcks(session, window, outlet);
    // It may have been closed for that.
    if (session.outlet === null) return;
    if (window.inflight > 0 || window.queuedMessages > 0) this.#setAckLook(session);
    else window.release();
  }

  #onAbsentDue(session: Session): void {
    this.#early.delete(session);
    if (this.#parts.isTooEarly()) this.#early.add(session);
    else this.#endAbsence(session);
  }

  /** Of the end and a will the first has come. @param isClaimed nobody may have it any more. */
  #endAbsence(session: Session, isClaimed = false): void {
    const { deadlines, wills } = this.#parts;
    const will = session.delayedWill;
    wills.publish(session);
    if (will !== null && will.sessionEndsAt > deadlines.now) {
      this.#setEnd(session, will.sessionEndsAt);
    } else if (session.delayedWill !== null && !isClaimed) {
      // A will that waits for room is on disk with its session alone.
      this.#early.add(session);
      this.#setEnd(session, deadlines.now);
    } else {
      this.#expire(session);
    }
  }

  #setEnd(session: Session, at: number): void {
    const { deadlines } = this.#parts;
    const { now } = deadlines;
    // Not with a tick: a client might come before it, when it is not too early any more.
    if (at <= now && this.#parts.isTooEarly()) this.#early.add(session);
    else if (Number.isFinite(at)) deadlines.set(session, now, Math.max(0, at - now));
  }

  #expire(session: Session): void {
    const { counters, log, onExpired } = this.#parts;
    const { clientId, window } = session;
    const queued = window === null ? 0 : window.waiting + window.inflight;
    counters.add(Counter.expiredSessions, 1);
    log('info', { clientId, queued }, 'session expired: its client was away too long');
    onExpired(session);
  }

  #setAckLook(session: Session): void {
    const { settings, deadlines } = this.#parts;
    deadlines.set(session, deadlines.now, Math.min(settings().ackTimeoutMs, ACK_LOOK_MS));
  }

  /**
   * Counts deliveries that were not acknowledged in time. A live 3.1.1 connection is never sent a
   * message again [MQTT-4.4.0-1]; an MQTT 3.1 one is.
   */
  #checkAcks(session: Session, window: OutgoingWindow, outlet: Outlet): void {
    const { settings, counters, deadlines, log } = this.#parts;
    const { ackTimeoutMs, timeoutRetries, closeUnresponsive } = settings();
    const resends = session.protocolVersion === 3;
    // What bears the stamp of a tick was sent later than that.
    const certain = deadlines.now - STAMP_SLACK_MS - STAMP_UNIT_MS;
    const expired = window.expire(certain, ackTimeoutMs, resends);
    if (expired === 0) return;
    counters.add(Counter.ackTimeouts, expired);
    if (resends) outlet.wake();
    if (window.expiriesMax <= timeoutRetries || this.#unresponsive.has(outlet)) return;
    this.#unresponsive.add(outlet);
    counters.add(Counter.unresponsiveClients, 1);
    const { clientId } = session;
    log('warn', { clientId, unacknowledged: window.inflight }, 'client does not acknowledge');
    if (closeUnresponsive) outlet.closeConnection(CloseReason.unresponsive);
  }

  #count(window: OutgoingWindow): void {
    this.inflightMessages += window.inflight - window.inflightCounted;
    this.queuedMessages += window.queuedMessages - window.queuedCounted;
    window.inflightCounted = window.inflight;
    window.queuedCounted = window.queuedMessages;
  }

  #forget(window: OutgoingWindow): void {
    this.inflightMessages -= window.inflightCounted;
    this.queuedMessages -= window.queuedCounted;
    window.inflightCounted = 0;
    window.queuedCounted = 0;
  }
}
