/**
 * One worker thread: its connections, sessions and routes, and everything that ties them together.
 */
import type { Socket } from 'node:net';
import { Ticker } from '../base/clock.js';
import type { Config } from '../base/config.js';
import { Counter, Counters } from '../base/counters.js';
import { type Deadline, Deadlines } from '../base/deadlines.js';
import type { CloseReason } from '../base/errors.js';
import {
  AUTHENTICATIONS_WAITING_MAX,
  MADE_RUNS_BYTES_MAX,
  READ_BUFFER_BYTES,
  READ_HEADROOM_BYTES,
  SCRATCH_BYTES,
  SWEEP_MS,
} from '../base/limits.js';
import { WordIds } from '../base/word-ids.js';
import type { Authenticator } from '../connection/authenticator.js';
import { BusyConnections, type Servable } from '../connection/busy-connections.js';
import { ClientSocket, listenToMoved } from '../connection/client-socket.js';
import { Connection } from '../connection/connection.js';
import type { ConnectionHost } from '../connection/host.js';
import type { Outbox } from '../connection/outbox.js';
import type { TurnShare } from '../connection/turn-share.js';
import { UnfinishedPackets, unfinishedShare } from '../connection/unfinished-packets.js';
import { FrameScan } from '../protocol/frame-scan.js';
import type { ConnectPacket } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import { Interest } from '../router/interest.js';
import { PeerLink } from '../router/peer-link.js';
import type { Filters } from '../router/replay.js';
import type { RetainedMessage } from '../router/retained-message.js';
import { RetainedReplays } from '../router/retained-replay.js';
import { RetainedStore, retainedShare } from '../router/retained-store.js';
import { recordBytesMax } from '../router/ring.js';
import { RouteCache } from '../router/route.js';
import { Router } from '../router/router.js';
import type { TurnArena } from '../router/turn-arena.js';
import { QueuedTotal, queuedShare } from '../sessions/queued-total.js';
import type { Session } from '../sessions/session.js';
import { willRun } from '../sessions/will.js';
import type { TopicsProvider } from '../topics/provider.js';
import { toTopicKey } from '../topics/topic.js';
import { Backpressure } from './backpressure.js';
import { ClientLog } from './client-log.js';
import { Coalescing } from './coalescing.js';
import type { InjectedMessage, ShardStart } from './control.js';
import { DeadPeers } from './dead-peers.js';
import { LoopDelay } from './loop-delay.js';
import { MemoryGuard } from './memory-guard.js';
import { Patience } from './patience.js';
import { PrimaryLine } from './primary-line.js';
import { ProgramAuthenticator } from './program-authenticator.js';
import { ShardRecords } from './records-in.js';
import { RingWaits } from './ring-waits.js';
import { SessionRegistry } from './session-registry.js';
import type { SessionWatch } from './session-watch.js';
import { onDue, startClocks, watchSessions } from './shard-clocks.js';
import type { ShardProviders } from './shard-providers.js';
import { Takeover } from './takeover.js';
import { Turn } from './turn.js';
import { UnreadableRecords } from './unreadable-records.js';

/** A shard at work. What the primary asks of it comes through shard-control.ts. */
export class Shard implements ConnectionHost {
  readonly config: Config;
  readonly counters: Counters;
  readonly scan: FrameScan;
  readonly arena: TurnArena;
  readonly share: TurnShare;
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_HEADROOM_BYTES + READ_BUFFER_BYTES);
  readonly scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  readonly routes: RouteCache;
  readonly router: Router;
  readonly authenticator: Authenticator;
  readonly outboxBytes: number;
  readonly outboxBytesMax: number;
  readonly connections = new Map<number, Connection>();
  /** Outboxes over their mark, or with many unread replies. */
  readonly heavyOutboxes = new Set<Outbox>();
  readonly line: PrimaryLine;
  readonly clientLog: ClientLog;
  readonly link: PeerLink;
  readonly interest: Interest;
  readonly topics: TopicsProvider<Session, RetainedMessage>;
  readonly replays: RetainedReplays;
  readonly patience: Patience;
  readonly backpressure: Backpressure;
  readonly memory: MemoryGuard;
  readonly queuedTotal: QueuedTotal;
  readonly unfinished: UnfinishedPackets;
  readonly registry: SessionRegistry;
  readonly takeover: Takeover;
  readonly deadPeers: DeadPeers;
  readonly turn: Turn;
  readonly coalescing: Coalescing | null;
  readonly ticker = new Ticker(SWEEP_MS);
  readonly deadlines = new Deadlines<Deadline>(this.ticker.now, onDue.bind(null, this));
  readonly sessionWatch: SessionWatch;
  readonly loopDelay = new LoopDelay();
  isStopping = false;
  readonly #providers: ShardProviders;
  readonly #readSlice = this.readBuffer.subarray(READ_HEADROOM_BYTES);
  readonly #connectionIds = new WordIds();
  readonly #busy = new BusyConnections(
    () => this.turn.flush(),
    () => this.turn.ownMs,
  );
  readonly #ringWaits: RingWaits;
  #relieved: Outbox[] = [];

  constructor(start: ShardStart, providers: ShardProviders) {
    const { config, shardIndex, shardCount } = start;
    const schedule = () => this.turn.schedule();
    this.config = config;
    this.#providers = providers;
    this.outboxBytes = config.outboxBytes;
    this.outboxBytesMax = Math.max(config.maxQueuedBytes, config.outboxBytes);
    this.topics = providers.topics;
    this.counters = new Counters(start.counters);
    this.scan = new FrameScan(config.maxPacketBytes, recordBytesMax(config.ringBytes));
    this.line = new PrimaryLine(start.port, config.logLevel, schedule);
    this.clientLog = new ClientLog(this.line, shardCount);
    this.link = this.#makeLink(start);
    this.#ringWaits = new RingWaits(this.link);
    this.interest = new Interest(this.link, shardIndex, shardCount);
    this.routes = new RouteCache(providers.topics, shardCount);
    this.coalescing = config.coalesceReads ? new Coalescing() : null;
    this.turn = new Turn(this.link, new ShardRecords(this), {
      onDrained: () => this.replays.pump(),
      onTurn: () => this.#onTurn(),
      onBusy: () => this.#busy.serve(),
      beforeFlush: () => this.interest.flush(),
      afterFlush: () => this.#afterFlush(),
      onIdle: (hasDrained) => this.coalescing?.onTurnEnd(hasDrained) ?? false,
    });
    this.arena = this.turn.arena;
    this.share = this.turn.share;
    this.patience = this.#makePatience(shardIndex);
    this.backpressure = new Backpressure(shardIndex, this.link, this.patience);
    this.memory = new MemoryGuard(config, this.counters, this.line);
    this.queuedTotal = new QueuedTotal(queuedShare(config.maxQueuedTotalBytes, shardCount));
    this.unfinished = new UnfinishedPackets(unfinishedShare(config, shardCount));
    const share = retainedShare(config, shardCount);
    const retained = new RetainedStore(providers.topics, this.counters, share, this.memory);
    this.router = new Router({
      ...this.#parts(shardIndex),
      retained,
      pressure: this.backpressure,
      limits: config,
      clock: this.deadlines,
    });
    this.replays = new RetainedReplays({
      ...this.#parts(shardIndex),
      shardCount,
      retained,
      drops: this.router.drops,
      peers: () => this.interest.peers,
      clock: this.deadlines,
      schedule,
    });
    this.registry = new SessionRegistry({
      ...this.#parts(shardIndex),
      store: providers.store,
      topics: providers.topics,
      interest: this.interest,
      limits: this.memory.windowLimits,
      onAbsent: (session) => this.sessionWatch.onAbsent(session),
      schedule,
    });
    const { deadlines, line, registry, interest, replays } = this;
    const moved = { registry, interest, replays };
    this.takeover = new Takeover({ ...this.#parts(shardIndex), ...moved, schedule });
    this.deadPeers = new DeadPeers({ topics: providers.topics, routes: this.routes, schedule });
    this.authenticator =
      providers.authenticator ?? new ProgramAuthenticator(line, deadlines, config.authTimeoutMs);
    this.sessionWatch = watchSessions(this);
    startClocks(this);
    // The first turn goes to sleep in a way that the peers know of.
    this.turn.schedule();
  }

  get isDebugLogged(): boolean {
    return this.line.isLogged('debug');
  }

  get now(): number {
    return this.ticker.now;
  }

  get stamp(): number {
    return this.deadlines.now;
  }

  /** The authenticator, where that is the program. */
  get programAuthenticator(): ProgramAuthenticator | null {
    return this.authenticator instanceof ProgramAuthenticator ? this.authenticator : null;
  }

  get mayWaitForAuthenticator(): boolean {
    return this.counters.get(Counter.authenticationsWaiting) < AUTHENTICATIONS_WAITING_MAX;
  }

  get isShortOfMemory(): boolean {
    return this.memory.isShort;
  }

  get isRingFull(): boolean {
    return this.link.isFull;
  }

  /** Takes a socket over by its descriptor: from here on this shard is its one owner. */
  adoptDescriptor(descriptor: number): void {
    const socket = new ClientSocket(descriptor, this.#readSlice);
    socket.connection = this.#adopt(socket, descriptor);
  }

  /**
   * Takes over a socket that the runtime moved to this thread, which reads into buffers of its own.
   */
  adoptSocket(socket: Socket): void {
    listenToMoved(socket, this.#adopt(socket, -1), this.#readSlice);
  }

  onDirty(outbox: Outbox): void {
    this.turn.addDirty(outbox);
  }

  onHeavy(outbox: Outbox): void {
    this.heavyOutboxes.add(outbox);
  }

  onRelieved(outbox: Outbox): void {
    if (!outbox.isHeavy && !outbox.hasUnreadReplies) this.heavyOutboxes.delete(outbox);
    // Not now: a flush may be under way, and a publisher that goes on appends its acks.
    this.#relieved.push(outbox);
    this.turn.schedule();
  }

  onDelivering(session: Session): void {
    this.sessionWatch.begin(session);
  }

  onSent(bytes: number): void {
    this.counters.add(Counter.bytesSent, bytes);
  }

  onDelivered(messages: number): void {
    this.counters.add(Counter.messagesDelivered, messages);
  }

  schedule(): void {
    this.turn.schedule();
  }

  flushRing(): void {
    this.link.flush();
    this.link.tell();
  }

  afterRead(connection: Connection): void {
    this.memory.onRead(this.counters.get(Counter.bytesReceived));
    this.coalescing?.onRead(connection);
    this.turn.afterRead();
  }

  flushWhenFull(): void {
    this.turn.flushWhenFull();
  }

  onBusy(connection: Servable): void {
    this.#busy.add(connection);
    this.turn.schedule();
  }

  waitForRing(connection: Connection): void {
    this.share.end();
    this.#ringWaits.wait(connection);
  }

  claim(connection: Connection, packet: ConnectPacket): void {
    const isNew = this.registry.get(connection.clientId) === undefined;
    const areWillsMany = this.router.made.bytes > MADE_RUNS_BYTES_MAX;
    const refuse = (why: string) => connection.refuse(ConnackCode.serverUnavailable, why);
    if (isNew && this.memory.isShort) refuse('memory is short: no new sessions');
    else if (packet.will !== null && areWillsMany) refuse('too many wills wait for other workers');
    else this.takeover.claim(connection, packet);
  }

  subscribe(session: Session, filters: Filters, confirmed: () => void): void {
    this.replays.expect(session, filters);
    this.registry.subscribe(session, filters, confirmed);
  }

  unsubscribe(session: Session, filterKey: string): void {
    this.registry.unsubscribe(session, filterKey);
    this.replays.leave(session, filterKey);
  }

  replayRetained(session: Session, filters: Filters): void {
    this.replays.start(session, filters);
  }

  onGone(connection: Connection): void {
    this.connections.delete(connection.id);
    this.patience.forget(connection.id);
    this.counters.add(Counter.connectionsOpen, -1);
  }

  onAttached(connection: Connection): void {
    this.replays.resume(connection.session!);
    this.clientLog.connected(connection);
    this.line.event('connected', connection.clientId);
  }

  onClosing(connection: Connection, reason: CloseReason, details: object): void {
    this.clientLog.closing(connection, reason, details);
  }

  onClosed(connection: Connection, session: Session | null, reason: CloseReason): void {
    this.counters.addClosed(reason);
    if (session === null) return;
    this.sessionWatch.end(session);
    this.line.event('disconnected', connection.clientId, reason);
    this.replays.park(session);
    this.registry.leave(session);
  }

  log(level: 'debug' | 'info' | 'warn' | 'error', fields: object, message: string): void {
    this.line.log(level, fields, message);
  }

  /** Publishes a message of the embedding program; calls back when that is done. */
  publish(message: InjectedMessage, published: () => void): void {
    const payload = Buffer.from(message.payload);
    this.router.publishRun(willRun({ ...message, payload }), toTopicKey(message.topic));
    this.router.made.whenPublished(published);
    this.turn.schedule();
  }

  /** A peer died: what it has acknowledged is in its ring. */
  dropPeer(index: number): void {
    this.turn.drainDead(index);
    this.link.dropPeer(index);
    if (this.deadPeers.drop(index)) this.line.say({ kind: 'peer-welcomed', shardIndex: index });
    this.routes.invalidateAll();
    this.interest.dropPeer(index);
    this.backpressure.dropPeer(index);
    this.patience.dropPeer(index);
    this.takeover.dropPeer(index);
    this.replays.dropPeer(index);
    this.turn.schedule();
  }

  /**
   * The successor of a dead peer: it has to learn what is subscribed to here. The primary hears of
   * the welcome when it has: clients are sent there then.
   */
  welcomePeer(index: number, ring: SharedArrayBuffer, doorbellWriteFd: number): void {
    this.deadPeers.whenForgotten(index, () => this.#welcome(index, ring, doorbellWriteFd));
  }

  #welcome(index: number, ring: SharedArrayBuffer, doorbellWriteFd: number): void {
    this.link.replacePeer(index, ring, doorbellWriteFd);
    this.takeover.welcomePeer(index);
    this.interest.welcomePeer(
      index,
      this.topics.localFilters(),
      () => this.takeover.onPeerTold(index),
      () => this.line.say({ kind: 'peer-welcomed', shardIndex: index }),
    );
    this.turn.schedule();
  }

  /** Closes what the providers hold; nothing is called after it. */
  async closeProviders(): Promise<void> {
    await this.authenticator.close?.();
    await this.#providers.store.close();
    await this.topics.close();
  }

  #parts(shardIndex: number) {
    const { routes, arena, link, counters, line, queuedTotal } = this;
    const afterMade = (done: () => void) => this.router.made.whenPublished(done);
    return { shardIndex, routes, arena, link, counters, line, queuedTotal, afterMade };
  }

  #makeLink(start: ShardStart): PeerLink {
    const unreadable = new UnreadableRecords(this.counters, this.line, this.ticker);
    return new PeerLink({
      ...start,
      onDoorbell: () => this.turn.schedule(),
      onUnreadable: (from, kind, error) => unreadable.note(from, kind, error),
    });
  }

  #makePatience(shardIndex: number): Patience {
    return new Patience({
      ...this.#parts(shardIndex),
      publishers: (id) => this.connections.get(id),
      clock: () => performance.now(),
      schedule: () => this.turn.schedule(),
    });
  }

  #adopt(socket: Socket, descriptor: number): Connection {
    const id = this.#connectionIds.next(this.connections);
    const connection = new Connection(this, id, socket, descriptor);
    this.connections.set(id, connection);
    this.counters.add(Counter.connectionsOpened, 1);
    this.counters.add(Counter.connectionsOpen, 1);
    if (this.isStopping) socket.destroy();
    return connection;
  }

  #onTurn(): void {
    if (this.router.made.goOn()) this.turn.schedule();
    // What would be removed goes with the shard anyway.
    if (!this.isStopping) this.registry.onTurn();
    this.deadPeers.onTurn();
  }

  #afterFlush(): void {
    if (this.line.hasCollected) this.link.tell();
    this.line.flush();
    if (this.#relieved.length > 0) {
      const relieved = this.#relieved;
      this.#relieved = [];
      for (const outbox of relieved) this.backpressure.relieve(outbox);
      // What was said to publishers on other shards is on the ring, and has to be seen there.
      this.turn.schedule();
    }
    this.#ringWaits.answer();
    if (this.link.isBlocked) return;
    if (this.router.made.areWaiting) {
      this.router.made.goOn();
      this.turn.schedule();
    }
    const isToldMore = this.interest.sendPieces();
    if (this.takeover.sendPieces() || isToldMore) this.turn.schedule();
    this.replays.answers.onRingRoom();
    this.#ringWaits.goOn();
  }
}
