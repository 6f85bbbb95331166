/**
 * Wills that wait for their Will Delay Interval [MQTT 5.0, 3.1.3.2.2]. One is published when that
 * is over or its session ends, whichever comes first, and not at all when its client is back before
 * [MQTT-3.1.3-9]. So it lies with its session, and moves with it.
 */
import type { AccessRule } from '../base/access-rule.js';
import { RecordError } from '../base/errors.js';
import { DELAYED_WILLS_BYTES_MAX, QUEUED_RUN_COST_BYTES } from '../base/limits.js';
import type { Run } from '../protocol/run.js';
import { checkFrames, checkRun } from '../protocol/run-check.js';
import { propertyBytesOf } from '../protocol/v5/index.js';
import type { Session } from './session.js';
import { type PreparedWill, runOfWill } from './will.js';

/** Who has left a Will, as far as access rules go. */
export interface WillOwner {
  readonly username: string | null;
  readonly rules: readonly AccessRule[] | null;
}

/** One that waits. Times are of the clock of the shard's deadlines. */
export interface DelayedWill {
  readonly will: PreparedWill;
  readonly dueAt: number;
  /** When its session ends, unless its client comes back; Infinity: never. */
  sessionEndsAt: number;
  /** It is being published, which may take until others have room for it, or are there. */
  isLeaving: boolean;
  /** The broker stops, so that no client can come back: its delay begins with the next start. */
  isDeferred: boolean;
  /** Where its session is somebody else's by now: whose rights count. */
  leftBy: WillOwner | null;
  /** What is done when it is published, as its session has ended; null: that goes on. */
  behind: (() => void)[] | null;
}

/** One on its way to another shard, as plain data. */
export interface MovedWill {
  readonly bytes: Uint8Array;
  readonly header: number;
  readonly topicLength: number;
  readonly propertyBytes: number;
  readonly expirySeconds: number | null;
  /** What is left of its delay. */
  readonly leftMs: number;
  /** Null, or not there: it is of whom its session is. */
  readonly leftBy?: WillOwner | null;
}

/** Publishes the will of a session, and calls back when it has. */
export type PublishWill = (
  run: Run,
  topicKey: string,
  session: Session,
  published: () => void,
) => void;

/** Those of a shard. */
export class DelayedWills {
  #bytes = 0;
  readonly #publish: PublishWill;
  readonly #onSent: (session: Session, sessionEndsAt: number) => void;
  readonly #onForgotten: (session: Session) => void;

  /**
   * @param onSent a will is published, and is not to be once more, whatever its session is.
   * @param onForgotten that of a client which is here is not to be published at all.
   */
  constructor(
    publish: PublishWill,
    onSent: (session: Session, sessionEndsAt: number) => void = () => {},
    onForgotten: (session: Session) => void = () => {},
  ) {
    this.#publish = publish;
    this.#onSent = onSent;
    this.#onForgotten = onForgotten;
  }

  /** Bytes of all that wait, with what they cost beside. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Keeps the Will of a session whose client has left. @returns false when as many wait as may: it
   * is to be published at once.
   */
  keep(session: Session, will: PreparedWill, dueAt: number): boolean {
    if (this.#bytes + costOf(will) > DELAYED_WILLS_BYTES_MAX) return false;
    this.#hold(session, will, dueAt);
    return true;
  }

  /**
   * Publishes the Will of a session whose client has left, and which stays: until that is done, it
   * is the session's, as what the store has of it says.
   */
  send(session: Session, will: PreparedWill): void {
    this.#hold(session, will, 0);
    this.publish(session);
  }

  /**
   * Leaves the Will of a client that is there while the broker stops to the next start [MQTT 5.0,
   * 3.1.2.5]: in its session's row, for its delay from then on.
   */
  defer(session: Session, will: PreparedWill, dueAt: number): void {
    this.#hold(session, will, dueAt);
    session.delayedWill!.isDeferred = true;
  }

  /** The client of a session goes in order: its Will is not published [MQTT-3.14.4-3]. */
  forget(session: Session): void {
    this.#onForgotten(session);
  }

  /** The client is back, in time: it is not published [MQTT-3.1.3-9]. */
  cancel(session: Session): void {
    if (session.delayedWill?.isLeaving !== true) this.#take(session);
  }

  /** Its time has come, or its session has ended. Does nothing where there is none. */
  publish(session: Session): void {
    const { delayedWill: delayed } = session;
    if (delayed === null || delayed.isLeaving) return;
    delayed.isLeaving = true;
    const { will } = delayed;
    this.#publish(runOfWill(will), will.topicKey, session, () => {
      // The client may have come and left another one meanwhile.
      if (session.delayedWill === delayed) this.#take(session);
      if (delayed.behind === null) this.#onSent(session, delayed.sessionEndsAt);
      else for (const done of delayed.behind) done();
    });
  }

  /** Its session has ended: calls back when it is published, in one piece with that. */
  whenSent({ delayedWill }: Session, done: () => void): void {
    if (delayedWill === null) done();
    else delayedWill.behind = [...(delayedWill.behind ?? []), done];
  }

  /** Calls back when nothing waits for the Will of a session that has ended: see `whenSent`. */
  whenGone(session: Session | undefined, done: () => void): void {
    if (session === undefined || session.delayedWill?.behind == null) done();
    else this.whenSent(session, done);
  }

  /** The same now: others are to find nothing of that session, though it is published here. */
  waitNoLonger({ delayedWill }: Session): void {
    if (delayedWill?.behind == null) return;
    const { behind } = delayedWill;
    delayedWill.behind = [];
    for (const done of behind) done();
  }

  /** Takes it out for another shard; null where there is none, or it is published from here. */
  move(session: Session, now: number): MovedWill | null {
    const isLeaving = session.delayedWill?.isLeaving === true;
    const moved = isLeaving ? null : this.copy(session, now);
    this.#take(session);
    if (moved === null) return null;
    // There it is of whoever has claimed it.
    const { username, rules } = session;
    return { ...moved, leftBy: moved.leftBy ?? { username, rules } };
  }

  /** As plain data; null where there is none. */
  copy({ delayedWill }: Session, now: number): MovedWill | null {
    if (delayedWill === null) return null;
    const { will, isLeaving, dueAt, leftBy } = delayedWill;
    return { ...movedOf(will, isLeaving ? 0 : Math.max(0, dueAt - now)), leftBy };
  }

  /**
   * It has come from another shard, which has kept it: whatever the bound here, it is.
   * @throws RecordError when it is none.
   */
  arrive(session: Session, moved: unknown, now: number): void {
    const { bytes, leftMs, leftBy, ...facts } = checkMoved(moved);
    const { header, topicLength, propertyBytes, expirySeconds } = facts;
    const frame = Buffer.from(bytes);
    const topicStart = checkRun(frame, 0, frame.length, header, topicLength, 1);
    checkFrames(frame, 0, frame.length, 1);
    if (propertyBytes > 0) {
      const found = propertyBytesOf(frame, 0, topicStart, topicLength, header);
      if (found !== propertyBytes) throw new RecordError("a will's properties are not as it says");
    }
    const topicKey = frame.toString('latin1', topicStart, topicStart + topicLength);
    const will = { bytes: frame, header, topicLength, topicKey, propertyBytes, expirySeconds };
    this.#hold(session, will, now + leftMs, leftBy ?? null);
  }

  #hold(
    session: Session,
    will: PreparedWill,
    dueAt: number,
    leftBy: WillOwner | null = null,
  ): void {
    this.#take(session);
    const sessionEndsAt = Number.POSITIVE_INFINITY;
    const waits = { isLeaving: false, isDeferred: false, behind: null };
    session.delayedWill = { will, dueAt, sessionEndsAt, leftBy, ...waits };
    this.#bytes += costOf(will);
  }

  #take(session: Session): DelayedWill | null {
    const delayed = session.delayedWill;
    if (delayed === null) return null;
    session.delayedWill = null;
    this.#bytes -= costOf(delayed.will);
    return delayed;
  }
}

/** A Will as plain data. @param leftMs of its delay. */
export function movedOf({ topicKey: _, ...will }: PreparedWill, leftMs: number): MovedWill {
  return { ...will, leftMs };
}

/** What one that waits takes. */
function costOf({ bytes }: PreparedWill): number {
  return bytes.length + QUEUED_RUN_COST_BYTES;
}

/** What another shard has sent, its fields of the types that they have. @throws RecordError */
function checkMoved(value: unknown): MovedWill {
  const moved = (value ?? {}) as MovedWill;
  const { header, topicLength, propertyBytes, expirySeconds, leftMs } = moved;
  const numbers = [header, topicLength, propertyBytes, expirySeconds ?? 0, leftMs];
  const areNumbers = numbers.every((each) => typeof each === 'number' && each >= 0);
  if (areNumbers && moved.bytes instanceof Uint8Array && isOwner(moved.leftBy)) return moved;
  throw new RecordError('a record is no will');
}

function isOwner(leftBy: WillOwner | null | undefined): boolean {
  if (leftBy == null) return true;
  const { username, rules } = leftBy;
  const isNamed = username === null || typeof username === 'string';
  return isNamed && (rules === null || Array.isArray(rules));
}
