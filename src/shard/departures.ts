/** Sessions that leave this shard for others that have claimed them: see handover.ts. */
import {
  HANDOVER_FILTER_COST_BYTES,
  HANDOVER_PIECE_COST_BYTES,
  HANDOVER_RUN_COST_BYTES,
} from '../base/handover-limits.js';
import { SHARDS_MAX } from '../base/limits.js';
import type { Interest } from '../router/interest.js';
import type { PeerLink } from '../router/peer-link.js';
import { type MovedTraits, RecordKind } from '../router/records.js';
import type { DelayedWills } from '../sessions/delayed-wills.js';
import { isGivenAway } from '../sessions/membership.js';
import type { MovedRun } from '../sessions/run-queue.js';
import type { Session } from '../sessions/session.js';
import type { Grant } from '../topics/grant.js';
import { type HandoverSizes, NO_BYTES, packr, split } from './handover.js';
import type { SessionRegistry } from './session-registry.js';

/** How far a departure has come. */
const Stage = {
  /** The claimer is not ready yet. */
  offered: 0,
  /** The subscriptions are being sent. */
  filters: 1,
  /** They are; some shards have not answered the claimer's cut. */
  uncut: 2,
  /** Nothing comes to the session any more: its head is next. */
  head: 3,
  /** The runs of its window are being sent. */
  runs: 4,
} as const;

/** A session that is being moved away. */
interface Departure {
  readonly claim: number;
  readonly session: Session;
  readonly to: number;
  readonly filters: Iterator<[filterKey: string, grant: Grant]>;
  stage: number;
}

/** What departures work with. */
export interface DepartureParts {
  readonly shardIndex: number;
  readonly registry: SessionRegistry;
  readonly interest: Interest;
  readonly link: PeerLink;
  readonly deadlines: { readonly now: number };
  readonly wills: DelayedWills;
  readonly schedule: () => void;
  readonly sizes: HandoverSizes;
}

/** One a shard. */
export class Departures {
  readonly #parts: DepartureParts;
  readonly #departures = new Map<number, Departure>();
  /** By shard: the departures to it that have a piece to send, in turn. */
  readonly #sending: Departure[][] = Array.from({ length: SHARDS_MAX }, () => []);
  /** By shard: the cost of what was sent to it and not taken yet. */
  readonly #ahead = new Array<number>(SHARDS_MAX).fill(0);

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  /** Offers a session, or none, to the shard that has claimed it. */
  offer(session: Session | undefined, to: number, claim: number): void {
    if (session !== undefined) {
      const filters = session.subscriptions.entries();
      this.#departures.set(claim, { claim, session, to, filters, stage: Stage.offered });
    }
    this.#tell(RecordKind.handoverOffer, to, claim, session === undefined ? 0 : 1, 0);
    this.#parts.schedule();
  }

  /** The claimer is ready for the session. */
  onTake(claim: number): void {
    const departure = this.#departures.get(claim);
    if (departure?.stage === Stage.offered) this.#send(departure, Stage.filters);
  }

  /** The runs of shard `source` are the claimer's from here on. */
  cut(claim: number, source: number): void {
    const departure = this.#departures.get(claim);
    if (departure !== undefined) this.#cut(departure, source);
  }

  /** Shard `from` has taken a piece of this cost. */
  onMore(from: number, cost: number): void {
    this.#ahead[from] -= cost;
    if (this.#sending[from].length > 0) this.#parts.schedule();
  }

  /** Sessions on their way there. */
  *leavingTo(index: number): Generator<Session> {
    for (const { session, to } of this.#departures.values()) if (to === index) yield session;
  }

  /** A peer died. @returns the sessions that were on their way to it, and go nowhere now. */
  dropPeer(index: number): Session[] {
    this.#sending[index] = [];
    this.#ahead[index] = 0;
    const left: Session[] = [];
    for (const departure of [...this.#departures.values()]) {
      const { claim, session, to } = departure;
      if (to !== index) {
        this.#cut(departure, index);
        continue;
      }
      this.#departures.delete(claim);
      left.push(session);
    }
    return left;
  }

  /** A dead peer has a successor, whose runs come here until it answers the claimer's cut. */
  welcomePeer(index: number): void {
    for (const { session, stage } of this.#departures.values()) {
      if (stage <= Stage.uncut) session.sourceMask |= 1 << index;
    }
  }

  /**
   * Sends pieces, as far as the ring and those who take them follow. To be called once a turn, when
   * what waited for room is on the ring.
   * @returns whether anything was sent: the ring is to be flushed.
   */
  sendPieces(): boolean {
    const { link, sizes } = this.#parts;
    if (this.#departures.size === 0) return false;
    let isAnySent = false;
    for (let to = 0; to < SHARDS_MAX; to++) {
      const sending = this.#sending[to];
      while (sending.length > 0 && this.#ahead[to] < sizes.bytesAhead) {
        if (link.backlogBytes > 0) return isAnySent;
        this.#sendPiece(sending.shift()!);
        isAnySent = true;
      }
    }
    return isAnySent;
  }

  #sendPiece(departure: Departure): void {
    const { to } = departure;
    if (departure.stage === Stage.filters) {
      if (!this.#sendFilters(departure)) this.#sending[to].push(departure);
      else departure.stage = Stage.uncut;
    } else if (this.#sendRuns(departure)) {
      this.#end(departure);
    } else {
      this.#sending[to].push(departure);
    }
  }

  /** @returns whether that was the last piece. */
  #sendFilters({ claim, session, to, filters }: Departure): boolean {
    const { link, sizes } = this.#parts;
    const { replay } = session;
    const piece: [string, Grant, number?][] = [];
    let cost = HANDOVER_PIECE_COST_BYTES;
    let isLast = false;
    while (cost < sizes.pieceBytes && !isLast) {
      const next = filters.next();
      if (next.done) {
        isLast = true;
      } else {
        const [filterKey, grant] = next.value;
        const since = replay?.unbegunSince(filterKey) ?? 0;
        piece.push(since > 0 ? [filterKey, grant, since] : [filterKey, grant]);
        cost += next.value[0].length + HANDOVER_FILTER_COST_BYTES;
      }
    }
    const body = packr.pack(piece);
    const [low, high] = split(claim);
    const kind = RecordKind.handoverFilters;
    const word3 = (isLast ? 1 : 0) | (replay === null ? 0 : 2);
    link.send(kind, 1 << to, low, high, cost, word3, body, 0, body.length);
    this.#ahead[to] += cost;
    return isLast;
  }

  /** @returns whether that was the last piece. */
  #sendRuns(departure: Departure): boolean {
    const { link, sizes } = this.#parts;
    const { claim, session, to } = departure;
    const [low, high] = split(claim);
    let cost = HANDOVER_PIECE_COST_BYTES;
    if (departure.stage === Stage.head) {
      departure.stage = Stage.runs;
      const { wills, deadlines } = this.#parts;
      const body = packr.pack({ ...session.head(), will: wills.move(session, deadlines.now) });
      // What is on disk is the other shard's from here on, and does not end with this.
      session.kept = null;
      link.send(RecordKind.handoverHead, 1 << to, low, high, 0, 0, body, 0, body.length);
      cost += body.length;
    }
    let isLast = false;
    while (cost < sizes.pieceBytes && !isLast) {
      const run = session.takeRun();
      if (run === null) {
        isLast = true;
      } else {
        const { bytes, start, end, header, deliveryHeader, topicLength, count } = run;
        this.#sendTraits(to, low, high, run);
        const word2 = (header | (deliveryHeader << 8) | (topicLength << 16)) >>> 0;
        const kind = RecordKind.handoverRun;
        link.send(kind, 1 << to, low, high, word2, count, bytes, start, end);
        cost += end - start + HANDOVER_RUN_COST_BYTES;
      }
    }
    this.#tell(RecordKind.handoverPart, to, claim, cost, isLast ? 1 : 0);
    this.#ahead[to] += cost;
    return isLast;
  }

  /** Says what the run has that follows, where that is not what those of 3.x have. */
  #sendTraits(to: number, low: number, high: number, run: MovedRun): void {
    const { propertyBytes, expiresAt, identifiers = [] } = run;
    const isAway = isGivenAway(run.membership);
    if (propertyBytes === 0 && identifiers.length === 0 && !isAway) return;
    const traits: MovedTraits = { propertyBytes, expiresAt, identifiers, isGivenAway: isAway };
    const body = packr.pack(traits);
    const kind = RecordKind.handoverTraits;
    this.#parts.link.send(kind, 1 << to, low, high, 0, 0, body, 0, body.length);
  }

  #send(departure: Departure, stage: number): void {
    departure.stage = stage;
    this.#sending[departure.to].push(departure);
    this.#parts.schedule();
  }

  /** Takes no more of `source`; what the session has is sent when that was the last. */
  #cut(departure: Departure, source: number): void {
    const { shardIndex, interest } = this.#parts;
    const { session, stage } = departure;
    session.sourceMask &= ~(1 << source);
    if (stage !== Stage.uncut) return;
    if ((session.sourceMask & (interest.peers | (1 << shardIndex))) !== 0) return;
    this.#send(departure, Stage.head);
  }

  #end(departure: Departure): void {
    this.#departures.delete(departure.claim);
    this.#parts.registry.end(departure.session);
  }

  #tell(kind: number, to: number, claim: number, word2: number, word3: number): void {
    const [low, high] = split(claim);
    this.#parts.link.send(kind, 1 << to, low, high, word2, word3, NO_BYTES, 0, 0);
  }
}
