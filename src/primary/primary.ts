/**
 * The main thread's side of a running broker: the supervisor with its shards, the directory of
 * client ids, the acceptor, and the messages between them. It runs once, from `start` to `stop`;
 * server.ts is what the outside sees.
 */
import { monotonicMs, sharedMs } from '../base/clock.js';
import type { Config } from '../base/config.js';
import { Counter, Counters, sumCounters } from '../base/counters.js';
import type { Authenticate } from '../base/credentials.js';
import { LOOP_DELAY_SAMPLE_MS } from '../base/limits.js';
import type { ListenerConfig } from '../base/listener-config.js';
import { listenerFor } from '../base/listeners.js';
import type { Logger } from '../base/log.js';
import type { Materials } from '../base/materials.js';
import { MemoryLevel } from '../base/memory-level.js';
import type { InjectedMessage, ToPrimary } from '../shard/control.js';
import { AddressLimits } from '../transport/address-limits.js';
import { ListenerCounts } from '../transport/listener-counts.js';
import { Acceptor, type BoundAddress } from './acceptor.js';
import { AddressGate } from './address-gate.js';
import { Directory, type DirectoryOutput } from './directory.js';
import { chooseHandoff, type Handoff } from './handoff.js';
import { MemoryWatch } from './memory-watch.js';
import { Placement } from './placement.js';
import { type PostAnswers, ProgramAuthentication } from './program-authentication.js';
import { Publications } from './publications.js';
import { RefusalReason, Refusals } from './refusals.js';
import { ServerError, ServerErrorCode } from './server-error.js';
import { ledgerOf, type ServerStats, shardStats } from './stats.js';
import { StoreThread } from './store-thread.js';
import { Supervisor, type SupervisorEvents, type SupervisorTimeouts } from './supervisor.js';
import { TicketKeys } from './ticket-keys.js';

/**
 * What happens in a broker that its owner may want to know. Called from event handlers: must not
 * throw.
 */
export interface PrimaryEvents {
  onConnected(clientId: string): void;
  onDisconnected(clientId: string, reason: string): void;
  onShardStarted(shardIndex: number): void;
  onShardDied(shardIndex: number, cause: Error): void;
  /** No dead shard is replaced any more: the owner should stop everything. */
  onFailed(error: Error): void;
}

export interface PrimaryOptions {
  readonly config: Config;
  /** Contents of the files that it names. */
  readonly materials: Materials;
  readonly logger: Logger;
  readonly events: PrimaryEvents;
  /** Decides about clients where `config.auth` is PROGRAM_AUTHENTICATOR. */
  readonly authenticate?: Authenticate | undefined;
  /** For tests: another module in place of `workers/shard.js`, and shorter time limits. */
  readonly workerUrl?: URL | undefined;
  readonly timeouts?: Partial<SupervisorTimeouts> | undefined;
}

/** The providers that ship keep everything in memory. */
const IN_MEMORY = 'mem';

export class Primary {
  readonly #options: PrimaryOptions;
  /** As it was reloaded last. */
  #config: Config;
  readonly #shardCount: number;
  readonly #handoff: Handoff;
  readonly #supervisor: Supervisor;
  readonly #directory: Directory;
  readonly #claimRefusals: Refusals;
  readonly #placement: Placement;
  readonly #memory: MemoryWatch;
  readonly #gate: AddressGate;
  readonly #listenerCounts: ListenerCounts;
  readonly #acceptor: Acceptor;
  readonly #authentication: ProgramAuthentication | null;
  readonly #ticketKeys = new TicketKeys((keys) =>
    this.#supervisor.postAll({ kind: 'ticket-keys', keys }),
  );
  readonly #publications = new Publications((id, message) => this.#sendPublication(id, message));
  /** The counters of each shard as it runs now: looked at for every connection. */
  readonly #counters: Counters[];
  readonly #startedAt = monotonicMs();
  /** Null where sessions are in memory, and before `start`. */
  #store: StoreThread | null = null;
  #isStopped = false;
  #shardDeaths = 0;
  #watchesClients = false;

  /** @throws Error in one line when this machine cannot give shards what they need. */
  constructor(options: PrimaryOptions) {
    const { config, logger } = options;
    this.#options = options;
    this.#config = config;
    this.#shardCount = config.workers;
    this.#counters = Array.from({ length: config.workers }, () => new Counters());
    const counters = this.#counters;
    const taken = (shardIndex: number) => counters[shardIndex].get(Counter.connectionsOpened);
    const open = (shardIndex: number) => counters[shardIndex].get(Counter.connectionsOpen);
    this.#directory = new Directory(this.#directoryOutput());
    this.#takeSettings(config);
    this.#claimRefusals = new Refusals(logger);
    const { authenticate } = options;
    const post: PostAnswers = (shardIndex, answers) =>
      this.#supervisor.post(shardIndex, { kind: 'authenticated', answers });
    this.#authentication = authenticate ? new ProgramAuthentication(authenticate, post) : null;
    const isLate = (shardIndex: number) => {
      const { maxLoopDelayMs } = this.#config;
      if (maxLoopDelayMs === 0) return false;
      return counters[shardIndex].lateness(sharedMs(), LOOP_DELAY_SAMPLE_MS) > maxLoopDelayMs;
    };
    this.#placement = new Placement(config.workers, { taken, open, isLate });
    this.#handoff = chooseHandoff(
      (shardIndex, message, transfer) => this.#supervisor.post(shardIndex, message, transfer),
      taken,
    );
    this.#supervisor = new Supervisor({
      ...options,
      events: this.#supervisorEvents(),
      attachStore: (shardIndex) => this.#store?.attach(shardIndex) ?? null,
      orphansOf: (shardIndex) => this.#directory.orphansOf(shardIndex),
    });
    this.#memory = new MemoryWatch({
      word: this.#supervisor.memoryLevel,
      limitSetting: () => this.#config.memoryLimitBytes,
      logger,
      ledger: () => ledgerOf(sumCounters(this.#supervisor.allCounters())),
    });
    this.#directory.hasMemory = () => this.#memory.level < MemoryLevel.short;
    const limits = new AddressLimits(this.#supervisor.addresses, config.workers, config);
    this.#gate = new AddressGate(limits);
    this.#listenerCounts = new ListenerCounts(this.#supervisor.listenerCounts, config.workers);
    this.#acceptor = new Acceptor({
      logger,
      placement: this.#placement,
      handoff: this.#handoff,
      gate: this.#gate,
      counts: this.#listenerCounts,
      maxConnections: config.maxConnections,
      onListeners: (listeners) => this.#supervisor.postAll({ kind: 'listeners', listeners }),
    });
  }

  /** Where connections are accepted. */
  get addresses(): BoundAddress[] {
    return this.#acceptor.addresses;
  }

  /**
   * Opens the store, if there is one, and starts the shards.
   * @throws ConfigError when the store cannot be opened, ServerError when a shard cannot start; all
   * is stopped then.
   */
  async start(): Promise<void> {
    const { logger, events } = this.#options;
    const onFailed = (error: Error) => events.onFailed(error);
    const store = await StoreThread.open({ config: this.#config, logger, onFailed });
    if (this.#isStopped) {
      await store?.close();
      throw new ServerError(ServerErrorCode.notOpen, 'the server was closed while it started');
    }
    this.#store = store;
    this.#memory.start();
    await this.#supervisor.start();
  }

  /**
   * Accepts connections at `uri` from now on.
   * @param isConfigured it is one of the configuration's listeners, not the program's.
   * @throws ConfigError that says why it cannot.
   */
  async listen(uri: string, isConfigured: boolean): Promise<BoundAddress> {
    return this.#acceptor.listen(listenerFor(uri, this.#config), isConfigured);
  }

  /**
   * The listeners that there will be by another configuration.
   * @throws ConfigError when one could not be had by it.
   */
  listenersBy(config: Config): ListenerConfig[] {
    const { programUris, hasConfigured } = this.#acceptor;
    const configured = hasConfigured ? config.listeners : [];
    return [...configured, ...programUris.map((uri) => listenerFor(uri, config))];
  }

  /**
   * Goes by another configuration, in which what needs a restart is as it was. New listeners are
   * open before anybody is told.
   * @throws ConfigError when a listener cannot be had: nothing has changed then.
   * @returns what went wrong in shards, a line each.
   */
  async reload(config: Config, materials: Materials): Promise<readonly string[]> {
    const change = await this.#acceptor.prepare(config.listeners);
    this.#acceptor.change(change, (uri) => listenerFor(uri, config));
    this.#config = config;
    this.#takeSettings(config);
    this.#acceptor.maxConnections = config.maxConnections;
    this.#gate.limits.values = config;
    return this.#supervisor.reload(config, materials);
  }

  #takeSettings({ maxSessions, maxConnectionsPerUser, users }: Config): void {
    const own = new Map<string, number>();
    for (const { name, maxConnections } of users) {
      if (maxConnections !== null) own.set(name, maxConnections);
    }
    this.#directory.sessionsMax = maxSessions;
    this.#directory.userConnectionsMax = (user) => own.get(user) ?? maxConnectionsPerUser;
  }

  /** Whether shards report the clients that come and go. */
  watchClients(isWatching: boolean): void {
    if (this.#watchesClients === isWatching) return;
    this.#watchesClients = isWatching;
    this.#supervisor.postAll({ kind: 'watch-clients', enabled: isWatching });
  }

  /** Resolves when the message is on its way to all shards. @throws ServerError when it is not. */
  publish(message: InjectedMessage): Promise<void> {
    return this.#publications.add(message);
  }

  /**
   * Has the client's connection closed, its will sent. False if nobody has a session of this client
   * id.
   */
  kick(clientId: string): boolean {
    const holder = this.#directory.holderOf(clientId);
    return holder >= 0 && this.#supervisor.post(holder, { kind: 'kick', clientId });
  }

  stats(): ServerStats {
    const shards = [];
    for (let index = 0; index < this.#shardCount; index++) {
      const counters = this.#supervisor.countersOf(index);
      shards.push(shardStats(index, this.#supervisor.isLive(index), counters));
    }
    return {
      uptimeSeconds: (monotonicMs() - this.#startedAt) / 1000,
      listeners: this.addresses,
      clientIds: this.#directory.size,
      refusedConnections: this.#acceptor.refusedConnections,
      refusals: this.#acceptor.refusals,
      uncountedAddresses: this.#gate.limits.uncounted,
      shardDeaths: this.#shardDeaths,
      memoryLevel: this.#memory.level,
      memoryUsedBytes: this.#memory.usedBytes,
      memoryLimitBytes: this.#memory.limitBytes,
      shards,
      ...sumCounters(this.#supervisor.allCounters()),
    };
  }

  /** Accepts no more, lets the shards flush and close, and ends them. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#acceptor.close();
    this.#ticketKeys.close();
    this.#publications.sendAll();
    await this.#supervisor.stop();
    await this.#store?.close();
    this.#tellDropped();
    this.#claimRefusals.close();
    this.#memory.stop();
    for (let index = 0; index < this.#shardCount; index++) {
      this.#handoff.reclaim(index);
      this.#publications.shardDied(index);
    }
  }

  /** @returns the shard that it was sent to; -1: none is live. */
  #sendPublication(id: number, message: InjectedMessage): number {
    for (let shardIndex = 0; shardIndex < this.#shardCount; shardIndex++) {
      if (!this.#supervisor.isLive(shardIndex)) continue;
      if (this.#supervisor.post(shardIndex, { kind: 'publish', id, message })) return shardIndex;
    }
    return -1;
  }

  /** Says what goes with the shards' memory, by their counters, which nobody writes any more. */
  #tellDropped(): void {
    const { logger } = this.#options;
    const config = this.#config;
    const { sessions, queuedMessages, inflightMessages, retainedMessages } = sumCounters(
      this.#supervisor.allCounters(),
    );
    const dropped = {
      ...(config.sessions === IN_MEMORY ? { sessions, queuedMessages, inflightMessages } : {}),
      ...(config.topics === IN_MEMORY && this.#store === null ? { retainedMessages } : {}),
    };
    if (!Object.values(dropped).some((count) => count > 0)) return;
    logger.warn(dropped, 'sessions and messages that were only in memory are gone');
  }

  #directoryOutput(): DirectoryOutput {
    const post = (shardIndex: number, message: Parameters<Supervisor['post']>[1]) =>
      this.#supervisor.post(shardIndex, message);
    return {
      grant: (shardIndex, claim, from) => {
        post(shardIndex, { kind: 'granted', claim, from });
      },
      refuse: (shardIndex, claim, reason) => {
        post(shardIndex, { kind: 'refused', claim, reason });
        const { maxSessions } = this.#config;
        if (reason === 'sessions') {
          const detail = `the limit is ${maxSessions}: raise maxSessions, or lower sessionExpiry`;
          this.#claimRefusals.add(RefusalReason.maxSessions, detail);
        } else if (reason === 'user') {
          const detail = 'a user has all that maxConnectionsPerUser, or its own limit, allows';
          this.#claimRefusals.add(RefusalReason.maxConnectionsPerUser, detail);
        } else if (reason === 'memory') {
          const { usedBytes, limitBytes } = this.#memory;
          const detail = `${usedBytes} bytes of ${limitBytes} are used (memoryLimit)`;
          this.#claimRefusals.add(RefusalReason.memoryLimit, detail);
        }
      },
      release: (shardIndex, clientId, claim, to, newClaim, discard) => {
        post(shardIndex, { kind: 'release', clientId, claim, to, newClaim, discard });
      },
    };
  }

  #supervisorEvents(): SupervisorEvents {
    const { events } = this.#options;
    return {
      onMessage: (shardIndex, message) => this.#onMessage(shardIndex, message),
      onLaunched: (shardIndex) => {
        this.#counters[shardIndex] = new Counters(this.#supervisor.countersOf(shardIndex));
        const { listeners } = this.#acceptor;
        this.#supervisor.post(shardIndex, { kind: 'listeners', listeners });
        const { keys } = this.#ticketKeys;
        this.#supervisor.post(shardIndex, { kind: 'ticket-keys', keys });
        if (!this.#watchesClients) return;
        this.#supervisor.post(shardIndex, { kind: 'watch-clients', enabled: true });
      },
      onLive: (shardIndex) => {
        this.#directory.allLoaded(shardIndex);
        this.#supervisor.postAll({ kind: 'peer-loaded', shardIndex });
        this.#placement.setLive(shardIndex, true);
        events.onShardStarted(shardIndex);
      },
      onDead: (shardIndex, cause) => {
        this.#shardDeaths++;
        this.#placement.setLive(shardIndex, false);
        this.#directory.shardDied(shardIndex, this.#store !== null);
        this.#publications.shardDied(shardIndex);
        this.#authentication?.shardDied(shardIndex);
        events.onShardDied(shardIndex, cause);
      },
      onThreadGone: (shardIndex) => {
        this.#handoff.reclaim(shardIndex);
        this.#gate.limits.forgetShard(shardIndex);
        this.#listenerCounts.forgetShard(shardIndex);
      },
      onFailed: (error) => events.onFailed(error),
    };
  }

  #onMessage(shardIndex: number, message: ToPrimary): void {
    const { events, logger } = this.#options;
    switch (message.kind) {
      case 'loaded':
        this.#directory.load(message.sessions);
        break;
      case 'claims':
        this.#directory.claim(message.claims);
        break;
      case 'settled':
        this.#directory.settle(message.claims);
        break;
      case 'dropped':
        this.#directory.drop(message.claims);
        break;
      case 'left':
        this.#directory.leave(message.claims);
        break;
      case 'authenticate':
        this.#authentication?.ask(shardIndex, message.questions);
        break;
      case 'published':
        this.#publications.confirm(message.id, message.error);
        break;
      case 'log':
        logger[message.level]({ shard: shardIndex, ...message.fields }, message.message);
        break;
      case 'event':
        if (message.name === 'connected') events.onConnected(message.clientId);
        else events.onDisconnected(message.clientId, message.reason ?? '');
        break;
      default:
        // What is about a shard's life stays with the supervisor.
        break;
    }
  }
}
