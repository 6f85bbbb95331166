/**
 * Whose client id it is. Every CONNECT claims its client id with the primary's directory. Where
 * another connection or session has it already, the old connection is closed [MQTT-3.1.4-2] and the
 * session stays or moves here.
 *
 * A session moves from its holder H to the claimer S without a message lost, doubled or reordered:
 *
 * - H offers its subscriptions to S (`handoverOffer`), and goes on queueing for the session.
 * - S subscribes a new session to them, which takes no runs from the other shards yet, announces
 *   its interest and right behind it sends `handoverCut` to all.
 * - Every shard, H too, answers `handoverCutDone`, which S and H both read in the order of its
 *   ring: its runs before the answer are H's, those behind it are S's. Each notes that in the
 *   session's `sourceMask`.
 * - H has cut all sources, and sends what it has (`handoverSession`). S puts what came meanwhile
 *   behind it, and takes the session into use when it has read every shard's answer itself: a ring
 *   that it is behind with may still bring runs that were H's.
 */
import { Packr } from 'msgpackr';
import { CloseReason } from '../base/errors.js';
import { SHARDS_MAX } from '../base/limits.js';
import { type Connection, ConnectionState } from '../connection/connection.js';
import type { ConnectPacket } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import type { Interest } from '../router/interest.js';
import type { PeerLink } from '../router/peer-link.js';
import { unpackRecord } from '../router/record-body.js';
import { type HandoverOffer, RecordKind } from '../router/records.js';
import { ALL_SOURCES, type Session, type SessionSnapshot } from '../sessions/session.js';
import type { ToShard } from './control.js';
import type { PrimaryLine } from './primary-line.js';
import type { SessionRegistry } from './session-registry.js';

const NO_BYTES = Buffer.alloc(0);
const TWO_32 = 2 ** 32;
/**
 * The first claim's number is below this: claims stay small integers for 30 million connections.
 */
const CLAIM_NUMBERS_FROM = 2 ** 25;
/** Not granted yet. */
const UNKNOWN = -2;

const packr = new Packr({ useRecords: false });

/** A CONNECT that waits for its session. */
interface PendingClaim {
  readonly claim: number;
  readonly connection: Connection;
  readonly packet: ConnectPacket;
  /** The shard that held the client id when the claim was granted. */
  from: number;
  /** The holder's offer, which may come before the primary's grant. */
  offer: HandoverOffer | null;
  /** The session that is being moved here, once the offer was taken up. */
  session: Session | null;
  /** What its former holder had for it has come. */
  isHere: boolean;
}

/** A session that is being moved away. */
interface Departure {
  readonly session: Session;
  readonly to: number;
}

/** What a takeover works with. */
export interface TakeoverParts {
  readonly shardIndex: number;
  readonly registry: SessionRegistry;
  readonly interest: Interest;
  readonly link: PeerLink;
  readonly line: PrimaryLine;
  readonly schedule: () => void;
}

/** Claims, hand-overs and the takeovers they lead to; one a shard. */
export class Takeover {
  readonly #parts: TakeoverParts;
  readonly #pending = new Map<number, PendingClaim>();
  readonly #departures = new Map<number, Departure>();
  /**
   * Begins where no earlier shard of this index can have been: its late records name its claims.
   */
  #claims = Math.floor(Math.random() * CLAIM_NUMBERS_FROM);

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
  }

  /** Asks for the client id of an authenticated CONNECT. */
  claim(connection: Connection, packet: ConnectPacket): void {
    const claim = this.#parts.shardIndex + SHARDS_MAX * ++this.#claims;
    const from = UNKNOWN;
    const pending = { claim, connection, packet, from, offer: null, session: null, isHere: false };
    this.#pending.set(claim, pending);
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
    else if (pending.offer !== null) this.#takeOffer(pending, pending.offer);
  }

  /** The primary will not grant it: too many wait for the same client id. */
  onRefused(claim: number): void {
    const pending = this.#pending.get(claim);
    if (pending === undefined) return;
    this.#pending.delete(claim);
    if (pending.connection.state !== ConnectionState.connecting) return;
    pending.connection.refuse(ConnackCode.serverUnavailable, 'too many claim this client id');
  }

  /** Another shard has claimed a client id that is held here. */
  onRelease(message: Extract<ToShard, { kind: 'release' }>): void {
    const { registry, link, schedule } = this.#parts;
    const { clientId, to, newClaim, discard } = message;
    registry.get(clientId)?.outlet?.closeConnection(CloseReason.takenOver);
    // A clean session has ended with its connection.
    const session = registry.get(clientId);
    schedule();
    if (discard) {
      if (session !== undefined) registry.end(session);
      return;
    }
    const offer: HandoverOffer = {
      exists: session !== undefined,
      subscriptions: session === undefined ? [] : [...session.subscriptions],
    };
    if (session !== undefined) this.#departures.set(newClaim, { session, to });
    const body = packr.pack(offer);
    const [low, high] = split(newClaim);
    link.send(RecordKind.handoverOffer, 1 << to, low, high, 0, 0, body, 0, body.length);
  }

  /** A hand-over record from shard `from`; its words are those of RecordKind. */
  onRecord(
    from: number,
    kind: number,
    word0: number,
    word1: number,
    word2: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const claim = word1 * TWO_32 + word0;
    const body = () => unpackRecord(buffer, start, end) as unknown;
    switch (kind) {
      case RecordKind.handoverOffer:
        this.#onOffer(claim, body() as HandoverOffer);
        return;
      case RecordKind.handoverCut:
        this.#onCut(from, claim, word2);
        return;
      case RecordKind.handoverCutDone:
        this.#onCutDone(from, claim);
        return;
      default:
        this.#onSession(claim, body() as SessionSnapshot);
    }
  }

  /** A peer died: what it was handing over is lost, what was handed to it too. */
  dropPeer(index: number): void {
    const { registry } = this.#parts;
    for (const [claim, departure] of this.#departures) {
      if (departure.to === index) {
        this.#departures.delete(claim);
        registry.end(departure.session);
      } else {
        this.#cut(claim, departure, index);
      }
    }
    for (const pending of [...this.#pending.values()]) {
      const { session } = pending;
      if (session !== null) {
        session.sourceMask |= 1 << index;
        this.#settleIfWhole(pending, session);
      }
      if (pending.from !== index || pending.isHere) continue;
      if (session !== null) registry.discard(session);
      this.#begin(pending);
    }
  }

  /** A dead peer has a successor, whose runs are not this shard's until it has been asked. */
  welcomePeer(index: number): void {
    for (const { session } of this.#pending.values()) {
      if (session !== null) session.sourceMask &= ~(1 << index);
    }
  }

  /**
   * The successor has been told the filters here. It is asked like all others: a holder that knew
   * it before this shard did waits for its answer.
   */
  onPeerTold(index: number): void {
    const { link } = this.#parts;
    for (const { claim, from, session } of this.#pending.values()) {
      if (session === null) continue;
      const [low, high] = split(claim);
      link.send(RecordKind.handoverCut, 1 << index, low, high, from, 0, NO_BYTES, 0, 0);
    }
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
    const { registry } = this.#parts;
    const { connection, packet } = pending;
    registry.get(connection.clientId)?.outlet?.closeConnection(CloseReason.takenOver);
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

  #onOffer(claim: number, offer: HandoverOffer): void {
    const pending = this.#pending.get(claim);
    if (pending === undefined) return;
    pending.offer = offer;
    if (pending.from !== UNKNOWN) this.#takeOffer(pending, offer);
  }

  #takeOffer(pending: PendingClaim, offer: HandoverOffer): void {
    if (!offer.exists) {
      this.#begin(pending);
      return;
    }
    const { shardIndex, registry, interest, link } = this.#parts;
    const { claim, connection, packet, from } = pending;
    const session = registry.create(connection.clientId, false, packet.protocolVersion, claim);
    pending.session = session;
    session.sourceMask = 1 << shardIndex;
    registry.subscribe(session, offer.subscriptions, () => {});
    interest.flush();
    const [low, high] = split(claim);
    link.send(RecordKind.handoverCut, interest.toldPeers, low, high, from, 0, NO_BYTES, 0, 0);
    this.#parts.schedule();
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
    const departure = this.#departures.get(claim);
    if (departure === undefined) return;
    this.#cut(claim, departure, shardIndex);
    if (this.#departures.has(claim)) this.#cut(claim, departure, from);
  }

  #onCutDone(from: number, claim: number): void {
    const pending = this.#pending.get(claim);
    if (pending?.session != null) {
      pending.session.sourceMask |= 1 << from;
      this.#settleIfWhole(pending, pending.session);
    }
    const departure = this.#departures.get(claim);
    if (departure !== undefined) this.#cut(claim, departure, from);
  }

  /** Takes no more of `source` for a session that leaves; sends it when that was the last. */
  #cut(claim: number, departure: Departure, source: number): void {
    const { shardIndex, interest, registry, link } = this.#parts;
    const { session, to } = departure;
    session.sourceMask &= ~(1 << source);
    if ((session.sourceMask & (interest.peers | (1 << shardIndex))) !== 0) return;
    this.#departures.delete(claim);
    const body = packr.pack(session.snapshot());
    const [low, high] = split(claim);
    link.send(RecordKind.handoverSession, 1 << to, low, high, 0, 0, body, 0, body.length);
    registry.end(session);
  }

  #onSession(claim: number, snapshot: SessionSnapshot): void {
    const pending = this.#pending.get(claim);
    if (pending === undefined || pending.session === null) return;
    pending.session.restore(snapshot);
    pending.isHere = true;
    this.#settleIfWhole(pending, pending.session);
  }

  /** Takes a session that has moved here into use, once no run can come that its holder had too. */
  #settleIfWhole(pending: PendingClaim, session: Session): void {
    const live = this.#parts.interest.peers | (1 << this.#parts.shardIndex);
    if (!pending.isHere || (session.sourceMask & live) !== live) return;
    this.#settle(pending, session, true);
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
    } else if (session.cleanSession) {
      registry.end(session);
    }
  }
}

function split(claim: number): [low: number, high: number] {
  return [claim % TWO_32, Math.floor(claim / TWO_32)];
}
