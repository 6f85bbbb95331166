/** A session: what outlives a connection (MQTT 3.1.1, 3.1.2.4), and what the router delivers to. */

import type { Rights } from '../access/rights.js';
import type { AccessRule } from '../base/access-rule.js';
import { Deadline } from '../base/deadlines.js';
import type { CloseReason } from '../base/errors.js';
import { PiecewiseMap, type ReadonlyPiecewiseMap } from '../base/piecewise-map.js';
import type { ProtocolVersion } from '../protocol/packet.js';
import type { Run } from '../protocol/run.js';
import { type Grant, NO_LOCAL } from '../topics/grant.js';
import { hasWildcard } from '../topics/topic.js';
import type { AbsentQueues } from './absent-queues.js';
import type { DelayedWill } from './delayed-wills.js';
import { IncomingQos2 } from './incoming-qos2.js';
import type { KeptSession, MovedKept } from './kept-session.js';
import type { Membership } from './membership.js';
import { OutgoingWindow, type WindowHead } from './outgoing-window.js';
import { queueBehind } from './queue-behind.js';
import type { Receiver } from './receiver.js';
import type { ReplayGuard, ReplayPlace } from './replay-guard.js';
import type { MovedRun } from './run-queue.js';
import type { SlowQueue } from './slow-queue.js';
import type { TakeBack } from './take-back.js';
import type { SessionLimits } from './window-limits.js';

const NO_SUBSCRIPTIONS: ReadonlyPiecewiseMap<Grant> = new PiecewiseMap<Grant>();

/** Every shard may deliver: the value of `sourceMask` but while a session moves between shards. */
export const ALL_SOURCES = -1;

/**
 * Where a connected session's bytes leave. The router knows a connection only as this; the
 * connection layer's Outbox is its one implementation.
 */
export interface Outlet {
  /**
   * Reads nothing for so long that QoS 0 messages are dropped instead of pausing their publishers.
   */
  readonly isStalled: boolean;
  /** The socket takes nothing more for now. */
  readonly isBlocked: boolean;
  /** Holds so many bytes that whoever feeds it is to be slowed down. */
  readonly isHeavy: boolean;
  /** Holds many times that: withholding acks from its publishers was not enough. */
  readonly isOverfull: boolean;
  /** It is heavy, and has been so for long, or was lately. */
  readonly isLagging: boolean;
  /** It is not heavy, and has not lagged for a while. */
  readonly keepsUp: boolean;
  /** Where it is stalled: takes QoS 0 messages in its stead, by its policy; null for none. */
  readonly slowQueue: SlowQueue | null;
  /** Publishers slowed down for it: kept by the shard's back-pressure. */
  feeders: Set<number> | null;
  /**
   * Adds bytes [start, end) of the turn's arena. @param messages in them that the session's window
   * has not counted as written; default 0.
   */
  append(start: number, end: number, messages?: number): void;
  /** The session's window may have something to send: look at the end of the turn. */
  wake(): void;
  /** Closes the connection, its will is published. */
  closeConnection(reason: CloseReason): void;
}

/** What a session is beside its subscriptions and the runs in its window, as plain data. */
export interface SessionHead {
  /** Null when nothing of QoS 1 or 2 has ever been delivered to it. */
  readonly window: WindowHead | null;
  readonly incomingQos2: readonly number[];
  /** Null when no retained messages are owed to it. */
  readonly replay: ReplayPlace | null;
  /** What of it is on disk; null: nothing. */
  readonly kept: MovedKept | null;
}

/**
 * Session state of one client id on the shard that holds it. Its deadline is the shard's: the next
 * look at its acks while the client is here, its end while the client is away.
 */
export class Session extends Deadline {
  /** Scratch word of the subscription tree. */
  matchIndex = 0;
  readonly clientId: string;
  /** How long it outlives its connection, in milliseconds; Infinity: it never ends. */
  expiryMs: number;
  protocolVersion: ProtocolVersion;
  /** The claim by which this shard holds the client id; see shard/control.ts. */
  claim: number;
  /** The user that its client was let in as last; null: none. */
  username: string | null = null;
  /** Rules that it was let in with, in the place of its user's. */
  rules: readonly AccessRule[] | null = null;
  /** What it may do; null: everything, as no rules are configured. */
  rights: Rights | null = null;
  /** The connection's write side, set by `attach`; null while the client is away. */
  outlet: Outlet | null = null;
  /**
   * What its client takes, where that is one of 5.0 and here: set before `attach`, and null from
   * `detach` on.
   */
  receiver: Receiver | null = null;
  /** What is published for its client, unless that comes back in time: see delayed-wills.ts. */
  delayedWill: DelayedWill | null = null;
  #kept: KeptSession | null = null;
  /** Made by the first QoS 1 or 2 delivery. */
  window: OutgoingWindow | null = null;
  /** Made by the first QoS 2 publication of the client. */
  incomingQos2: IncomingQos2 | null = null;
  /**
   * Shards whose runs this session takes: less than all only while it moves (shard/handover.ts),
   * none when it has ended.
   */
  sourceMask = ALL_SOURCES;
  /** Set while retained messages are replayed to it, or owed to it when its client is back. */
  replay: ReplayGuard | null = null;
  /** Made by the first: most clients have none. */
  #subscriptions: PiecewiseMap<Grant> | null = null;
  /** By group: its memberships in Shared Subscriptions; made by the first. */
  memberships: Map<string, Membership> | null = null;
  /** It stands for the group of a Shared Subscription, and takes no runs itself. */
  isGroup = false;
  /** Whether a subscription has had No Local: its client may not get what it publishes. */
  hasNoLocal = false;
  /** Of them, those with a wildcard. */
  #wildcardSubscriptions = 0;
  #limits: SessionLimits;
  readonly #absentQueues: AbsentQueues;

  /** @param absentQueues of the shard: what this session keeps while its client is away counts. */
  constructor(
    clientId: string,
    expiryMs: number,
    protocolVersion: ProtocolVersion,
    claim: number,
    limits: SessionLimits,
    absentQueues: AbsentQueues,
  ) {
    super();
    this.clientId = clientId;
    this.expiryMs = expiryMs;
    this.protocolVersion = protocolVersion;
    this.claim = claim;
    this.#limits = limits;
    this.#absentQueues = absentQueues;
  }

  /** What holds for its client: the shard's for all, or its own. */
  get limits(): SessionLimits {
    return this.#limits;
  }

  set limits(limits: SessionLimits) {
    this.#limits = limits;
    if (this.window !== null) this.window.limits = limits;
  }

  /** It ends with its connection [MQTT-3.1.2-6]. */
  get endsWithConnection(): boolean {
    return this.expiryMs === 0;
  }

  /** The client is here. */
  attach(outlet: Outlet): void {
    this.cancelDeadline();
    this.#absentQueues.remove(this.window);
    if (this.window !== null) this.window.receiver = this.receiver;
    this.outlet = outlet;
    if (this.kept !== null) this.kept.queue.outlet = outlet;
  }

  /** The client is away. */
  detach(): void {
    this.cancelDeadline();
    this.outlet = null;
    this.receiver = null;
    if (this.kept !== null) this.kept.queue.outlet = null;
    if (this.window !== null) this.window.receiver = null;
    this.#absentQueues.add(this.window);
  }

  /** Filters and what each is granted. */
  get subscriptions(): ReadonlyPiecewiseMap<Grant> {
    return this.#subscriptions ?? NO_SUBSCRIPTIONS;
  }

  /** How many of the filters have a wildcard. */
  get wildcardSubscriptions(): number {
    return this.#wildcardSubscriptions;
  }

  /** Notes a subscription. @returns whether the filter is new to this session. */
  addSubscription(filterKey: string, grant: Grant): boolean {
    this.#subscriptions ??= new PiecewiseMap();
    const isNew = this.#subscriptions.set(filterKey, grant);
    if ((grant & NO_LOCAL) !== 0) this.hasNoLocal = true;
    if (isNew && hasWildcard(filterKey)) this.#wildcardSubscriptions++;
    return isNew;
  }

  /** Forgets a subscription. @returns false when there was none. */
  removeSubscription(filterKey: string): boolean {
    const isGone = this.#subscriptions?.delete(filterKey) ?? false;
    if (isGone && hasWildcard(filterKey)) this.#wildcardSubscriptions--;
    return isGone;
  }

  /** The session's window, made now if there is none. */
  openWindow(): OutgoingWindow {
    if (this.window === null) {
      this.window = this.makeWindow();
      this.window.receiver = this.receiver;
      this.kept?.openWindow(this.window);
      // What is on disk came under other rules perhaps, and for another user.
      if (this.window.messages.isAnyOnDisk) this.window.rights = this.rights;
    }
    return this.window;
  }

  /** A window that is not the session's yet. */
  makeWindow(): OutgoingWindow {
    // Nothing is sent again to a 3.1.1 client whose session ends with its connection.
    const keepsSent = !this.endsWithConnection || this.protocolVersion === 3;
    return new OutgoingWindow(this.#limits, keepsSent, this.#absentQueues.total);
  }

  /**
   * Queues a run for delivery at QoS `qos`.
   * @param isPaced whether its publisher waits while this session's client falls behind.
   * @param identifiers of the subscriptions that it is for, if they have any.
   * @param membership that it is for, if it has it as the member of a group.
   * @returns how many of its messages were dropped because a bound of the queue was reached. Of
   *   older ones that gave way to it, see `displaced`.
   */
  enqueue(
    run: Run,
    qos: 1 | 2,
    retain: boolean,
    isPaced = true,
    identifiers?: readonly number[],
    membership?: Membership,
  ): number {
    const { outlet } = this;
    const isConnected = outlet !== null;
    const isSlowedFor = isPaced && outlet !== null && !outlet.isStalled;
    const window = this.openWindow();
    if (this.kept?.isLost && window.mayGiveWay) this.find();
    const before = window.queuedMessages;
    const dropped = window.enqueue(
      run,
      qos,
      retain,
      isConnected,
      isSlowedFor,
      identifiers,
      membership,
    );
    if (outlet === null) {
      this.#absentQueues.queuedMessages += window.queuedMessages - before;
      return dropped;
    }
    this.kept?.onGrown(this);
    outlet.wake();
    return dropped;
  }

  /** Messages that gave way to what `enqueue` was given last, as `slowConsumerPolicy` says. */
  get displaced(): number {
    return this.window === null ? 0 : this.window.displaced;
  }

  /**
   * Notes a QoS 2 publication of the client. @returns false for one that was seen before
   * [MQTT-4.3.3-2].
   */
  acceptQos2(packetId: number): boolean {
    this.incomingQos2 ??= new IncomingQos2();
    const isNew = this.incomingQos2.add(packetId);
    if (isNew && this.kept !== null) this.kept.onIncoming(packetId);
    return isNew;
  }

  /**
   * Notes a PUBREL of the client. @returns false when its id was not known; PUBCOMP is the answer
   * all the same.
   */
  releaseQos2(packetId: number): boolean {
    const isKnown = this.incomingQos2?.release(packetId) ?? false;
    if (isKnown && this.kept !== null) this.kept.onReleased(packetId);
    return isKnown;
  }

  /** Its client comes: what of it is on disk and was not looked at yet is, before `attach`. */
  find(): void {
    const { kept } = this;
    if (!kept?.isLost) return;
    this.incomingQos2 = kept.loadIncoming() ?? this.incomingQos2;
    const window = this.openWindow();
    this.#absentQueues.remove(window);
    kept.load(window);
    this.#absentQueues.add(window);
  }

  /** What goes to another shard before the runs. */
  head(): SessionHead {
    // What only this shard has heard of may follow what is on disk: the other must find one queue.
    this.find();
    return {
      window: this.window === null ? null : this.window.head(),
      incomingQos2: this.incomingQos2 === null ? [] : this.incomingQos2.snapshot(),
      replay: this.replay === null ? null : this.replay.place(),
      kept: this.kept === null ? null : this.kept.move(),
    };
  }

  /** What of it is on disk; null: nothing is. */
  get kept(): KeptSession | null {
    return this.#kept;
  }

  set kept(kept: KeptSession | null) {
    if (kept !== this.#kept) this.#kept?.queue.setCounted(false);
    this.#kept = kept;
    kept?.queue.setCounted(true);
  }

  /** Takes the oldest run out, for another shard; null when there is none. See OutgoingWindow. */
  takeRun(): MovedRun | null {
    const { window } = this;
    if (window === null) return null;
    this.#absentQueues.remove(window);
    const run = window.takeRun();
    this.#absentQueues.add(window);
    return run;
  }

  /** Takes back what it has as a member of groups: see WindowMessages. */
  takeBack(membership: Membership | null, isSentToo: boolean, take: TakeBack): void {
    const { window, outlet } = this;
    if (window === null) return;
    if (outlet === null) this.#absentQueues.remove(window);
    window.takeBack(membership, isSentToo, take);
    if (outlet === null) this.#absentQueues.add(window);
  }

  /**
   * Takes over what another shard had for it, before `attach`. Runs that this session was given
   * meanwhile are newer, and go behind.
   * @param arrived the runs, counted among what is kept for absent clients; null when there were
   * none. @param kept what of it is on disk; null: nothing.
   * @returns how many of the newer messages were dropped because a bound of the queue was reached.
   */
  restore(
    head: SessionHead,
    arrived: OutgoingWindow | null,
    kept: KeptSession | null = null,
  ): number {
    const newer = this.window;
    let dropped = 0;
    this.kept = kept;
    if (head.window !== null || (kept !== null && newer !== null)) {
      this.#absentQueues.remove(newer);
      this.#absentQueues.remove(arrived);
      const window = arrived ?? this.makeWindow();
      kept?.openWindow(window);
      if (head.window !== null) window.resume(head.window);
      if (newer !== null) dropped = queueBehind(window, newer);
      this.window = window;
      window.rights = this.rights;
      this.#absentQueues.add(window);
    } else {
      // Runs without a head: a record was lost.
      this.#absentQueues.remove(arrived);
      arrived?.discard();
    }
    if (head.incomingQos2.length > 0) {
      this.incomingQos2 = new IncomingQos2();
      this.incomingQos2.restore(head.incomingQos2);
    }
    return dropped;
  }

  /**
   * Goes on, before `attach`, where what is on disk of it ends. @param meanwhile queues what comes
   * before that which it was given already.
   */
  goOn(kept: KeptSession | null, meanwhile: () => void): void {
    const newer = this.window;
    this.kept = kept;
    this.window = null;
    meanwhile();
    if (newer === null) return;
    this.#absentQueues.remove(newer);
    const window = this.openWindow();
    this.#absentQueues.remove(window);
    queueBehind(window, newer);
    window.rights = this.rights;
    this.#absentQueues.add(window);
  }

  /**
   * Ends the session: it takes nothing more, and keeps nothing.
   * @returns its subscriptions, which may be routed to it a while longer.
   */
  end(): ReadonlyPiecewiseMap<Grant> {
    const { subscriptions } = this;
    this.cancelDeadline();
    if (this.outlet === null) this.#absentQueues.remove(this.window);
    this.sourceMask = 0;
    this.replay?.end();
    this.window?.discard();
    this.window = null;
    this.kept = null;
    this.incomingQos2 = null;
    this.#subscriptions = null;
    this.#wildcardSubscriptions = 0;
    return subscriptions;
  }
}
