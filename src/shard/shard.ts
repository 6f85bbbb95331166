/**
 * One worker thread: its connections, sessions and routes, and everything that ties them together.
 */
import type { Authenticator } from '../access/authenticator.js';
import { AuthenticationQueues } from '../access/make-chain.js';
import { RefusedAddresses } from '../access/refused-addresses.js';
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
import type { Materials } from '../base/materials.js';
import { RateDebts } from '../base/rate-debts.js';
import { busyMsPerTurn } from '../base/turn-limits.js';
import { BusyConnections, type Servable } from '../connection/busy-connections.js';
import type { ClientProfile } from '../connection/client-profile.js';
import type { ConnectRequest } from '../connection/connect-request.js';
import type { Connection } from '../connection/connection.js';
import type { ConnectionHost } from '../connection/host.js';
import type { Outbox } from '../connection/outbox.js';
import type { OutboxTotal } from '../connection/outbox-total.js';
import { makeScans } from '../connection/scans.js';
import type { TurnShare } from '../connection/turn-share.js';
import { UnfinishedPackets, unfinishedShare } from '../connection/unfinished-packets.js';
import type { FrameScan } from '../protocol/frame-scan.js';
import { type FrameScan5, ReasonCode } from '../protocol/v5/index.js';
import { Interest } from '../router/interest.js';
import type { Members } from '../router/members.js';
import { PeerLink } from '../router/peer-link.js';
import type { Filters } from '../router/replay-filters.js';
import { RetainedInMemory } from '../router/retained-in-memory.js';
import type { RetainedMessage } from '../router/retained-message.js';
import { RetainedReplays } from '../router/retained-replay.js';
import { RetainedStore, retainedShare } from '../router/retained-store.js';
import { RouteCache } from '../router/route.js';
import { Router } from '../router/router.js';
import type { TurnArena } from '../router/turn-arena.js';
import type { DelayedWills } from '../sessions/delayed-wills.js';
import { QueuedTotal, queuedShare } from '../sessions/queued-total.js';
import type { Session } from '../sessions/session.js';
import { SlowQueue, type SlowQueueLimits } from '../sessions/slow-queue.js';
import type { TopicsProvider } from '../topics/provider.js';
import { AddressLimits } from '../transport/address-limits.js';
import { ListenerCounts } from '../transport/listener-counts.js';
import { Adoption } from './adoption.js';
import { Backpressure } from './backpressure.js';
import { ClientLog } from './client-log.js';
import { ClientProfiles } from './client-profiles.js';
import type { Coalescing } from './coalescing.js';
import type { ShardStart } from './control.js';
import { DeadPeers } from './dead-peers.js';
import type { DurableAcks } from './durable-acks.js';
import { LoopDelay } from './loop-delay.js';
import { accessTableOf, makeAccess, makeWills } from './make-access.js';
import { makeMembers } from './make-members.js';
import { makeDurableAcks, makeStore, type ShardStore } from './make-store.js';
import { makeWakes } from './make-wakes.js';
import { MemoryGuard } from './memory-guard.js';
import { MemoryPressure } from './memory-pressure.js';
import { Patience } from './patience.js';
import { PrimaryLine } from './primary-line.js';
import { ProgramAuthenticator } from './program-authenticator.js';
import { ShardRecords } from './records-in.js';
import { takeSettings } from './reload.js';
import { chainOf } from './reload-clients.js';
import { SessionRegistry } from './session-registry.js';
import type { SessionWatch } from './session-watch.js';
import type { ShardAccess } from './shard-access.js';
import { onDue, startClocks, watchSessions } from './shard-clocks.js';
import type { ShardProviders } from './shard-providers.js';
import { Takeover } from './takeover.js';
import { Turn, type TurnSteps } from './turn.js';
import { TurnWork } from './turn-work.js';
import { UnreadableRecords } from './unreadable-records.js';

/** A shard at work. What the primary asks of it comes through shard-control.ts. */
export class Shard implements ConnectionHost {
  /** These two are replaced when the broker is reloaded: see reload.ts. */
  config: Config;
  materials: Materials;
  readonly shardIndex: number;
  readonly providers: ShardProviders;
  readonly counters: Counters;
  readonly addresses: AddressLimits;
  readonly listenerCounts: ListenerCounts;
  readonly rateDebts: RateDebts;
  readonly scan: FrameScan;
  readonly scan5: FrameScan5;
  readonly arena: TurnArena;
  readonly share: TurnShare;
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_HEADROOM_BYTES + READ_BUFFER_BYTES);
  readonly scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  readonly routes: RouteCache;
  readonly router: Router;
  authenticator: Authenticator;
  readonly authenticationQueues: AuthenticationQueues;
  readonly programAuthenticator: ProgramAuthenticator;
  readonly refusedAddresses = new RefusedAddresses();
  /** What `takeSettings` works out of the configuration. */
  coalescing: Coalescing | null = null;
  readonly connections = new Map<number, Connection>();
  readonly adoption = new Adoption(this);
  /** Outboxes over their mark, or with many unread replies. */
  readonly heavyOutboxes = new Set<Outbox>();
  readonly line: PrimaryLine;
  readonly clientLog: ClientLog;
  readonly link: PeerLink;
  readonly interest: Interest;
  readonly topics: TopicsProvider<Session, RetainedMessage>;
  readonly retained: RetainedStore;
  readonly replays: RetainedReplays;
  readonly patience: Patience;
  readonly backpressure: Backpressure;
  readonly profiles: ClientProfiles;
  readonly memory: MemoryGuard;
  readonly pressure: MemoryPressure;
  readonly queuedTotal: QueuedTotal;
  readonly unfinished: UnfinishedPackets;
  readonly members: Members;
  /** Null: sessions and retained messages are in memory alone. */
  readonly store: ShardStore | null;
  readonly registry: SessionRegistry;
  readonly takeover: Takeover;
  readonly durable: DurableAcks | null;
  readonly deadPeers: DeadPeers;
  readonly turn: Turn;
  readonly work: TurnWork;
  readonly ticker = new Ticker(SWEEP_MS);
  readonly deadlines = new Deadlines<Deadline>(this.ticker.now, onDue.bind(null, this));
  readonly sessionWatch: SessionWatch;
  readonly loopDelay = new LoopDelay();
  /** Of clients that are away, for their Will Delay Interval. */
  readonly wills: DelayedWills = makeWills(this);
  readonly access: ShardAccess;
  isStopping = false;
  /** Its store is closed: nothing is done any more. */
  isClosed = false;
  readonly #busy: BusyConnections;

  constructor(start: ShardStart, providers: ShardProviders) {
    const { config, shardIndex, shardCount } = start;
    const schedule = () => this.turn.schedule();
    this.config = config;
    this.materials = start.materials;
    this.shardIndex = shardIndex;
    this.providers = providers;
    this.topics = providers.topics;
    this.counters = new Counters(start.counters);
    this.addresses = new AddressLimits(start.addresses, shardCount, config);
    this.listenerCounts = new ListenerCounts(start.listenerCounts, shardCount);
    this.rateDebts = new RateDebts(start.rateDebts);
    ({ scan: this.scan, scan5: this.scan5 } = makeScans(config));
    this.line = new PrimaryLine(start.port, config.logLevel, schedule);
    this.clientLog = new ClientLog(this.line, shardCount, this.counters);
    this.link = this.#makeLink(start);
    this.work = new TurnWork(this);
    this.interest = new Interest(this.link, shardIndex, shardCount);
    this.routes = new RouteCache(providers.topics, shardCount);
    const busyMs = busyMsPerTurn(shardCount);
    const steps = this.#turnSteps();
    const records = new ShardRecords(this);
    this.turn = new Turn(this.link, records, makeWakes(this, start), steps, busyMs);
    const flush = () => this.turn.flush();
    this.#busy = new BusyConnections(busyMs, flush, () => this.turn.ownMs);
    ({ arena: this.arena, share: this.share } = this.turn);
    this.patience = this.#makePatience(shardIndex);
    this.backpressure = new Backpressure(shardIndex, this.link, this.patience);
    this.pressure = new MemoryPressure(this, this.counters, start.memoryLevel);
    this.profiles = new ClientProfiles(config, this);
    this.memory = new MemoryGuard(this.profiles, this.counters, this.line, this.pressure);
    this.queuedTotal = new QueuedTotal(queuedShare(config.maxQueuedTotalBytes, shardCount));
    this.store = makeStore(this, start.store, shardCount);
    this.unfinished = new UnfinishedPackets(unfinishedShare(config, shardCount));
    this.retained = this.#makeRetained(shardCount);
    const { retained, backpressure: pressure, deadlines: clock } = this;
    this.router = new Router({ ...this.#parts(shardIndex), retained, pressure, clock });
    this.replays = this.#makeReplays(shardIndex, shardCount);
    this.access = makeAccess(this, providers.store, accessTableOf(config, start.materials));
    this.members = makeMembers(this, shardIndex, shardCount);
    const { interest, members } = this;
    this.registry = new SessionRegistry({
      ...{ ...this.#parts(shardIndex), ...providers, interest, members },
      limits: this.profiles.common,
      rows: this.store?.rows ?? null,
      onAbsent: (session) => this.sessionWatch.onAbsent(session),
      schedule,
    });
    this.takeover = this.#makeTakeover(shardIndex);
    this.durable = makeDurableAcks(this, shardCount);
    this.deadPeers = new DeadPeers({ topics: providers.topics, routes: this.routes, schedule });
    this.programAuthenticator = new ProgramAuthenticator(
      this.line,
      this.deadlines,
      config.authTimeoutMs,
    );
    this.authenticationQueues = new AuthenticationQueues(shardCount);
    this.authenticator = chainOf(this);
    this.sessionWatch = watchSessions(this);
    takeSettings(this);
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

  get mayWaitForAuthenticator(): boolean {
    return this.counters.get(Counter.authenticationsWaiting) < AUTHENTICATIONS_WAITING_MAX;
  }

  get isShortOfMemory(): boolean {
    return this.memory.isShort;
  }

  get outboxTotal(): OutboxTotal {
    return this.pressure.outboxes;
  }

  get shedsQos0(): boolean {
    return this.pressure.shedsQos0;
  }

  get isRingFull(): boolean {
    return this.link.isFull;
  }

  onDirty(outbox: Outbox): void {
    this.turn.addDirty(outbox);
  }

  onHeavy(outbox: Outbox): void {
    this.heavyOutboxes.add(outbox);
  }

  onRelieved(outbox: Outbox): void {
    if (!outbox.isHeavy && !outbox.hasUnreadReplies) this.heavyOutboxes.delete(outbox);
    this.work.onRelieved(outbox);
  }

  onSlowConsumer(clientId: string): void {
    this.clientLog.limits.note(Counter.slowConsumers, clientId);
  }

  makeSlowQueue(isLatest: boolean, limits: SlowQueueLimits): SlowQueue {
    return new SlowQueue(isLatest, this.queuedTotal, limits);
  }

  profileOf(listener: string, username: string | null): ClientProfile {
    return this.profiles.of(listener, username);
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
    this.durable?.submit();
    this.link.flush();
    this.link.tell();
  }

  afterRead(connection: Connection, isPolled = true): void {
    this.memory.onRead(this.counters.get(Counter.bytesReceived));
    this.pressure.onRead(connection);
    if (!isPolled) return;
    this.coalescing?.onRead(connection);
    if (this.interest.hasChanges) this.work.announce();
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
    this.work.ringWaits.wait(connection);
  }

  claim(connection: Connection, request: ConnectRequest): void {
    const isNew = this.registry.get(connection.clientId) === undefined;
    const areWillsMany = this.router.made.bytes > MADE_RUNS_BYTES_MAX;
    const refuse = (why: string) => connection.refuse(ReasonCode.serverUnavailable, why);
    // Of the process the primary thinks, which knows of sessions on other shards too.
    if (isNew && this.memory.isHeapShort) refuse('memory is short: no new sessions');
    else if (request.will !== null && areWillsMany) refuse('too many wills wait for other workers');
    else this.takeover.claim(connection, request);
  }

  subscribe(session: Session, filters: Filters, replayed: Filters, confirmed: () => void): void {
    const kept = session.kept === null ? confirmed : () => this.whenDurable(confirmed);
    const then = replayed.length > 0 ? this.replays.expect(session, replayed, kept) : kept;
    this.registry.subscribe(session, filters, then);
  }

  unsubscribe(session: Session, filterKey: string): boolean {
    const wasSubscribed = this.registry.unsubscribe(session, filterKey);
    this.replays.leave(session, filterKey);
    return wasSubscribed;
  }

  replayRetained(session: Session, filters: Filters): void {
    this.replays.start(session, filters);
  }

  onGone(connection: Connection): void {
    this.connections.delete(connection.id);
    this.patience.forget(connection.id);
    this.addresses.leave(connection.addressPlace, this.shardIndex);
    this.listenerCounts.leave(connection.listenerSlot, this.shardIndex);
    this.counters.add(Counter.connectionsOpen, -1);
  }

  onAccepted(connection: Connection): void {
    this.store?.kept.watch(connection.session!);
    this.clientLog.connected(connection);
    this.line.event('connected', connection.clientId);
  }

  onAttached({ session }: Connection): void {
    this.replays.resume(session!);
    this.members.onHere(session!);
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
    // That it has left is to be on disk, though nothing else may happen here for long.
    this.schedule();
  }

  /** Calls back when all that is to be on disk so far is: at once, where nothing is. */
  whenDurable(done: () => void): void {
    if (this.durable === null) done();
    else this.durable.whenDurable(done);
  }

  log(level: 'debug' | 'info' | 'warn' | 'error', fields: object, message: string): void {
    this.line.log(level, fields, message);
  }

  #parts(shardIndex: number) {
    const { routes, arena, link, counters, line, queuedTotal, deadlines, wills } = this;
    const afterMade = (done: () => void) => this.router.made.whenPublished(done);
    const own = { routes, arena, link, counters, line, queuedTotal, deadlines, wills };
    return { shardIndex, ...own, afterMade };
  }

  #turnSteps(): TurnSteps {
    return {
      onDrained: () => this.replays.pump(this.pressure.delaysReplays),
      onTurn: () => this.work.onTurn(),
      onBusy: () => this.#busy.serve(),
      beforeFlush: () => this.work.beforeFlush(),
      afterFlush: () => this.work.afterFlush(),
      onIdle: (hasDrained) => this.coalescing?.onTurnEnd(hasDrained) ?? false,
    };
  }

  #makeLink(start: ShardStart): PeerLink {
    const unreadable = new UnreadableRecords(this.counters, this.line, this.ticker);
    return new PeerLink({
      ...start,
      onDoorbell: () => this.turn.schedule(),
      hasOtherNews: () => this.durable?.hasNews === true,
      onUnreadable: (from, kind, error) => unreadable.note(from, kind, error),
    });
  }

  #makeRetained(shardCount: number): RetainedStore {
    const share = retainedShare(this.config, shardCount);
    const topics = this.store?.retained ?? new RetainedInMemory(this.topics);
    return new RetainedStore(topics, this.counters, share, this.memory);
  }

  #makeReplays(shardIndex: number, shardCount: number): RetainedReplays {
    return new RetainedReplays({
      ...{ ...this.#parts(shardIndex), shardCount, retained: this.retained },
      drops: this.router.drops,
      rows: this.store?.replays ?? null,
      peers: () => this.interest.peers,
      clock: this.deadlines,
      schedule: () => this.turn.schedule(),
    });
  }

  #makeTakeover(shardIndex: number): Takeover {
    const { registry, interest, replays, access, topics } = this;
    interest.isKept = (filterKey) => topics.isKeptHere(filterKey);
    return new Takeover({
      ...{ ...this.#parts(shardIndex), registry, interest, replays, access },
      schedule: () => this.turn.schedule(),
      onClaimed: (session) => this.sessionWatch.onClaimed(session),
      whenDurable: (done) => this.whenDurable(done),
      whenKept: (shards, done) => this.durable!.whenKept(shards, done),
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
}
