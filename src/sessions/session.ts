/** A session: what outlives a connection (MQTT 3.1.1, 3.1.2.4), and what the router delivers to. */
import { Deadline } from '../base/deadlines.js';
import type { CloseReason } from '../base/errors.js';
import type { ProtocolVersion, QoS } from '../protocol/packet.js';
import type { Run } from '../protocol/run.js';
import { hasWildcard } from '../topics/topic.js';
import type { AbsentQueues } from './absent-queues.js';
import { NO_PLACE } from './held-runs.js';
import { IncomingQos2 } from './incoming-qos2.js';
import { OutgoingWindow, type WindowHead, type WindowLimits } from './outgoing-window.js';
import type { MovedRun } from './run-queue.js';

const NO_SUBSCRIPTIONS: ReadonlyMap<string, QoS> = new Map();

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

/** Retained messages are being replayed to the session. */
export interface ReplayGuard {
  /** A topic's retained message here is about to be replaced by one that comes live. */
  beforeLive(topicKey: string): void;
  /**
   * Whether one of a topic, published with RETAIN, is not to be delivered: the session has
   * subscribed to it, but not all shards have confirmed that yet, and may leave out a newer one.
   * The newest comes as retained when they have.
   */
  isHeldBack(topicKey: string): boolean;
  /**
   * A newer message of a topic, published with RETAIN, has come live.
   * @param isDelivered false when it was dropped: only the replay can bring the topic's newest.
   */
  onLive(topicKey: string, isDelivered: boolean): void;
  /** Whether all that is retained for this filter is still to be sent. */
  isUnbegun(filterKey: string): boolean;
  /** How far it has come, for another shard. */
  place(): ReplayPlace;
  /** The session has ended, or left the shard. */
  end(): void;
}

/** How far a replay has come whose client is away, beside the filters that have not begun. */
export interface ReplayPlace {
  /**
   * Filters that have begun and topics that are asked for again, first the one that was being read,
   * each with the filter subscribed to.
   */
  readonly begun: readonly (readonly [filterKey: string, subscribed: string, qos: QoS])[];
  /** Topics of the first that were sent; null: not known. */
  readonly brought: readonly string[] | null;
  /** Topics of which a newer message has come live. */
  readonly superseded: readonly string[];
}

/** What a session is beside its subscriptions and the runs in its window, as plain data. */
export interface SessionHead {
  /** Null when nothing of QoS 1 or 2 has ever been delivered to it. */
  readonly window: WindowHead | null;
  readonly incomingQos2: readonly number[];
  /** Null when no retained messages are owed to it. */
  readonly replay: ReplayPlace | null;
}

/**
 * Session state of one client id on the shard that holds it. Its deadline is the shard's: the next
 * look at its acks while the client is here, its end while the client is away.
 */
export class Session extends Deadline {
  /** Scratch word of the subscription tree. */
  matchIndex = 0;
  readonly clientId: string;
  /** Ends with its connection [MQTT-3.1.2-6]. */
  cleanSession: boolean;
  protocolVersion: ProtocolVersion;
  /** The claim by which this shard holds the client id; see shard/control.ts. */
  claim: number;
  /** The connection's write side, set by `attach`; null while the client is away. */
  outlet: Outlet | null = null;
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
  #subscriptions: Map<string, QoS> | null = null;
  /** Of them, those with a wildcard. */
  #wildcardSubscriptions = 0;
  readonly #limits: WindowLimits;
  readonly #absentQueues: AbsentQueues;

  /** @param absentQueues of the shard: what this session keeps while its client is away counts. */
  constructor(
    clientId: string,
    cleanSession: boolean,
    protocolVersion: ProtocolVersion,
    claim: number,
    limits: WindowLimits,
    absentQueues: AbsentQueues,
  ) {
    super();
    this.clientId = clientId;
    this.cleanSession = cleanSession;
    this.protocolVersion = protocolVersion;
    this.claim = claim;
    this.#limits = limits;
    this.#absentQueues = absentQueues;
  }

  /** The client is here. */
  attach(outlet: Outlet): void {
    this.cancelDeadline();
    this.#absentQueues.remove(this.window);
    this.outlet = outlet;
  }

  /** The client is away. */
  detach(): void {
    this.cancelDeadline();
    this.outlet = null;
    this.#absentQueues.add(this.window);
  }

  /** Filters and the QoS granted to each. */
  get subscriptions(): ReadonlyMap<string, QoS> {
    return this.#subscriptions ?? NO_SUBSCRIPTIONS;
  }

  /** How many of the filters have a wildcard. */
  get wildcardSubscriptions(): number {
    return this.#wildcardSubscriptions;
  }

  /** Notes a subscription. @returns whether the filter is new to this session. */
  addSubscription(filterKey: string, qos: QoS): boolean {
    this.#subscriptions ??= new Map();
    const isNew = !this.#subscriptions.has(filterKey);
    this.#subscriptions.set(filterKey, qos);
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
    this.window ??= this.makeWindow();
    return this.window;
  }

  /** A window that is not the session's yet. */
  makeWindow(): OutgoingWindow {
    // Nothing is sent again to a 3.1.1 client whose session ends with its connection.
    const keepsSent = !this.cleanSession || this.protocolVersion === 3;
    return new OutgoingWindow(this.#limits, keepsSent, this.#absentQueues.total);
  }

  /**
   * Queues a run for delivery at QoS `qos`.
   * @param isPaced whether its publisher waits while this session's client falls behind.
   * @returns how many of its messages were dropped because a bound of the queue was reached.
   */
  enqueue(run: Run, qos: 1 | 2, retain: boolean, isPaced = true): number {
    const { outlet } = this;
    const isConnected = outlet !== null;
    const isSlowedFor = isPaced && outlet !== null && !outlet.isStalled;
    const dropped = this.openWindow().enqueue(run, qos, retain, isConnected, isSlowedFor);
    if (outlet === null) this.#absentQueues.queuedMessages += run.count - dropped;
    else outlet.wake();
    return dropped;
  }

  /**
   * Notes a QoS 2 publication of the client. @returns false for one that was seen before
   * [MQTT-4.3.3-2].
   */
  acceptQos2(packetId: number): boolean {
    this.incomingQos2 ??= new IncomingQos2();
    return this.incomingQos2.add(packetId);
  }

  /** What goes to another shard before the runs. */
  head(): SessionHead {
    return {
      window: this.window === null ? null : this.window.head(),
      incomingQos2: this.incomingQos2 === null ? [] : this.incomingQos2.snapshot(),
      replay: this.replay === null ? null : this.replay.place(),
    };
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

  /**
   * Takes over what another shard had for it, before `attach`. Runs that this session was given
   * meanwhile are newer, and go behind.
   * @param arrived the runs, counted among what is kept for absent clients; null when there were
   * none.
   * @returns how many of the newer messages were dropped because a bound of the queue was reached.
   */
  restore(head: SessionHead, arrived: OutgoingWindow | null): number {
    const newer = this.window;
    let dropped = 0;
    if (head.window !== null) {
      this.#absentQueues.remove(newer);
      this.#absentQueues.remove(arrived);
      const window = arrived ?? this.makeWindow();
      window.resume(head.window);
      if (newer !== null) dropped = queueBehind(window, newer);
      this.window = window;
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
   * Ends the session: it takes nothing more, and keeps nothing.
   * @returns its subscriptions, which may be routed to it a while longer.
   */
  end(): ReadonlyMap<string, QoS> {
    const { subscriptions } = this;
    this.cancelDeadline();
    if (this.outlet === null) this.#absentQueues.remove(this.window);
    this.sourceMask = 0;
    this.replay?.end();
    this.window?.discard();
    this.window = null;
    this.incomingQos2 = null;
    this.#subscriptions = null;
    this.#wildcardSubscriptions = 0;
    return subscriptions;
  }
}

/**
 * Queues what `newer` holds, which has sent nothing, behind what is in `window`.
 * @returns how many of its messages were dropped because of a bound.
 */
function queueBehind(window: OutgoingWindow, newer: OutgoingWindow): number {
  let dropped = 0;
  for (let moved = newer.takeRun(); moved !== null; moved = newer.takeRun()) {
    const { bytes, end, header, deliveryHeader, topicLength, count } = moved;
    const run = { bytes: bytes.subarray(0, end), header, topicLength, count, place: NO_PLACE };
    dropped += window.enqueue(
      run,
      ((deliveryHeader >> 1) & 3) as 1 | 2,
      (deliveryHeader & 1) !== 0,
    );
  }
  return dropped;
}
