/**
 * Whose client id it is. Every CONNECT claims its client id with the primary's directory. Where
 * another connection or session has it already, the old connection is closed [MQTT-3.1.4-2] and the
 * session stays or moves here: how is told in handover.ts. Claims on one client id are granted one
 * at a time, the next when the session of the last is in place.
 */

import { Counter, type Counters } from '../base/counters.js';
import { CloseReason } from '../base/errors.js';
import { HANDOVER_BYTES_AHEAD, HANDOVER_PIECE_BYTES } from '../base/handover-limits.js';
import { SHARDS_MAX } from '../base/limits.js';
import { type Connection, ConnectionState } from '../connection/connection.js';
import type { ConnectPacket } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import type { Interest } from '../router/interest.js';
import type { PeerLink } from '../router/peer-link.js';
import { RecordKind } from '../router/records.js';
import { ALL_SOURCES, type Session } from '../sessions/session.js';
import { Arrivals, type MovedReplays } from './arrivals.js';
import type { ClaimRefusal, ToShard } from './control.js';
import { Departures } from './departures.js';
import { type HandoverSizes, join, NO_BYTES, split } from './handover.js';
import type { PrimaryLine } from './primary-line.js';
import type { SessionRegistry } from './session-registry.js';

/**
 * The first claim's number is below this: claims stay small integers for 30 million connections.
 */
const CLAIM_NUMBERS_FROM = 2 ** 25;
/** Why a client is told to come again. */
const REFUSALS: Readonly<Record<ClaimRefusal, string>> = {
  claims: 'too many claim this client id',
  sessions: 'as many sessions are kept as may be',
};
/** Not granted yet. */
const UNKNOWN = -2;

/** A CONNECT that waits for its session. */
interface PendingClaim {
  readonly claim: number;
  readonly connection: Connection;
  readonly packet: ConnectPacket;
  /** The shard that held the client id when the claim was granted. */
  from: number;
  /** What the holder has offered, which may come before the primary's grant: null is not yet. */
  hasSession: boolean | null;
}

/** A client id that another shard has claimed, while what its connection has sent is on its way. */
interface Release {
  readonly session: Session | undefined;
  readonly to: number;
  /** The claimer has died, and what it has claimed is lost with it. */
  isLost: boolean;
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
  readonly #releases = new Set<Release>();
  readonly #departures: Departures;
  readonly #arrivals: Arrivals;
  /**
   * Begins where no earlier shard of this index can have been: its late records name its claims.
   */
  #claims = Math.floor(Math.random() * CLAIM_NUMBERS_FROM);

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
    this.#departures = new Departures({ ...parts, sizes: parts.sizes ?? SIZES });
    this.#arrivals = new Arrivals(parts, (claim, session) => this.#onWhole(claim, session));
  }

  /** Asks for the client id of an authenticated CONNECT. */
  claim(connection: Connection, packet: ConnectPacket): void {
    const claim = this.#parts.shardIndex + SHARDS_MAX * ++this.#claims;
    this.#pending.set(claim, { claim, connection, packet, from: UNKNOWN, hasSession: null });
    this.#parts.line.claim({
      claim,
      clientId: connection.clientId,
      discard: packet.cleanSession,
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
    connection.refuse(ConnackCode.serverUnavailable, REFUSALS[reason]);
  }

  /** Another shard has claimed a client id that is held here. */
  onRelease(message: Extract<ToShard, { kind: 'release' }>): void {
    const { registry, schedule, afterMade } = this.#parts;
    const { clientId, to, newClaim, discard } = message;
    registry.get(clientId)?.outlet?.closeConnection(CloseReason.takenOver);
    // A clean session has ended with its connection.
    const session = registry.get(clientId);
    schedule();
    if (discard && session !== undefined) registry.end(session);
    // It does not expire on its way.
    else session?.cancelDeadline();
    const release: Release = { session: discard ? undefined : session, to, isLost: false };
    this.#releases.add(release);
    // Whatever the old connection has published is on the ring before this.
    afterMade(() => this.#offer(release, newClaim));
  }

  #offer(release: Release, claim: number): void {
    const { session, to, isLost } = release;
    this.#releases.delete(release);
    if (!isLost) this.#departures.offer(session, to, claim);
    else if (session !== undefined) this.#parts.registry.end(session);
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

  /** Sends pieces of the sessions that leave: see Departures. */
  sendPieces(): boolean {
    return this.#departures.sendPieces();
  }

  /** A peer died: what it was handing over is lost, what was handed to it too. */
  dropPeer(index: number): void {
    for (const release of this.#releases) if (release.to === index) release.isLost = true;
    this.#departures.dropPeer(index);
    this.#arrivals.dropPeer(index);
    for (const pending of [...this.#pending.values()]) {
      if (pending.from === index && !this.#arrivals.has(pending.claim)) this.#begin(pending);
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
    const { claim, connection, packet } = pending;
    this.#pending.delete(claim);
    if (connection.state !== ConnectionState.connecting) {
      line.dropped(claim);
      return;
    }
    const { cleanSession, protocolVersion } = packet;
    const session = registry.create(connection.clientId, cleanSession, protocolVersion, claim);
    this.#settle(pending, session, false);
  }

  #takeLocal(pending: PendingClaim): void {
    const { registry, afterMade } = this.#parts;
    const { clientId } = pending.connection;
    registry.get(clientId)?.outlet?.closeConnection(CloseReason.takenOver);
    registry.get(clientId)?.cancelDeadline();
    afterMade(() => this.#takeLeft(pending));
  }

  /** The old connection is closed, and its will published. */
  #takeLeft(pending: PendingClaim): void {
    const { registry } = this.#parts;
    const { connection, packet } = pending;
    const session = registry.get(connection.clientId);
    if (session === undefined) {
      this.#begin(pending);
    } else if (packet.cleanSession) {
      registry.end(session);
      this.#begin(pending);
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
    const { claim, connection, packet, from } = pending;
    const { clientId } = connection;
    const session = this.#parts.registry.create(clientId, false, packet.protocolVersion, claim);
    this.#arrivals.take(claim, from, session);
  }

  /**
   * Shard `from` takes a session over from shard `holder`, and this shard's runs for it from here
   * on.
   */
  #onCut(from: number, claim: number, holder: number): void {
    const { shardIndex, link, schedule } = this.#parts;
    const [low, high] = split(claim);
    const concerned = ((1 << from) | (1 << holder)) & ~(1 << shardIndex);
    link.send(RecordKind.handoverCutDone, concerned, low, high, 0, 0, NO_BYTES, 0, 0);
    schedule();
    this.#departures.cut(claim, shardIndex);
    this.#departures.cut(claim, from);
  }

  #onWhole(claim: number, session: Session): void {
    const pending = this.#pending.get(claim);
    if (pending !== undefined) this.#settle(pending, session, true);
  }

  #settle(pending: PendingClaim, session: Session, sessionPresent: boolean): void {
    const { line, registry, schedule } = this.#parts;
    const { claim, connection, packet } = pending;
    this.#pending.delete(claim);
    session.sourceMask = ALL_SOURCES;
    session.cleanSession = packet.cleanSession;
    session.protocolVersion = packet.protocolVersion;
    line.settled(claim);
    schedule();
    if (connection.state === ConnectionState.connecting) {
      connection.attach(session, packet, sessionPresent);
    } else {
      registry.leave(session);
    }
  }
}
