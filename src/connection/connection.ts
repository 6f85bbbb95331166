/**
 * One client's network connection: bytes in, frames to their handlers, a state, and how it ends.
 */
import type { Socket } from 'node:net';
import { Counter } from '../base/counters.js';
import { Deadline } from '../base/deadlines.js';
import { CloseReason, ConnectRefusedError, ProtocolError } from '../base/errors.js';
import { LINGER_MS, RECENT_ROUTES, UNREAD_REPLY_BYTES_MAX } from '../base/limits.js';
import { WORK_PER_LOOK } from '../base/turn-limits.js';
import { connackFrame } from '../protocol/ack-frame.js';
import type { FrameSink } from '../protocol/frame-scan.js';
import type { ConnectPacket, ProtocolVersion, WillMessage } from '../protocol/packet.js';
import { layOutWholeWindow } from '../router/lay-out-window.js';
import { isPublishable, type Route } from '../router/route.js';
import { type Publisher, Slowdown } from '../router/slowdown.js';
import type { Session } from '../sessions/session.js';
import { willRun } from '../sessions/will.js';
import { toTopicKey } from '../topics/topic.js';
import { AckHold } from './ack-hold.js';
import { appendPingresps } from './append-acks.js';
import type { Authentication } from './authentication.js';
import { dispatchFrame, notConnected } from './dispatch.js';
import { handleAcks } from './handle-acks.js';
import { endIfAnswered } from './handle-disconnect.js';
import { handlePublishRun } from './handle-publish.js';
import type { ConnectionHost } from './host.js';
import { Outbox } from './outbox.js';
import { Reading } from './reading.js';
import { type OwedReply, ReplyQueue } from './reply-queue.js';
import { checkKeepAlive, SignsOfLife } from './signs-of-life.js';
import { workOfRun } from './turn-share.js';

/** Life of a connection. */
export const ConnectionState = {
  /** Nothing but a CONNECT may come, and it must come soon. */
  awaitConnect: 0,
  /** CONNECT has come; it is being authenticated, or its client id is being claimed. */
  connecting: 1,
  open: 2,
  /** DISCONNECT has come; replies are owed that wait for other shards. Nothing is read any more. */
  leaving: 3,
  closed: 4,
} as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

/** Why nothing is read from the socket; bits, all of which must go. */
export const Pause = {
  connecting: 1,
  slowReader: 2,
  ringFull: 4,
  quiesced: 8,
  /** Nothing behind a DISCONNECT counts. */
  leaving: 64,
  /** It has had its share of the turn: it is served in turn with others, not polled. */
  turnSpent: 16,
  /** It sends on and does not read the replies. */
  unreadReplies: 32,
  /** A packet of it is handled in parts, and is not done. */
  longPacket: 128,
  /** So many replies wait behind one that is owed that no more are to be caused. */
  subackOwed: 256,
} as const;

/** Picks one change of route in eight, at distances that fit no rhythm of topics. */
const SPREAD = 0x9e3779b1;
const SPREAD_SHIFT = 29;

/** One accepted socket of a shard. */
export class Connection extends Deadline implements FrameSink, Publisher {
  /** Unique in the shard, 1 to 2^32 - 1: what run records name the publisher by. */
  readonly id: number;
  readonly host: ConnectionHost;
  readonly socket: Socket;
  readonly outbox: Outbox;
  state: ConnectionState = ConnectionState.awaitConnect;
  session: Session | null = null;
  /** Replies in their order while one of them waits for the other shards. */
  replies: ReplyQueue | null = null;
  clientId = '';
  /** User name of its CONNECT, shortened, for the log. */
  username: string | null = null;
  protocolVersion: ProtocolVersion = 4;
  keepAliveMs = 0;
  will: WillMessage | null = null;
  /** Route of the last run: most clients publish to one topic. */
  lastRoute: Route | null = null;
  /** PUBACKs and PUBRECs withheld while a reader is behind; made by the first. */
  ackHold: AckHold | null = null;
  /** When it was last heard of; null without keep alive. */
  signs: SignsOfLife | null = null;
  /** Which read of its shard was its last. */
  readSerial = 0;
  /** The question to the authenticator while it has not answered. */
  authentication: Authentication | null = null;
  /** Routes before `lastRoute`, in a ring; made by the first client that has two topics. */
  #olderRoutes: Route[] | null = null;
  #routeChanges = 0;
  #routesNoted = 0;
  #pauses = 0;
  readonly #reading: Reading;

  constructor(host: ConnectionHost, id: number, socket: Socket, descriptor: number) {
    super();
    this.host = host;
    this.id = id;
    this.socket = socket;
    host.deadlines.set(this, host.deadlines.now, host.config.connectTimeoutMs);
    this.#reading = new Reading(this, descriptor);
    this.outbox = new Outbox(host, this, socket, descriptor);
  }

  /**
   * `length` bytes have been read into the host's read buffer, behind its headroom.
   * @returns false when no more is to be read for now.
   */
  onRead(length: number): boolean {
    return this.#reading.onRead(length);
  }

  /** Why nothing is read from the socket: bits of Pause. */
  get pauses(): number {
    return this.#pauses;
  }

  /** It is not polled from here on, since its socket has been told to read no more. */
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
    if (this.state !== ConnectionState.open) throw notConnected();
    // Not acknowledged, so it is the client's still.
    if (this.host.isStopping) return true;
    if (!handlePublishRun(this, buffer, start, end, topicStart, topicLength, header, count)) {
      this.host.scan.leaveRun();
      return false;
    }
    const subscribers = this.lastRoute === null ? 0 : this.lastRoute.subscribers.length;
    return !this.host.share.spend(workOfRun(count, subscribers)) && this.isOpen;
  }

  onAcks(type: number, count: number): boolean {
    if (this.state !== ConnectionState.open) throw notConnected();
    handleAcks(this, type, count);
    return !this.host.share.spend(1 + (count >> 4)) && this.isOpen;
  }

  onPings(count: number): boolean {
    if (this.state !== ConnectionState.open) throw notConnected();
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

  /** Accepts the CONNECT: the session is here. What was pipelined behind it is handled next. */
  attach(session: Session, packet: ConnectPacket, sessionPresent: boolean): void {
    this.session = session;
    this.state = ConnectionState.open;
    this.keepAliveMs = packet.keepAliveSeconds * 1000;
    this.will = packet.will;
    session.attach(this.outbox);
    this.outbox.session = session;
    this.append(connackFrame(0, sessionPresent, this.protocolVersion));
    session.window?.beginResend();
    layOutWholeWindow(session, this.host.arena, this.host.stamp);
    if (this.isClosed) return;
    if (session.window?.sendable) this.outbox.wake();
    if (this.keepAliveMs === 0) {
      this.cancelDeadline();
      this.socket.setKeepAlive(true, this.host.config.keepAliveSeconds * 1000);
    } else {
      this.signs = new SignsOfLife(this.host.deadlines.now);
      this.host.deadlines.set(this, this.host.deadlines.now, this.keepAliveMs * 1.5);
    }
    this.host.onAttached(this);
    this.unpause(Pause.connecting);
    this.#reading.handleKept();
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
    if (this.#pauses === 0 && this.state !== ConnectionState.closed) this.socket.pause();
    this.#pauses |= reason;
  }

  unpause(reason: number): void {
    if ((this.#pauses & reason) === 0) return;
    this.#pauses &= ~reason;
    if (this.state === ConnectionState.closed) return;
    if (this.#pauses === Pause.turnSpent) this.#reading.waitInLine();
    if (this.#pauses !== 0) return;
    this.signs?.forgive(this.host.deadlines.now);
    this.socket.resume();
  }

  /** A route it has used lately that is this topic's: many clients have a few topics in turn. */
  findRecentRoute(buffer: Buffer, topicStart: number, topicLength: number): Route | null {
    const older = this.#olderRoutes;
    if (older === null) return null;
    const { routes } = this.host;
    for (let index = 0; index < older.length; index++) {
      const route = older[index];
      if (routes.isFresh(route) && route.isTopic(buffer, topicStart, topicLength)) return route;
    }
    return null;
  }

  /** The next run goes another way than the last. */
  changeRoute(route: Route): void {
    const last = this.lastRoute;
    this.lastRoute = route;
    if (last === null) return;
    // Of ever new topics some will do, as each that is kept costs the collector.
    const change = this.#routeChanges++;
    if (change >= RECENT_ROUTES && Math.imul(change, SPREAD) >>> SPREAD_SHIFT !== 0) return;
    this.#olderRoutes ??= [];
    if (this.#olderRoutes.includes(last)) return;
    this.#olderRoutes[this.#routesNoted++ % RECENT_ROUTES] = last;
  }

  recentRoutes(): readonly Route[] {
    const { lastRoute } = this;
    if (lastRoute === null) return [];
    const older = (this.#olderRoutes ?? []).filter(
      ({ topicKey }) => topicKey !== lastRoute.topicKey,
    );
    return [lastRoute, ...older];
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

  /**
   * Closes for what was thrown while handling its bytes. @throws what is no fault of the client.
   */
  fail(error: unknown): void {
    if (error instanceof ProtocolError) {
      this.close(error.reason, { clause: error.clause, detail: error.message });
    } else if (error instanceof ConnectRefusedError) {
      this.refuse(error.returnCode, error.message);
    } else {
      throw error;
    }
  }

  /** Answers CONNECT with a non-zero return code and closes [MQTT-3.2.2-5]. */
  refuse(returnCode: number, detail: string): void {
    this.append(connackFrame(returnCode, false, this.protocolVersion));
    this.host.counters.add(Counter.connectRefused, 1);
    this.close(CloseReason.connectRefused, { returnCode, detail });
  }

  /**
   * Ends the connection; a second call does nothing. What was handled before is flushed, and the
   * will is published but after DISCONNECT [MQTT-3.1.2-8, 3.14.4-3].
   * @param details for the log line.
   */
  close(reason: CloseReason, details: object = {}): void {
    if (this.state === ConnectionState.closed) return;
    const { host, session, will } = this;
    host.onClosing(this, reason, details);
    // What its last acks acknowledge is to be seen by the other shards before they leave.
    host.flushRing();
    this.outbox.flush(host.arena.buffer);
    this.state = ConnectionState.closed;
    host.deadlines.set(this, host.deadlines.now, LINGER_MS);
    const isFlushed = !this.outbox.isBlocked;
    this.outbox.close();
    this.#reading.clear();
    this.lastRoute = null;
    this.#olderRoutes = null;
    this.session = null;
    this.will = null;
    this.ackHold = null;
    this.replies = null;
    this.authentication?.abandon();
    if (session !== null) {
      session.detach();
      this.outbox.session = null;
    }
    // Read on, to throw it away: closing with unread bytes would take our last reply from the
    // client.
    if (isFlushed && reason !== CloseReason.connectionLost) {
      this.socket.resume();
      this.socket.end();
    } else {
      this.socket.destroy();
    }
    const isWillWanted =
      reason !== CloseReason.clientDisconnected && reason !== CloseReason.serverShutdown;
    if (will !== null && isWillWanted) {
      const topicKey = toTopicKey(will.topic);
      // No more than the client could have published itself.
      if (isPublishable(topicKey)) {
        host.router.publishRun(willRun(will), topicKey);
        host.schedule();
      }
    }
    host.onClosed(this, session, reason);
  }

  /**
   * The client has closed its side: it takes nothing more, whatever TCP would allow. What it has
   * sent behind its CONNECT may be a publication and DISCONNECT, and is handled when that is
   * accepted.
   */
  onEnd(): void {
    if (!this.#reading.endsLater()) this.close(CloseReason.connectionLost);
  }

  /** The socket is closed: whatever the reason, it is no fault of this side. */
  onSocketClosed(): void {
    this.close(CloseReason.connectionLost);
    this.cancelDeadline();
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
        this.socket.destroy();
    }
  }
}
