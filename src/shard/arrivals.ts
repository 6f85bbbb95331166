/** Sessions on their way to this shard from those that hold them: see handover.ts. */

import { copyBytes } from '../base/copy-bytes.js';
import { Counter, type Counters } from '../base/counters.js';
import { RecordError } from '../base/errors.js';
import { PACKET_ID_MAX } from '../base/limits.js';
import { HEADER_ALLOWED, HEADER_RULES, QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import { checkFrames, checkRun } from '../protocol/run-check.js';
import { propertyBytesOf, VARIABLE_BYTE_INTEGER_MAX } from '../protocol/v5/index.js';
import type { Interest } from '../router/interest.js';
import type { PeerLink } from '../router/peer-link.js';
import { isFilter, unpackRecord } from '../router/record-body.js';
import { type MovedTraits, RecordKind, type SubscriptionPiece } from '../router/records.js';
import type { Filters, MovedFilter } from '../router/replay-filters.js';
import type { RetainedReplays } from '../router/retained-replay.js';
import type { DelayedWills } from '../sessions/delayed-wills.js';
import { NO_PLACE } from '../sessions/held-runs.js';
import { STATE_MASK } from '../sessions/inflight.js';
import type { MovedKept } from '../sessions/kept-session.js';
import { GIVEN_AWAY } from '../sessions/membership.js';
import type { OutgoingWindow } from '../sessions/outgoing-window.js';
import type { ReplayPlace } from '../sessions/replay-guard.js';
import type { Session, SessionHead } from '../sessions/session.js';
import { NO_BYTES, split } from './handover.js';
import type { Missed, SessionRegistry } from './session-registry.js';

/** A session that is being moved here. */
interface Arrival {
  readonly claim: number;
  /** The shard that it comes from. */
  readonly from: number;
  readonly session: Session;
  /** It is subscribed to all filters, and every shard that knows them was asked for its cut. */
  isSubscribed: boolean;
  head: SessionHead | null;
  /** What the next run has, where that is not what those of 3.x have. */
  traits: MovedTraits | null;
  /** What has come of its former shard's window; made by the first run. */
  window: OutgoingWindow | null;
  /** All of that has come. */
  isHere: boolean;
  /** Its former shard died with it. */
  isLost: boolean;
}

/** Those of a run of 3.x. */
const NO_TRAITS: MovedTraits = {
  propertyBytes: 0,
  expiresAt: 0,
  identifiers: [],
  isGivenAway: false,
};

/** Replays that come with their sessions. */
export type MovedReplays = Pick<RetainedReplays, 'expectMoved' | 'restore' | 'recall'>;

/** What arrivals work with. */
export interface ArrivalParts {
  readonly shardIndex: number;
  readonly registry: SessionRegistry;
  readonly replays: MovedReplays;
  readonly interest: Interest;
  readonly link: PeerLink;
  readonly counters: Counters;
  readonly deadlines: { readonly now: number };
  readonly wills: DelayedWills;
  readonly schedule: () => void;
  /** Calls back when a session that comes from another shard may have this one's runs. */
  beforeCut(session: Session, from: number, cut: () => void): void;
}

/** One a shard. */
export class Arrivals {
  readonly #parts: ArrivalParts;
  readonly #onWhole: (claim: number, session: Session) => void;
  readonly #arrivals = new Map<number, Arrival>();

  /** @param onWhole called when a session is here and may be taken into use. */
  constructor(parts: ArrivalParts, onWhole: (claim: number, session: Session) => void) {
    this.#parts = parts;
    this.#onWhole = onWhole;
  }

  /** Whether a session is on its way here from that shard. */
  isComing(session: Session, from: number): boolean {
    for (const arrival of this.#arrivals.values()) {
      if (arrival.session === session) return arrival.from === from;
    }
    return false;
  }

  /** Whether a session is on its way by this claim. */
  has(claim: number): boolean {
    return this.#arrivals.has(claim);
  }

  /** Takes up the offer of shard `from`. @param session without state, as yet. */
  take(claim: number, from: number, session: Session): void {
    session.sourceMask = 0;
    this.#arrivals.set(claim, {
      claim,
      from,
      session,
      isSubscribed: false,
      head: null,
      traits: null,
      window: null,
      isHere: false,
      isLost: false,
    });
    this.#tell(RecordKind.handoverTake, 1 << from, claim, 0);
    this.#parts.schedule();
  }

  /**
   * A piece of the subscriptions has come; see RecordKind for `word3`.
   * @throws RecordError when it cannot be read.
   */
  onFilters(
    claim: number,
    from: number,
    cost: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const { registry, replays, schedule } = this.#parts;
    const arrival = this.#arrivals.get(claim);
    const askForMore = () => {
      // Its successor has sent nothing.
      if (arrival?.isLost) return;
      this.#tell(RecordKind.handoverMore, 1 << from, claim, cost);
      schedule();
    };
    if (arrival === undefined) {
      // Owed all the same: others move from there too.
      askForMore();
      return;
    }
    let piece: SubscriptionPiece = [];
    try {
      piece = readSubscriptions(buffer, start, end);
    } finally {
      // With a piece that cannot be read its filters are lost, not the session.
      registry.subscribe(arrival.session, unowed(piece), askForMore);
      if ((word3 & 2) !== 0) {
        replays.expectMoved(arrival.session, piece.filter(isOwed));
      }
      const { session } = arrival;
      if ((word3 & 1) !== 0) this.#parts.beforeCut(session, from, () => this.#cut(arrival));
    }
  }

  /** Its filters are all here: from now on its messages are this shard's. */
  #cut(arrival: Arrival): void {
    const { interest, shardIndex, schedule } = this.#parts;
    // Its former shard may have died meanwhile.
    if (arrival.isLost || this.#arrivals.get(arrival.claim) !== arrival) return;
    arrival.isSubscribed = true;
    arrival.session.sourceMask = 1 << shardIndex;
    interest.flush();
    this.#tell(RecordKind.handoverCut, interest.toldPeers, arrival.claim, arrival.from);
    schedule();
  }

  /** Shard `from` gives this shard its runs for the session from here on. */
  onCutDone(claim: number, from: number): void {
    const arrival = this.#arrivals.get(claim);
    if (arrival === undefined) return;
    arrival.session.sourceMask |= 1 << from;
    this.#settleIfWhole(arrival);
  }

  onHead(claim: number, buffer: Buffer, start: number, end: number): void {
    const arrival = this.#arrivals.get(claim);
    if (arrival === undefined) return;
    const head: unknown = unpackRecord(buffer, start, end);
    if (!isSessionHead(head)) throw new RecordError("a record is no session's head");
    arrival.head = head;
    const { wills, deadlines } = this.#parts;
    const { will } = head as { will?: unknown };
    if (will != null) wills.arrive(arrival.session, will, deadlines.now);
  }

  /** What the run has that comes next. @throws RecordError when it cannot be read. */
  onTraits(claim: number, buffer: Buffer, start: number, end: number): void {
    const arrival = this.#arrivals.get(claim);
    if (arrival === undefined) return;
    const traits: unknown = unpackRecord(buffer, start, end);
    if (!isMovedTraits(traits)) throw new RecordError('a record does not say what a run has');
    arrival.traits = traits;
  }

  /** A run of the session's window; the words are those of RecordKind. */
  onRun(
    claim: number,
    word2: number,
    count: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const arrival = this.#arrivals.get(claim);
    if (arrival === undefined) return;
    const header = word2 & 0xff;
    const deliveryHeader = (word2 >>> 8) & 0xff;
    const topicLength = word2 >>> 16;
    // What was published to be retained is so in its frames, and is delivered as it says.
    const { propertyBytes, expiresAt, identifiers, isGivenAway } = arrival.traits ?? NO_TRAITS;
    arrival.traits = null;
    const first = header | (buffer[start] & RETAIN);
    const topicAt = checkRun(buffer, start, end, first, topicLength, count);
    checkFrames(buffer, start, end, count);
    if (propertyBytes > 0) {
      const found = propertyBytesOf(buffer, start, topicAt, topicLength, first);
      if (found !== propertyBytes)
        throw new RecordError('a run has not the properties that it says');
    }
    const isAboveQos0 = (header & QOS_MASK) !== 0 && (deliveryHeader & QOS_MASK) !== 0;
    if (!isAboveQos0 || HEADER_RULES[deliveryHeader] !== HEADER_ALLOWED) {
      throw new RecordError('a run of a window is delivered at QoS 1 or 2');
    }
    const bytes = Buffer.allocUnsafe(end - start);
    copyBytes(buffer, start, end, bytes, 0);
    const run = {
      bytes,
      header,
      topicLength,
      count,
      propertyBytes,
      expiresAt,
      place: NO_PLACE,
    };
    const { absentQueues } = this.#parts.registry;
    absentQueues.remove(arrival.window);
    arrival.window ??= arrival.session.makeWindow();
    const list = identifiers.length === 0 ? undefined : identifiers;
    arrival.window.append(run, deliveryHeader, list, isGivenAway ? GIVEN_AWAY : undefined);
    absentQueues.add(arrival.window);
  }

  /** A piece of the window has come. */
  onPart(claim: number, from: number, cost: number, isLast: boolean): void {
    this.#tell(RecordKind.handoverMore, 1 << from, claim, cost);
    const arrival = this.#arrivals.get(claim);
    if (arrival === undefined || !isLast) return;
    const { counters, registry, replays } = this.#parts;
    const head = headOf(arrival);
    const kept = this.#parts.registry.keptOf(head.kept);
    const dropped = registry.restore(arrival.session, head, arrival.window, kept);
    const refused = registry.absentQueues.total.takeRefused();
    counters.add(Counter.droppedTotalBytes, refused);
    counters.add(Counter.droppedQueueFull, dropped - refused);
    arrival.window = null;
    arrival.isHere = true;
    if (arrival.head?.replay != null) replays.restore(arrival.session, arrival.head.replay);
    this.#settleIfWhole(arrival);
  }

  /** A peer died: what it was handing over is lost, unless it is here. */
  dropPeer(index: number): void {
    const { registry } = this.#parts;
    for (const arrival of [...this.#arrivals.values()]) {
      const { claim, session, from } = arrival;
      this.#settleIfWhole(arrival);
      if (from !== index || arrival.isHere) continue;
      arrival.isLost = true;
      // What it has been given meanwhile is not answered before it is found there.
      if (registry.isStored) continue;
      this.#arrivals.delete(claim);
      registry.absentQueues.remove(arrival.window);
      arrival.window?.discard();
      registry.discard(session);
    }
  }

  /** What a dead peer was handing over is in the store, with all that it has said of it. */
  recover(
    index: number,
    missed: Missed,
    onFound: (claim: number, session: Session, isThere: boolean) => void,
  ): void {
    for (const { claim, session, from, window, isLost } of [...this.#arrivals.values()]) {
      if (from !== index || !isLost) continue;
      const { registry, replays } = this.#parts;
      registry.absentQueues.remove(window);
      window?.discard();
      const isThere = registry.recover(session, missed);
      replays.recall(session);
      this.#arrivals.delete(claim);
      onFound(claim, session, isThere);
    }
  }

  /** A dead peer has a successor, whose runs are not this shard's until it has been asked. */
  welcomePeer(index: number): void {
    for (const { session } of this.#arrivals.values()) session.sourceMask &= ~(1 << index);
  }

  /** The successor has been told the filters here. It is asked like all others. */
  onPeerTold(index: number): void {
    for (const { claim, from, isSubscribed } of this.#arrivals.values()) {
      if (isSubscribed) this.#tell(RecordKind.handoverCut, 1 << index, claim, from);
    }
  }

  /** Gives a session out, once no run can come that its former holder had too. */
  #settleIfWhole({ claim, session, isHere }: Arrival): void {
    const { interest, shardIndex } = this.#parts;
    const live = interest.peers | (1 << shardIndex);
    if (!isHere || (session.sourceMask & live) !== live) return;
    this.#arrivals.delete(claim);
    this.#onWhole(claim, session);
  }

  #tell(kind: number, peers: number, claim: number, word2: number): void {
    const [low, high] = split(claim);
    this.#parts.link.send(kind, peers, low, high, word2, 0, NO_BYTES, 0, 0);
  }
}

/**
 * What goes before the runs that have come. Where a record was lost, the states of what was sent
 * may not fit them, and all is sent as new.
 */
function headOf({ head, window }: Arrival): SessionHead {
  const messages = window === null ? 0 : window.queuedMessages;
  if (head !== null && (head.window?.states.length ?? 0) <= messages) return head;
  const oldestId = head?.window?.oldestId ?? 1;
  return {
    window: window === null ? null : { oldestId, states: new Uint8Array(0) },
    incomingQos2: head?.incomingQos2 ?? [],
    replay: null,
    kept: head?.kept ?? null,
  };
}

function readSubscriptions(buffer: Buffer, start: number, end: number): SubscriptionPiece {
  const piece: unknown = unpackRecord(buffer, start, end);
  if (isSubscriptionPiece(piece)) return piece;
  throw new RecordError('a record is no list of subscriptions');
}

function isSubscriptionPiece(value: unknown): value is SubscriptionPiece {
  return (
    Array.isArray(value) &&
    value.every(
      (each) =>
        Array.isArray(each) &&
        isFilter(each[0]) &&
        isGrant(each[1]) &&
        (each[2] === undefined || isSubscribe(each[2])),
    )
  );
}

/** Its filters and their grants alone. */
function unowed(piece: SubscriptionPiece): Filters {
  return piece.map(([filterKey, grant]) => [filterKey, grant]);
}

/** Whether retained messages of it are still to be sent. */
function isOwed(each: SubscriptionPiece[number]): each is MovedFilter {
  return each[2] !== undefined;
}

/** Which SUBSCRIBE of a replay it was. */
function isSubscribe(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function isGrant(value: unknown): boolean {
  const grant = Number(value);
  return Number.isInteger(value) && (grant | 0) === grant && (grant & 3) !== 3;
}

function isMovedTraits(value: unknown): value is MovedTraits {
  const { propertyBytes, expiresAt, identifiers, isGivenAway } = (value ??
    {}) as Partial<MovedTraits>;
  const isCount = (each: unknown) => Number.isSafeInteger(each) && Number(each) >= 0;
  return (
    isCount(propertyBytes) &&
    isCount(expiresAt) &&
    typeof isGivenAway === 'boolean' &&
    Array.isArray(identifiers) &&
    identifiers.every((each) => isCount(each) && Number(each) <= VARIABLE_BYTE_INTEGER_MAX)
  );
}

function isSessionHead(value: unknown): value is SessionHead {
  const { window, incomingQos2, replay, kept } = value as Partial<SessionHead>;
  if (kept !== null && !isMovedKept(kept)) return false;
  if (replay !== null && !isReplayPlace(replay)) return false;
  if (!Array.isArray(incomingQos2) || !incomingQos2.every(isPacketId)) return false;
  if (window === null) return true;
  if (window === undefined || !isPacketId(window.oldestId)) return false;
  const { states } = window;
  return states instanceof Uint8Array && states.every((state) => state <= STATE_MASK);
}

function isMovedKept(value: unknown): boolean {
  const kept = (value ?? {}) as MovedKept;
  const { number, lookedTo, diskFrom, next, diskBytes, hole, rowsFrom, isUnsettled } = kept;
  const areCounts = [number, lookedTo, diskFrom, next, diskBytes, hole, rowsFrom].every(
    (each) => Number.isSafeInteger(each) && each >= 0,
  );
  const areInOrder = rowsFrom <= diskFrom && diskFrom <= next;
  return areCounts && areInOrder && typeof isUnsettled === 'boolean';
}

function isReplayPlace(value: unknown): value is ReplayPlace {
  const place = (value ?? {}) as Partial<ReplayPlace>;
  const { begun, brought, superseded, subscribes, notedTo, generation } = place;
  const isBegun = (each: unknown) =>
    Array.isArray(each) &&
    each.slice(0, 2).every(isFilter) &&
    isGrant(each[2]) &&
    isSubscribe(each[3]);
  const isSuperseded = (each: unknown) =>
    Array.isArray(each) && isFilter(each[0]) && Number.isSafeInteger(each[1]);
  return (
    Array.isArray(begun) &&
    begun.every(isBegun) &&
    (brought === null || (Array.isArray(brought) && brought.every(isFilter))) &&
    Array.isArray(superseded) &&
    superseded.every(isSuperseded) &&
    Number.isSafeInteger(subscribes) &&
    Number.isSafeInteger(notedTo) &&
    Number.isSafeInteger(generation)
  );
}

function isPacketId(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= PACKET_ID_MAX;
}
