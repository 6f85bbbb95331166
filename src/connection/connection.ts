/**
 * One client's network connection: bytes in, frames to their handlers, a state, and how it ends.
 */
import type { Config } from '../base/config.js';
import type { Admission } from '../base/credentials.js';
import { Deadline } from '../base/deadlines.js';
import { CloseReason } from '../base/errors.js';
import { FRAME_BYTES_MAX, LINGER_MS, UNREAD_REPLY_BYTES_MAX } from '../base/limits.js';
import { WORK_PER_LOOK } from '../base/turn-limits.js';
import { QOS_MASK } from '../protocol/fixed-header.js';
import type { FrameScan, FrameSink } from '../protocol/frame-scan.js';
import type { ProtocolVersion } from '../protocol/packet.js';
import type { FrameScan5 } from '../protocol/v5/index.js';
import type { Route } from '../router/route.js';
import { type Publisher, Slowdown } from '../router/slowdown.js';
import type { Session } from '../sessions/session.js';
import type { Will } from '../sessions/will.js';
import { NO_PLACE } from '../transport/address-table.js';
import type { Transport, TransportOwner } from '../transport/transport.js';
import { AckHold } from './ack-hold.js';
import { dismiss } from './admit.js';
import { acceptConnect, refuseConnect } from './answer-connect.js';
import { appendPingresps } from './append-acks.js';
import type { ClientProfile } from './client-profile.js';
import type { ConnectRequest } from './connect-request.js';
import { type CloseDetails, ConnectionState, Pause } from './connection-state.js';
import { dispatchFrame } from './dispatch.js';
import type { EnhancedAuthentication } from './enhanced-authentication.js';
import { farewell5 } from './farewell5.js';
import { handleAcks } from './handle-acks.js';
import { handleAcks5 } from './handle-acks5.js';
import { endIfAnswered } from './handle-disconnect.js';
import { handlePublishRun } from './handle-publish.js';
import { handlePublishRun5 } from './handle-publish5.js';
import type { ConnectionHost } from './host.js';
import type { IncomingAliases } from './incoming-aliases.js';
import { leaveWill } from './leave-will.js';
import { Outbox } from './outbox.js';
import { notOpen } from './packet-errors.js';
import type { RateLimit } from './rate-limit.js';
import { Reading } from './reading.js';
import type { ReceiveQuota } from './receive-quota.js';
import { RecentRoutes } from './recent-routes.js';
import type { PendingDecision } from './refuse-client.js';
import { refusedFlagsError } from './refused-flags.js';
import { type OwedReply, ReplyQueue } from './reply-queue.js';
import { checkKeepAlive, type SignsOfLife } from './signs-of-life.js';
import { workOfRun } from './turn-share.js';

export { ConnectionState, Pause } from './connection-state.js';

/** One accepted connection of a shard: the owner of its transport. */
export class Connection extends Deadline implements FrameSink, Publisher, TransportOwner {
  /** Unique in the shard, 1 to 2^32 - 1: what run records name the publisher by. */
  readonly id: number;
  readonly host: ConnectionHost;
  readonly transport: Transport;
  readonly outbox: Outbox;
  state: ConnectionState = ConnectionState.awaitConnect;
  session: Session | null = null;
  /** Replies in their order while one of them waits for the other shards. */
  replies: ReplyQueue | null = null;
  clientId = '';
  /** User name of its CONNECT, shortened, for the log. */
  username: string | null = null;
  protocolVersion: ProtocolVersion = 4;
  /** Longest frame that the client takes, in bytes. */
  maximumPacketSize = FRAME_BYTES_MAX;
  /** It wants to be told why something failed [MQTT-3.1.2-29]. */
  wantsReasons = false;
  /** It brings messages from another server, and says so in its protocol level. */
  isBridge = false;
  keepAliveMs = 0;
  /** What holds for it; see `giveProfile`. */
  profile: ClientProfile;
  /**
   * Its configuration at its CONNECT: what it was told there of packets, topic aliases, QoS and
   * retained messages holds for as long as it stays, whatever is reloaded.
   */
  terms: Config;
  /** Bits of a PUBLISH header that are not taken by it: see refused-flags.ts. */
  refusedFlags = 0;
  will: Will | null = null;
  /** Route of the last run: most clients publish to one topic. */
  lastRoute: Route | null = null;
  /** PUBACKs and PUBRECs withheld while a reader is behind; made by the first. */
  ackHold: AckHold | null = null;
  /** Topic Aliases that the client has given; made by the first. */
  aliases: IncomingAliases | null = null;
  /** When it was last heard of; null without keep alive. */
  signs: SignsOfLife | null = null;
  /** Where it is counted by its address (transport/address-limits.ts). */
  addressPlace = NO_PLACE;
  /** Where it is counted by its listener (transport/listener-counts.ts). */
  listenerSlot = 0;
  /** Which read of its shard was its last. */
  readSerial = 0;
  /** The last of its replies that wait for the disk: its shard's to write. */
  durableWait: object | null = null;
  /** Made where the server has said a Receive Maximum. */
  quota: ReceiveQuota | null = null;
  /** Where its rates are limited; made with its session. */
  rate: RateLimit | null = null;
  /** What is waited for while the authenticator has not answered, or it is not told yet. */
  authentication: PendingDecision | null = null;
  /** Who it has been let in as; null before. */
  admission: Admission | null = null;
  /** Where its CONNECT names an Authentication Method. */
  enhanced: EnhancedAuthentication | null = null;
  /** Routes before `lastRoute`; made when there are two topics. */
  #recentRoutes: RecentRoutes | null = null;
  #pauses = 0;
  readonly #reading: Reading;

  constructor(host: ConnectionHost, id: number, transport: Transport) {
    super();
    this.host = host;
    this.profile = host.profileOf(transport.peer.listener, null);
    this.terms = this.profile.config;
    this.id = id;
    this.transport = transport;
    transport.owner = this;
    host.deadlines.set(this, host.deadlines.now, host.config.connectTimeoutMs);
    this.#reading = new Reading(this);
    this.outbox = new Outbox(host, this, transport, this.profile);
  }

  /**
   * `length` bytes have been read into the host's read buffer, behind its headroom.
   * @returns false when no more is to be read for now.
   */
  onRead(length: number): boolean {
    return this.#reading.onRead(length);
  }

  /** What finds the frames in what it sends. */
  get scan(): FrameScan | FrameScan5 {
    return this.protocolVersion === 5 ? this.host.scan5 : this.host.scan;
  }

  /** Why nothing is read: bits of Pause. */
  get pauses(): number {
    return this.#pauses;
  }

  /** It is not polled from here on, since its transport has been told to read no more. */
  spendTurn(): void {
    this.#pauses |= Pause.turnSpent;
  }

  onRun(
    buffer: Buffer,
    start: number,
    end: number,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
  ): boolean {
    if (this.state !== ConnectionState.open) throw notOpen(this.state);
    // Not acknowledged, so it is the client's still.
    if (this.host.isStopping) return true;
    const { refusedFlags } = this;
    if ((header & refusedFlags) !== 0) throw refusedFlagsError(header & refusedFlags);
    // Two calls: of one that is picked here V8 would know less.
    const isHandled =
      this.protocolVersion === 5
        ? handlePublishRun5(this, buffer, start, end, topicStart, topicLength, header, count)
        : handlePublishRun(this, buffer, start, end, topicStart, topicLength, header, count);
    if (!isHandled) {
      this.scan.leaveRun();
      return false;
    }
    this.rate?.onMessages(count);
    this.quota?.spend(this, (header & QOS_MASK) >> 1, count);
    const subscribers = this.lastRoute === null ? 0 : this.lastRoute.subscribers.length;
    return !this.host.share.spend(workOfRun(count, subscribers)) && this.isOpen;
  }

  aliasedTopicBytes(alias: number): number {
    return this.aliases?.topicOf(alias)?.length ?? 0;
  }

  onAcks(type: number, count: number): boolean {
    if (this.state !== ConnectionState.open) throw notOpen(this.state);
    if (this.protocolVersion === 5) handleAcks5(this, type, count);
    else handleAcks(this, type, count);
    return !this.host.share.spend(1 + (count >> 4)) && this.isOpen;
  }

  onPings(count: number): boolean {
    if (this.state !== ConnectionState.open) throw notOpen(this.state);
    // An answer would say that what was published before it is taken.
    if (this.host.isStopping) return true;
    appendPingresps(this, count);
    return !this.host.share.spend(1 + (count >> 6)) && this.isOpen;
  }

  onFrame(buffer: Buffer, start: number, end: number): boolean {
    dispatchFrame(this, buffer, start, end);
    if (this.host.isRingFull && this.isOpen) this.host.waitForRing(this);
    return !this.host.share.spend(WORK_PER_LOOK) && this.isOpen;
  }

  get isClosed(): boolean {
    return this.state === ConnectionState.closed;
  }

  get isOpen(): boolean {
    return this.state === ConnectionState.open;
  }

  /** The client is to answer the authenticator by AUTH, and may have done so. */
  awaitAuth(): void {
    this.state = ConnectionState.awaitAuth;
    this.unpause(Pause.connecting);
    this.#reading.handleKept();
  }

  /**
   * Accepts the CONNECT: the session is here. What was pipelined behind it is handled next.
   * @returns false when it cannot be accepted: it is closed, and has never had the session.
   */
  attach(session: Session, request: ConnectRequest, sessionPresent: boolean): boolean {
    if (!acceptConnect(this, session, request, sessionPresent)) return false;
    if (this.isClosed) return true;
    this.unpause(Pause.connecting);
    if ((this.#pauses & Pause.overRate) === 0) this.#reading.handleKept();
    return true;
  }

  /** It owes nothing any more: what it had pipelined behind its CONNECT is handled, too. */
  goOnBelowRate(): void {
    this.unpause(Pause.overRate);
    if (this.isOpen) this.#reading.handleKept();
  }

  /** Sends a small packet at the end of the turn, in order with all other replies. */
  append(bytes: Buffer): void {
    if (this.replies === null) {
      this.#appendNow(bytes);
      return;
    }
    this.replies.add(bytes);
    this.boundReplies();
  }

  /** A reply is owed: others wait behind it until `answer`. */
  owe(): OwedReply {
    this.replies ??= new ReplyQueue();
    const owed = this.replies.owe();
    this.boundReplies();
    // What else was read waits too.
    if ((this.#pauses & Pause.subackOwed) !== 0) this.host.share.end();
    return owed;
  }

  /**
   * Sends an owed reply in its turn. @param packet empty: nothing but what waits behind it.
   * @param onSent to be done when it is out; not where it is empty.
   */
  answer(owed: OwedReply, packet: Buffer, onSent: () => void): void {
    const { replies } = this;
    if (replies === null) return;
    owed.packet = packet;
    owed.onSent = onSent;
    const isEmpty = replies.release((packets) => this.#appendNow(packets));
    // What was sent may have closed the connection.
    if (this.replies === null) return;
    if (isEmpty) {
      this.replies = null;
      endIfAnswered(this);
    }
    if (replies.bytes <= UNREAD_REPLY_BYTES_MAX >> 1) this.unpause(Pause.subackOwed);
  }

  /** Replies were added to those that wait. */
  boundReplies(): void {
    if (this.replies!.bytes > UNREAD_REPLY_BYTES_MAX) this.pause(Pause.subackOwed);
  }

  #appendNow(bytes: Buffer): void {
    const at = this.host.arena.copy(bytes, 0, bytes.length);
    this.outbox.appendReply(at, at + bytes.length);
  }

  onUnreadReplies(areMany: boolean): void {
    if (areMany) this.pause(Pause.unreadReplies);
    else this.unpause(Pause.unreadReplies);
  }

  pause(reason: number): void {
    if (this.#pauses === 0 && this.state !== ConnectionState.closed) this.transport.pause();
    this.#reading.onPause(reason);
    this.#pauses |= reason;
  }

  unpause(reason: number): void {
    if ((this.#pauses & reason) === 0) return;
    this.#pauses &= ~reason;
    if (this.state === ConnectionState.closed) return;
    if (this.#pauses === Pause.turnSpent) this.#reading.waitInLine();
    if (this.#pauses !== 0) return;
    this.signs?.forgive(this.host.deadlines.now);
    this.transport.resume();
  }

  /** A route it has used lately that is this topic's: many clients have a few topics in turn. */
  findRecentRoute(buffer: Buffer, topicStart: number, topicLength: number): Route | null {
    const recent = this.#recentRoutes;
    return recent === null ? null : recent.find(this.host.routes, buffer, topicStart, topicLength);
  }

  /** The next run goes another way than the last. */
  changeRoute(route: Route): void {
    const last = this.lastRoute;
    this.lastRoute = route;
    if (last === null) return;
    this.#recentRoutes ??= new RecentRoutes();
    this.#recentRoutes.note(last);
  }

  /** What it may publish to is looked up again. */
  forgetRoutes(): void {
    this.lastRoute = null;
    this.#recentRoutes = null;
  }

  recentRoutes(): readonly Route[] {
    const { lastRoute } = this;
    if (lastRoute === null) return [];
    return [lastRoute, ...(this.#recentRoutes?.besides(lastRoute) ?? [])];
  }

  /** Slows this publisher down, or lets it go on: see shard/backpressure.ts. */
  slowDown(how: Slowdown, shards: number): void {
    if (how === Slowdown.stopReading) {
      if (shards !== 0) this.pause(Pause.slowReader);
      else this.unpause(Pause.slowReader);
      return;
    }
    this.ackHold ??= new AckHold();
    this.ackHold.isHolding = shards !== 0;
    if (shards === 0 && this.ackHold.length > 0) this.append(this.ackHold.release());
  }

  /** Answers CONNECT with a reason code of 5.0, and closes. `detail` is for log and client. */
  refuse(reasonCode: number, detail: string): void {
    refuseConnect(this, reasonCode, detail);
  }

  /**
   * Ends the connection; a second call does nothing. What was handled before is flushed, and the
   * will is published but after DISCONNECT [MQTT-3.1.2-8, 3.14.4-3].
   * @param details for the log line; its `detail` is said to a 5.0 client too.
   * @param reasonCode for a 5.0 client, where it is not the one that goes with `reason`.
   */
  close(reason: CloseReason, details: CloseDetails = {}, reasonCode?: number): void {
    if (this.state === ConnectionState.closed) return;
    const { host, session, will } = this;
    host.onClosing(this, reason, details);
    // What its last acks acknowledge is to be seen by the other shards before they leave.
    host.flushRing();
    this.outbox.flush(host.arena.buffer);
    if (this.protocolVersion === 5) this.#sayWhy(reason, reasonCode, details.detail);
    this.state = ConnectionState.closed;
    host.deadlines.set(this, host.deadlines.now, LINGER_MS);
    const isFlushed = !this.outbox.isBlocked;
    this.outbox.close();
    this.#reading.clear();
    this.forgetRoutes();
    this.session = null;
    this.will = null;
    this.ackHold = null;
    this.aliases = null;
    this.replies = null;
    dismiss(this);
    this.rate?.close();
    if (session !== null) {
      session.detach();
      this.outbox.session = null;
    }
    // Read on, to throw it away: closing with unread bytes would take our last reply from the
    // client.
    const isThere = reason !== CloseReason.connectionLost && !this.transport.isDestroyed;
    if (isFlushed && isThere) {
      this.transport.resume();
      this.transport.end();
    } else {
      this.transport.destroy();
    }
    if (will !== null) leaveWill(host, session, will, reason);
    host.onClosed(this, session, reason);
  }

  /** Behind it nothing may follow [MQTT-3.14.4-1]: what the window holds stays there. */
  #sayWhy(reason: CloseReason, reasonCode: number | undefined, detail = ''): void {
    const { outbox, host } = this;
    const packet = outbox.isBlocked ? null : farewell5(this, reason, reasonCode, detail);
    if (packet === null) return;
    outbox.session = null;
    this.#appendNow(packet);
    outbox.flush(host.arena.buffer);
  }

  /**
   * The client has closed its side: it takes nothing more, whatever TCP would allow. What it has
   * sent behind its CONNECT may be a publication and DISCONNECT, and is handled when that is
   * accepted.
   */
  onEnd(): void {
    if (!this.#reading.endsLater()) this.close(CloseReason.connectionLost);
  }

  charge(work: number): boolean {
    return this.#reading.charge(work);
  }

  onFault(reason: CloseReason, detail: string): void {
    this.close(reason, { detail });
  }

  /** Whatever the reason, it is no fault of this side. */
  onTransportClosed(reason: CloseReason = CloseReason.connectionLost): void {
    this.close(reason);
    this.cancelDeadline();
    this.host.durable?.forget(this);
    this.host.onGone(this);
  }

  /** Its deadline has come: which one, its state says. */
  onDeadline(): void {
    switch (this.state) {
      case ConnectionState.awaitConnect:
        this.close(CloseReason.connectTimeout);
        return;
      case ConnectionState.connecting:
        this.authentication?.onTimeout();
        return;
      case ConnectionState.open:
        checkKeepAlive(this, this.signs!, this.#pauses === 0, this.#reading.keptBytes);
        return;
      case ConnectionState.leaving:
        this.close(CloseReason.clientDisconnected);
        return;
      default:
        this.transport.destroy();
    }
  }
}
