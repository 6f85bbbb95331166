/**
 * The main thread's side of a running broker: the supervisor with its shards, the directory of
 * client ids, the acceptor, and the messages between them. It runs once, from `start` to `stop`;
 * server.ts is what the outside sees.
 */
import { monotonicMs } from '../base/clock.js';
import type { Config } from '../base/config.js';
import { Counter, Counters, sumCounters } from '../base/counters.js';
import type { Authenticate } from '../base/credentials.js';
import type { Logger } from '../base/log.js';
import type { InjectedMessage, ToPrimary } from '../shard/control.js';
import { Acceptor, type BoundAddress } from './acceptor.js';
import { Directory, type DirectoryOutput } from './directory.js';
import { chooseHandoff, type Handoff } from './handoff.js';
import { Placement } from './placement.js';
import { type PostAnswers, ProgramAuthentication } from './program-authentication.js';
import { Publications } from './publications.js';
import { RefusalReason, Refusals } from './refusals.js';
import { type ServerStats, shardStats } from './stats.js';
import { Supervisor, type SupervisorEvents, type SupervisorTimeouts } from './supervisor.js';

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
  readonly #shardCount: number;
  readonly #handoff: Handoff;
  readonly #supervisor: Supervisor;
  readonly #directory: Directory;
  readonly #sessionRefusals: Refusals;
  readonly #placement: Placement;
  readonly #acceptor: Acceptor;
  readonly #authentication: ProgramAuthentication | null;
  readonly #publications = new Publications((id, message) => this.#sendPublication(id, message));
  /** The counters of each shard as it runs now: looked at for every connection. */
  readonly #counters: Counters[];
  readonly #startedAt = monotonicMs();
  #shardDeaths = 0;
  #watchesClients = false;

  /** @throws Error in one line when this machine cannot give shards what they need. */
  constructor(options: PrimaryOptions) {
    const { config, logger } = options;
    this.#options = options;
    this.#shardCount = config.workers;
    this.#counters = Array.from({ length: config.workers }, () => new Counters());
    const counters = this.#counters;
    const taken = (shardIndex: number) => counters[shardIndex].get(Counter.connectionsOpened);
    const open = (shardIndex: number) => counters[shardIndex].get(Counter.connectionsOpen);
    this.#directory = new Directory(this.#directoryOutput(), config.maxSessions);
    this.#sessionRefusals = new Refusals(logger);
    const { authenticate } = options;
    const post: PostAnswers = (shardIndex, answers) =>
      this.#supervisor.post(shardIndex, { kind: 'authenticated', answers });
    this.#authentication = authenticate ? new ProgramAuthentication(authenticate, post) : null;
    this.#placement = new Placement(config.workers, { taken, open });
    this.#handoff = chooseHandoff(
      (shardIndex, message, transfer) => this.#supervisor.post(shardIndex, message, transfer),
      taken,
    );
    this.#acceptor = new Acceptor({
      logger,
      placement: this.#placement,
      handoff: this.#handoff,
      maxConnections: config.maxConnections,
    });
    this.#supervisor = new Supervisor({ ...options, events: this.#supervisorEvents() });
  }

  /** Where connections are accepted. */
  get addresses(): BoundAddress[] {
    return this.#acceptor.addresses;
  }

  /** Starts the shards. @throws ServerError when one cannot start; all is stopped then. */
  start(): Promise<void> {
    return this.#supervisor.start();
  }

  /** Accepts connections at `uri` from now on. @throws ConfigError that says why it cannot. */
  listen(uri: string): Promise<BoundAddress> {
    return this.#acceptor.listen(uri);
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
      shardDeaths: this.#shardDeaths,
      shards,
      ...sumCounters(this.#supervisor.allCounters()),
    };
  }

  /** Accepts no more, lets the shards flush and close, and ends them. */
  async stop(): Promise<void> {
    await this.#acceptor.close();
    this.#publications.sendAll();
    await this.#supervisor.stop();
    this.#tellDropped();
    this.#sessionRefusals.close();
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
    const { config, logger } = this.#options;
    const { sessions, queuedMessages, inflightMessages, retainedMessages } = sumCounters(
      this.#supervisor.allCounters(),
    );
    const dropped = {
      ...(config.sessions === IN_MEMORY ? { sessions, queuedMessages, inflightMessages } : {}),
      ...(config.topics === IN_MEMORY ? { retainedMessages } : {}),
    };
    if (!Object.values(dropped).some((count) => count > 0)) return;
    logger.warn(dropped, 'sessions and messages that were only in memory are gone');
  }

  #directoryOutput(): DirectoryOutput {
    const { maxSessions } = this.#options.config;
    const post = (shardIndex: number, message: Parameters<Supervisor['post']>[1]) =>
      this.#supervisor.post(shardIndex, message);
    return {
      grant: (shardIndex, claim, from) => {
        post(shardIndex, { kind: 'granted', claim, from });
      },
      refuse: (shardIndex, claim, reason) => {
        post(shardIndex, { kind: 'refused', claim, reason });
        if (reason !== 'sessions') return;
        const detail = `the limit is ${maxSessions}: raise maxSessions, or lower sessionExpiry`;
        this.#sessionRefusals.add(RefusalReason.maxSessions, detail);
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
        if (!this.#watchesClients) return;
        this.#supervisor.post(shardIndex, { kind: 'watch-clients', enabled: true });
      },
      onLive: (shardIndex) => {
        this.#placement.setLive(shardIndex, true);
        events.onShardStarted(shardIndex);
      },
      onDead: (shardIndex, cause) => {
        this.#shardDeaths++;
        this.#placement.setLive(shardIndex, false);
        this.#directory.shardDied(shardIndex);
        this.#publications.shardDied(shardIndex);
        this.#authentication?.shardDied(shardIndex);
        events.onShardDied(shardIndex, cause);
      },
      onThreadGone: (shardIndex) => {
        this.#handoff.reclaim(shardIndex);
      },
      onFailed: (error) => events.onFailed(error),
    };
  }

  #onMessage(shardIndex: number, message: ToPrimary): void {
    const { events, logger } = this.#options;
    switch (message.kind) {
      case 'claims':
        this.#directory.claim(message.claims);
        break;
      case 'settled':
        this.#directory.settle(message.claims);
        break;
      case 'dropped':
        this.#directory.drop(message.claims);
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
