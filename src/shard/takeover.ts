/**
 * Whose client id it is. Every CONNECT claims its client id with the primary's directory. Where
 * another connection or session has it already, the old connection is closed [MQTT-3.1.4-2] and the
 * session stays or moves here: how is told in handover.ts. Claims on one client id are granted one
 * at a time, the next when the session of the last is in place.
 */
import { ANONYMOUS } from '../access/admission.js';
import { Counter, type Counters } from '../base/counters.js';
import { CloseReason } from '../base/errors.js';
import { HANDOVER_BYTES_AHEAD, HANDOVER_PIECE_BYTES } from '../base/handover-limits.js';
import { SHARDS_MAX } from '../base/limits.js';
import { checkWill } from '../connection/check-will.js';
import type { ConnectRequest } from '../connection/connect-request.js';
import { type Connection, ConnectionState } from '../connection/connection.js';
import { ReasonCode } from '../protocol/v5/index.js';
import type { Interest } from '../router/interest.js';
import type { PeerLink } from '../router/peer-link.js';
import { RecordKind } from '../router/records.js';
import type { DelayedWills } from '../sessions/delayed-wills.js';
import { ALL_SOURCES, type Session } from '../sessions/session.js';
import { Arrivals, type MovedReplays } from './arrivals.js';
import type { ClaimRefusal, ToShard } from './control.js';
import { CutHolds, type CutHoldsParts } from './cut-holds.js';
import { Departures } from './departures.js';
import { type HandoverSizes, join, NO_BYTES, split } from './handover.js';
import type { PrimaryLine } from './primary-line.js';
import { Releases } from './releases.js';
import type { Missed, SessionRegistry } from './session-registry.js';
import type { Admitted, ShardAccess } from './shard-access.js';

/**
 * The first claim's number is below this: claims stay small integers for 30 million connections.
 */
const CLAIM_NUMBERS_FROM = 2 ** 25;
/** Why a client is told to come again. */
const REFUSALS: Readonly<Record<ClaimRefusal, { reasonCode: ReasonCode; why: string }>> = {
  claims: { reasonCode: ReasonCode.serverBusy, why: 'too many claim this client id' },
  sessions: { reasonCode: ReasonCode.quotaExceeded, why: 'as many sessions are kept as may be' },
  memory: { reasonCode: ReasonCode.serverBusy, why: 'memory is short: come again later' },
  user: { reasonCode: ReasonCode.quotaExceeded, why: 'as many connections of this user as may be' },
};
/** Not granted yet. */
const UNKNOWN = -2;

/** A CONNECT that waits for its session. */
interface PendingClaim {
  readonly claim: number;
  readonly connection: Connection;
  readonly request: ConnectRequest;
  /** The shard that held the client id when the claim was granted. */
  from: number;
  /** What the holder has offered, which may come before the primary's grant: null is not yet. */
  hasSession: boolean | null;
}

const SIZES = { pieceBytes: HANDOVER_PIECE_BYTES, bytesAhead: HANDOVER_BYTES_AHEAD };

/** What a takeover works with. */
export interface TakeoverParts {
  readonly shardIndex: number;
  readonly registry: SessionRegistry;
  readonly interest: Interest;
  readonly replays: MovedReplays;
  readonly link: PeerLink;
  readonly line: PrimaryLine;
  readonly counters: Counters;
  readonly deadlines: { readonly now: number };
  readonly wills: DelayedWills;
  /** Gives a session the rights of whoever has claimed it. */
  readonly access: Pick<ShardAccess, 'admit' | 'mayLeaveWill'>;
  /** The client of a session here is back: that does not expire on its way, if it has not yet. */
  readonly onClaimed: (session: Session) => void;
  /** Calls back when what is journaled is durable; at once where nothing is. */
  whenDurable(done: () => void): void;
  readonly whenKept: CutHoldsParts['whenKept'];
  /** Calls back when all wills are published. */
  afterMade(done: () => void): void;
  readonly schedule: () => void;
  /** Default: those of base/limits.ts. */
  readonly sizes?: HandoverSizes;
}

/** Claims, hand-overs and the takeovers they lead to; one a shard. */
export class Takeover {
  readonly #parts: TakeoverParts;
  readonly #pending = new Map<number, PendingClaim>();
  readonly #releases: Releases;
  /** Claims on sessions of a shard that has died before it has offered them. */
  readonly #lost: PendingClaim[] = [];
  readonly #departures: Departures;
  readonly #arrivals: Arrivals;
  /** Sessions that are about to be cut. */
  readonly cutHolds: CutHolds;
  /**
   * Begins where no earlier shard of this index can have been: its late records name its claims.
   */
  #claims = Math.floor(Math.random() * CLAIM_NUMBERS_FROM);

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
    this.#departures = new Departures({ ...parts, sizes: parts.sizes ?? SIZES });
    this.#releases = new Releases(parts.registry, this.#departures, parts.wills);
    this.cutHolds = new CutHolds(parts);
    const arrivalParts = {
      ...parts,
      beforeCut: (session: Session, from: number, cut: () => void) =>
        this.#beforeCut(session, 1 << from, 1 << from, cut),
    };
    const onWhole = (claim: number, session: Session) => this.#onWhole(claim, session);
    this.#arrivals = new Arrivals(arrivalParts, onWhole);
  }

  /** Asks for the client id of an authenticated CONNECT. */
  claim(connection: Connection, request: ConnectRequest): void {
    if (!checkWill(connection, request.will)) return;
    if (!this.#parts.access.mayLeaveWill(connection, admittedOf({ connection }), request.will)) {
      connection.refuse(ReasonCode.notAuthorized, 'it may not publish its will');
      return;
    }
    const claim = this.nextClaim();
    this.#pending.set(claim, { claim, connection, request, from: UNKNOWN, hasSession: null });
    this.#parts.line.claim({
      claim,
      clientId: connection.clientId,
      discard: request.cleanStart,
      isKept: request.sessionExpiryMs > 0,
      user: this.#parts.line.countsUsers ? (connection.admission?.username ?? null) : null,
    });
  }

  /** The client id is this shard's; shard `from` (-1: none) holds its session. */
  onGranted(claim: number, from: number): void {
    const pending = this.#pending.get(claim);
    if (pending === undefined) return;
    pending.from = from;
    if (from === -1) this.#begin(pending);
    else if (from === this.#parts.shardIndex) this.#takeLocal(pending);
    else if (pending.hasSession !== null) this.#takeOffer(pending, pending.hasSession);
  }

  /** The primary will not grant it. */
  onRefused(claim: number, reason: ClaimRefusal): void {
    const pending = this.#pending.get(claim);
    if (pending === undefined) return;
    this.#pending.delete(claim);
    const { connection } = pending;
    if (connection.state !== ConnectionState.connecting) return;
    if (reason === 'sessions') this.#parts.counters.add(Counter.refusedSessions, 1);
    if (reason === 'memory') this.#parts.counters.add(Counter.refusedForMemory, 1);
    if (reason === 'user') this.#parts.counters.add(Counter.refusedUserConnections, 1);
    const { reasonCode, why } = REFUSALS[reason];
    connection.refuse(reasonCode, why);
  }

  /** Another shard has claimed a client id that is held here. */
  onRelease(message: Extract<ToShard, { kind: 'release' }>): void {
    const { registry, wills, schedule, afterMade, whenDurable } = this.#parts;
    const { clientId, to, newClaim, discard } = message;
    const former = registry.get(clientId);
    former?.outlet?.closeConnection(CloseReason.takenOver);
    schedule();
    const session = this.#endAbsence(clientId);
    if (discard && session !== undefined) registry.end(session);
    const release = this.#releases.add(discard ? undefined : session, former, to, newClaim);
    // Whatever the old connection has published is on the ring before this.
    const offer = () => afterMade(release);
    if (discard) wills.whenGone(former, () => whenDurable(offer));
    else wills.whenGone(former, offer);
  }

  /** A hand-over record from shard `from`; its words are those of RecordKind. */
  onRecord(
    from: number,
    kind: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const claim = join(word0, word1);
    const isLast = (word3 & 1) === 1;
    switch (kind) {
      case RecordKind.handoverOffer:
        this.#onOffer(claim, word2 === 1);
        return;
      case RecordKind.handoverTake:
        this.#departures.onTake(claim);
        return;
      case RecordKind.handoverFilters:
        this.#arrivals.onFilters(claim, from, word2, word3, buffer, start, end);
        return;
      case RecordKind.handoverCut:
        this.#onCut(from, claim, word2);
        return;
      case RecordKind.handoverCutDone:
        this.#arrivals.onCutDone(claim, from);
        this.#departures.cut(claim, from);
        return;
      case RecordKind.handoverHead:
        this.#arrivals.onHead(claim, buffer, start, end);
        return;
      case RecordKind.handoverTraits:
        this.#arrivals.onTraits(claim, buffer, start, end);
        return;
      case RecordKind.handoverRun:
        this.#arrivals.onRun(claim, word2, word3, buffer, start, end);
        return;
      case RecordKind.handoverPart:
        this.#arrivals.onPart(claim, from, word2, isLast);
        return;
      default:
        this.#departures.onMore(from, word2);
    }
  }

  /** A claim that is this shard's without having been asked for: of a session found on disk. */
  nextClaim(): number {
    return this.#parts.shardIndex + SHARDS_MAX * ++this.#claims;
  }

  /** Sends pieces of the sessions that leave: see Departures. */
  sendPieces(): boolean {
    return this.#departures.sendPieces();
  }

  /** Whether a session is on its way here from that shard. */
  isComing(session: Session, from: number): boolean {
    return this.#arrivals.isComing(session, from);
  }

  /** Sessions that this shard lets go of for another one, which has not got them yet. */
  leavingTo(index: number): Iterable<Session> {
    return this.#releases.leavingTo(index);
  }

  /**
   * A peer died: what it was handing over is lost. What was to be handed to it stays until all
   * shards know, as they may send what is for it still: `letGo`.
   */
  dropPeer(index: number): void {
    this.#releases.dropPeer(index);
    this.#arrivals.dropPeer(index);
    for (const pending of [...this.#pending.values()]) {
      if (pending.from !== index || this.#arrivals.has(pending.claim)) continue;
      if (this.#parts.registry.isStored) this.#lost.push(pending);
      else this.#begin(pending);
    }
  }

  /** All know what was leaving for a dead peer: whoever succeeds it finds that in the store. */
  letGo(index: number): void {
    this.#releases.letGo(index);
  }

  /**
   * A dead peer has a successor: what that had said is in the store.
   * @param missed what each session that is found there gets besides, before its client comes.
   */
  recover(index: number, missed: Missed): void {
    const { registry, access, replays } = this.#parts;
    this.#arrivals.recover(index, missed, (claim, session, isThere) => {
      const pending = this.#pending.get(claim);
      if (pending !== undefined) this.#settle(pending, session, isThere);
    });
    const lost = this.#lost.splice(0);
    this.#lost.push(...lost.filter(({ from }) => from !== index));
    for (const pending of lost.filter(({ from }) => from === index)) {
      const { claim, connection, request } = pending;
      const { protocolVersion } = request;
      const kept = Number.POSITIVE_INFINITY;
      const session = registry.create(connection.clientId, kept, protocolVersion, claim);
      access.admit(session, admittedOf(pending));
      const isThere = registry.recover(session, missed);
      if (isThere && request.cleanStart) {
        registry.discard(session);
        this.#beginAnew(pending, session);
      } else {
        replays.recall(session);
        this.#settle(pending, session, isThere);
      }
    }
  }

  /** A dead peer has a successor. */
  welcomePeer(index: number): void {
    this.#departures.welcomePeer(index);
    this.#arrivals.welcomePeer(index);
  }

  /** The successor has been told the filters here. */
  onPeerTold(index: number): void {
    this.#arrivals.onPeerTold(index);
  }

  /** A session without state. */
  #begin(pending: PendingClaim): void {
    const { registry, line } = this.#parts;
    const { claim, connection, request } = pending;
    this.#pending.delete(claim);
    if (connection.state !== ConnectionState.connecting) {
      line.dropped(claim);
      return;
    }
    const { protocolVersion, sessionExpiryMs } = request;
    const { clientId } = connection;
    const session = registry.create(clientId, sessionExpiryMs, protocolVersion, claim);
    registry.keep(session);
    this.#settle(pending, session, false);
  }

  /** The same, behind one that was in the store: it is not there any more when its client knows. */
  #beginAnew(pending: PendingClaim, former: Session): void {
    const { shardIndex, wills, whenDurable } = this.#parts;
    // Whatever becomes of the shard that it was on.
    pending.from = shardIndex;
    wills.whenGone(former, () => whenDurable(() => this.#begin(pending)));
  }

  #takeLocal(pending: PendingClaim): void {
    const { registry, wills, afterMade } = this.#parts;
    const { clientId } = pending.connection;
    const former = registry.get(clientId);
    former?.outlet?.closeConnection(CloseReason.takenOver);
    this.#endAbsence(clientId);
    afterMade(() => wills.whenGone(former, () => this.#takeLeft(pending)));
  }

  /** @returns the session that is there for the client which is back; none that has expired. */
  #endAbsence(clientId: string): Session | undefined {
    const { registry, onClaimed } = this.#parts;
    // A clean session has ended with its connection.
    const session = registry.get(clientId);
    if (session !== undefined) onClaimed(session);
    return registry.get(clientId);
  }

  /** The old connection is closed, and its will published. */
  #takeLeft(pending: PendingClaim): void {
    const { registry } = this.#parts;
    const { connection, request } = pending;
    const session = registry.get(connection.clientId);
    if (session === undefined) {
      this.#begin(pending);
    } else if (request.cleanStart) {
      const isStored = session.kept !== null;
      registry.end(session);
      if (isStored) this.#beginAnew(pending, session);
      else this.#begin(pending);
    } else {
      session.claim = pending.claim;
      this.#settle(pending, session, true);
    }
  }

  #onOffer(claim: number, hasSession: boolean): void {
    const pending = this.#pending.get(claim);
    if (pending === undefined) return;
    pending.hasSession = hasSession;
    if (pending.from !== UNKNOWN) this.#takeOffer(pending, hasSession);
  }

  #takeOffer(pending: PendingClaim, hasSession: boolean): void {
    if (!hasSession) {
      this.#begin(pending);
      return;
    }
    const { claim, connection, request, from } = pending;
    const { clientId } = connection;
    // What it has is kept on its way, however long it stays then.
    const kept = Number.POSITIVE_INFINITY;
    const { registry, access } = this.#parts;
    const session = registry.create(clientId, kept, request.protocolVersion, claim);
    registry.beginTail(session);
    // Before its subscriptions come: what is routed to it then is what its client may read.
    access.admit(session, admittedOf(pending));
    session.limits = connection.profile;
    this.#arrivals.take(claim, from, session);
  }

  /**
   * Shard `from` takes a session over from shard `holder`, and this shard's runs for it from here
   * on.
   */
  #onCut(from: number, claim: number, holder: number): void {
    const { shardIndex, link, schedule } = this.#parts;
    const [low, high] = split(claim);
    const both = (1 << from) | (1 << holder);
    const cut = () => {
      const concerned = both & ~(1 << shardIndex);
      link.send(RecordKind.handoverCutDone, concerned, low, high, 0, 0, NO_BYTES, 0, 0);
      schedule();
      this.#departures.cut(claim, shardIndex);
    };
    this.#departures.cut(claim, from);
    // What the holder has published itself is in its own journal.
    if (holder === shardIndex) cut();
    else this.#beforeCut(null, 1 << holder, both, cut);
  }

  #beforeCut(session: Session | null, former: number, shards: number, cut: () => void): void {
    if (this.#parts.registry.isStored) this.cutHolds.add(session, former, shards, cut);
    else cut();
  }

  #onWhole(claim: number, session: Session): void {
    const pending = this.#pending.get(claim);
    if (pending !== undefined) this.#settle(pending, session, true);
  }

  #settle(pending: PendingClaim, session: Session, sessionPresent: boolean): void {
    const { registry, access, whenDurable } = this.#parts;
    const { claim, connection, request } = pending;
    this.#pending.delete(claim);
    access.admit(session, admittedOf(pending));
    session.limits = connection.profile;
    session.sourceMask = ALL_SOURCES;
    session.expiryMs = request.sessionExpiryMs;
    session.protocolVersion = request.protocolVersion;
    const attach = () => this.#attach(pending, session, sessionPresent);
    if (session.kept === null) {
      attach();
      return;
    }
    registry.onComing(session, request);
    // That it was here is known before anything can be sent to it.
    whenDurable(attach);
  }

  #attach(pending: PendingClaim, session: Session, sessionPresent: boolean): void {
    const { line, registry, schedule } = this.#parts;
    const { claim, connection, request } = pending;
    // The primary knows it of one that ends with its connection and has nothing to wait for.
    if (pending.from !== -1 || request.sessionExpiryMs > 0) line.settled(claim);
    schedule();
    if (connection.state === ConnectionState.connecting) {
      session.find();
      if (connection.attach(session, request, sessionPresent)) return;
    }
    // Nobody may know of one that has just begun: the client id may be one that was assigned.
    if (sessionPresent) registry.leave(session);
    else registry.end(session);
  }
}

function admittedOf({ connection }: Pick<PendingClaim, 'connection'>): Admitted {
  return connection.admission ?? ANONYMOUS;
}
