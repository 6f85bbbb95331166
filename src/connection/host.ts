/** What a connection needs of its shard. The shard implements it; nothing here knows how. */

import type { Authenticator } from '../access/authenticator.js';
import type { RefusedAddresses } from '../access/refused-addresses.js';
import type { Rights } from '../access/rights.js';
import type { Config } from '../base/config.js';
import type { Counters } from '../base/counters.js';
import type { Admission } from '../base/credentials.js';
import type { Deadline, Deadlines } from '../base/deadlines.js';
import type { CloseReason } from '../base/errors.js';
import type { RateDebts } from '../base/rate-debts.js';
import type { FrameScan } from '../protocol/frame-scan.js';
import type { FrameScan5 } from '../protocol/v5/index.js';
import type { Route, RouteCache } from '../router/route.js';
import type { Router } from '../router/router.js';
import type { TurnArena } from '../router/turn-arena.js';
import type { DelayedWills } from '../sessions/delayed-wills.js';
import type { Session } from '../sessions/session.js';
import type { Grant } from '../topics/grant.js';
import type { Servable } from './busy-connections.js';
import type { ClientProfile } from './client-profile.js';
import type { ConnectRequest } from './connect-request.js';
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
  /** A socket is read. @returns whether the shard has just woken for it: see `awaitOthers`. */
  onRead(): boolean;
  /**
   * Lets other shards that have just woken, too, handle what they read first: what is published
   * here may be for a client that is subscribing there (router/wakes.ts).
   */
  awaitOthers(): void;
  mark(): number;
  isPast(mark: number): boolean;
}

/** Is told of clients that come to a limit. */
export interface LimitSink {
  /** Counts it by `counter`, one of Counter, and logs it, if not too often. */
  note(counter: number, clientId: string): void;
}

/** Whom something is forbidden, as a log line says it: a connection, or a session. */
export interface Forbidden {
  readonly clientId: string;
  readonly username: string | null;
}
/** What may be forbidden where it is tried; what may not be read is left out where it is sent. */
export type ForbiddenAction = 'publish' | 'subscribe' | 'will';

/** What access rules say of clients. */
export interface AccessHost {
  /** What somebody that is let in may do; null: everything, as no rules are configured. */
  rightsOf(admitted: Pick<Admission, 'username' | 'rules'>, clientId: string): Rights | null;
  /** Gives a session the rights of whom its client is let in as, before it is sent anything. */
  admit(session: Session, admitted: Pick<Admission, 'username' | 'rules'>): void;
  /**
   * Its rights forbid a client something: counts it, and logs it, if not too often.
   * @param count of messages, or filters.
   */
  onForbidden(who: Forbidden, action: ForbiddenAction, topicKey: string, count: number): void;
}

/** Where a store keeps what is acknowledged: see shard/durable-acks.ts. */
export interface DurableHost {
  /** So much waits for the disk that nothing more that is kept is taken from anybody now. */
  readonly isFull: boolean;
  /** The disk takes nothing, or the store is full. */
  readonly isRefusing: boolean;
  /**
   * Whether a message that goes this way is not to be taken now: one of both, or a shard that keeps
   * it has died and has no successor yet.
   * @param retained how long the message is that its topic retains then; 0: none.
   */
  mustHold(route: Route, header: number, retained: number): boolean;
  /** Whether such a message is to be kept, and cannot be for as long as may be. */
  refuses(route: Route, header: number, retained: number): boolean;
  /** The connection publishes what cannot be kept now: it is read from again when it can. */
  hold(connection: Connection): void;
  /** It has ended, and waits no more. */
  forget(connection: Connection): void;
  /**
   * What is journaled and sent from here on is one thing: until `end`.
   * @param isPending its packet ids are journaled, too.
   */
  begin(isPending: boolean): void;
  /** Has what the connection is answered from here on wait for all since `begin`. */
  end(connection: Connection): void;
  /** Has it wait for what is journaled until the end of the turn. */
  wait(connection: Connection): void;
  /** Has it wait for all there is, here and elsewhere. */
  waitForAll(connection: Connection): void;
}

/** Everything of a shard that a connection works with. */
export interface ConnectionHost extends OutboxHost {
  readonly config: Config;
  readonly counters: Counters;
  readonly clientLog: { readonly limits: LimitSink };
  /** Where a connection has its own: `onDeadline` is called when it comes. */
  readonly deadlines: Deadlines<Deadline>;
  readonly scan: FrameScan;
  /** For 5.0 connections. It notes packet ids where `scan` does. */
  readonly scan5: FrameScan5;
  readonly arena: TurnArena;
  /** What is left of the turn for whom the shard is busy with. */
  readonly share: TurnShare;
  /** Bounds the unfinished packets of all connections. */
  readonly unfinished: UnfinishedPackets;
  /** READ_HEADROOM_BYTES, then READ_BUFFER_BYTES that sockets read into. */
  readonly readBuffer: Buffer;
  readonly routes: RouteCache;
  readonly router: Router;
  /** Of clients that are away, for their Will Delay Interval. */
  readonly wills: DelayedWills;
  readonly authenticator: Authenticator;
  readonly refusedAddresses: RefusedAddresses;
  /** Of clients that have sent too much, on whichever shard. */
  readonly rateDebts: RateDebts;
  readonly access: AccessHost;
  /** Not more than AUTHENTICATIONS_WAITING_MAX CONNECTs wait for it. */
  readonly mayWaitForAuthenticator: boolean;
  /** The server is closing: only acks of clients still count. */
  readonly isStopping: boolean;
  /** Nothing new is kept: no sessions, no subscriptions, no retained messages. */
  readonly isShortOfMemory: boolean;
  /** The ring to the other shards is full, or holds much work: whoever feeds it waits. */
  readonly isRingFull: boolean;

  /**
   * What holds for a client.
   * @param listener that it came by.
   * @param username whom it was let in as; null: nobody, or not yet.
   */
  profileOf(listener: string, username: string | null): ClientProfile;
  /** Null: nothing is kept on disk. */
  readonly durable: DurableHost | null;

  /** What was read is handled behind what other shards have told anybody of before. */
  readonly turn: CatchingUp;
  /** Work was done that a turn's end has to follow. */
  schedule(): void;
  /** Lets the other shards see what is on the ring. */
  flushRing(): void;
  /**
   * The connection's socket was read, and what came is handled. Flushes now when the arena has
   * filled, instead of at the end of the turn.
   * @param isPolled false for one that was read in its turn: it is looked at for memory alone.
   */
  afterRead(connection: Connection, isPolled?: boolean): void;
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
  claim(connection: Connection, request: ConnectRequest): void;
  /**
   * Subscribes a session; calls back when every shard routes the filters.
   * @param replayed those of them that `replayRetained` is to be called for then.
   */
  subscribe(
    session: Session,
    filters: readonly (readonly [filterKey: string, grant: Grant])[],
    replayed: readonly (readonly [filterKey: string, grant: Grant])[],
    confirmed: () => void,
  ): void;
  /** @returns false when it was not subscribed to. */
  unsubscribe(session: Session, filterKey: string): boolean;
  /** Sends what is retained for the `replayed` of a `subscribe`; once for each. */
  replayRetained(
    session: Session,
    filters: readonly (readonly [filterKey: string, grant: Grant])[],
  ): void;
  /** Whether log lines at debug level are wanted: they are made for that alone. */
  readonly isDebugLogged: boolean;
  /** The connection has its session: its CONNACK says 0, and is sent next. */
  onAccepted(connection: Connection): void;
  /** What its session had to send is on its way behind CONNACK. */
  onAttached(connection: Connection): void;
  /** The connection is about to be closed, for `reason`; `details` are for the log. */
  onClosing(connection: Connection, reason: CloseReason, details: object): void;
  /** The connection is closed; `session` is what it was attached to. */
  onClosed(connection: Connection, session: Session | null, reason: CloseReason): void;
  /** The socket of a closed connection is closed too. */
  onGone(connection: Connection): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', fields: object, message: string): void;
}
