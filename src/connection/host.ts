/** What a connection needs of its shard. The shard implements it; nothing here knows how. */
import type { Config } from '../base/config.js';
import type { Counters } from '../base/counters.js';
import type { Deadline, Deadlines } from '../base/deadlines.js';
import type { CloseReason } from '../base/errors.js';
import type { FrameScan } from '../protocol/frame-scan.js';
import type { ConnectPacket, QoS } from '../protocol/packet.js';
import type { RouteCache } from '../router/route.js';
import type { Router } from '../router/router.js';
import type { TurnArena } from '../router/turn-arena.js';
import type { Session } from '../sessions/session.js';
import type { Authenticator } from './authenticator.js';
import type { Servable } from './busy-connections.js';
import type { Connection } from './connection.js';
import type { OutboxHost } from './outbox.js';
import type { TurnShare } from './turn-share.js';
import type { UnfinishedPackets } from './unfinished-packets.js';

/** See shard/turn.ts, and PeerLink of router/peer-link.ts. */
export interface CatchingUp {
  /** There is time for more of what other shards have; else what is read now has to wait. */
  readonly mayCatchUp: boolean;
  /**
   * Before what was read is handled: is all handed over that was acknowledged or delivered to
   * anybody before? False: it waits until `isPast(mark())`, a share of some later turn.
   */
  catchUp(): boolean;
  mark(): number;
  isPast(mark: number): boolean;
}

/** Everything of a shard that a connection works with. */
export interface ConnectionHost extends OutboxHost {
  readonly config: Config;
  readonly counters: Counters;
  /** Where a connection has its own: `onDeadline` is called when it comes. */
  readonly deadlines: Deadlines<Deadline>;
  readonly scan: FrameScan;
  readonly arena: TurnArena;
  /** What is left of the turn for whom the shard is busy with. */
  readonly share: TurnShare;
  /** Bounds the unfinished packets of all connections. */
  readonly unfinished: UnfinishedPackets;
  /** READ_HEADROOM_BYTES, then READ_BUFFER_BYTES that sockets read into. */
  readonly readBuffer: Buffer;
  readonly routes: RouteCache;
  readonly router: Router;
  readonly authenticator: Authenticator;
  /** Not more than AUTHENTICATIONS_WAITING_MAX CONNECTs wait for it. */
  readonly mayWaitForAuthenticator: boolean;
  /** The server is closing: only acks of clients still count. */
  readonly isStopping: boolean;
  /** Nothing new is kept: no sessions, no subscriptions, no retained messages. */
  readonly isShortOfMemory: boolean;
  /** The ring to the other shards is full, or holds much work: whoever feeds it waits. */
  readonly isRingFull: boolean;

  /** What was read is handled behind what other shards have told anybody of before. */
  readonly turn: CatchingUp;
  /** Work was done that a turn's end has to follow. */
  schedule(): void;
  /** Lets the other shards see what is on the ring. */
  flushRing(): void;
  /**
   * The connection's socket was read, and what came is handled. Flushes now when the arena has
   * filled, instead of at the end of the turn.
   */
  afterRead(connection: Connection): void;
  /** Flushes now when the arena has filled. */
  flushWhenFull(): void;
  /** Its share of the turn is used up: `serve` is called in this turn or the next. */
  onBusy(connection: Servable): void;
  /**
   * The connection waits until the ring has room; its share of the turn is over. What answers it
   * from here on leaves when all that it has sent is on the ring.
   */
  waitForRing(connection: Connection): void;
  /** Asks for the client id of an authenticated CONNECT; `connection.attach` follows. */
  claim(connection: Connection, packet: ConnectPacket): void;
  /** Subscribes a session; calls back when every shard routes the filters. */
  subscribe(
    session: Session,
    filters: readonly (readonly [filterKey: string, qos: QoS])[],
    confirmed: () => void,
  ): void;
  unsubscribe(session: Session, filterKey: string): void;
  /** Sends what is retained for filters just subscribed; once for each `subscribe`. */
  replayRetained(
    session: Session,
    filters: readonly (readonly [filterKey: string, qos: QoS])[],
  ): void;
  /** Whether log lines at debug level are wanted: they are made for that alone. */
  readonly isDebugLogged: boolean;
  /** The connection has its session: its CONNACK says 0. */
  onAttached(connection: Connection): void;
  /** The connection is about to be closed, for `reason`; `details` are for the log. */
  onClosing(connection: Connection, reason: CloseReason, details: object): void;
  /** The connection is closed; `session` is what it was attached to. */
  onClosed(connection: Connection, session: Session | null, reason: CloseReason): void;
  /** The socket of a closed connection is closed too. */
  onGone(connection: Connection): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', fields: object, message: string): void;
}
