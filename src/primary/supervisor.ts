/**
 * Starts the shards, watches them, replaces those that die, and stops them. It carries messages
 * both ways and knows those about a shard's life; what the others mean is its owner's affair
 * (server.ts).
 *
 * A shard is down, starting, ready, then live once all its peers have welcomed it. Only a live
 * shard is given connections: before, a publication of its clients could miss a subscriber on a
 * peer.
 */
import type { Transferable } from 'node:worker_threads';
import { monotonicMs } from '../base/clock.js';
import type { Config } from '../base/config.js';
import {
  QUIESCE_TIMEOUT_MS,
  RELOAD_TIMEOUT_MS,
  SHARD_DEATH_WINDOW_MS,
  SHARD_DEATHS_MAX,
  SHARD_START_TIMEOUT_MS,
  STOP_GRACE_MS,
  STOP_TIMEOUT_MS,
  THREAD_EXIT_TIMEOUT_MS,
} from '../base/limits.js';
import type { Logger } from '../base/log.js';
import type { Materials } from '../base/materials.js';
import { DURABLE_SESSIONS } from '../base/settings-store.js';
import type { ToPrimary, ToShard } from '../shard/control.js';
import type { ShardStoreStart } from '../store/store-messages.js';
import { AwaitedPeers } from './awaited-peers.js';
import { ReloadRound } from './reload-round.js';
import { ServerError, ServerErrorCode } from './server-error.js';
import { ShardPool } from './shard-pool.js';
import { ShardTask } from './shard-task.js';
import type { SupervisorEvents } from './supervisor-events.js';
import { Topology } from './topology.js';

export type { SupervisorEvents } from './supervisor-events.js';

/** Time limits in milliseconds; tests shorten them. */
export interface SupervisorTimeouts {
  readonly startMs: number;
  readonly threadExitMs: number;
  readonly quiesceMs: number;
  readonly stopMs: number;
  /** How long a death counts towards giving up. */
  readonly deathWindowMs: number;
  readonly reloadMs: number;
}

const DEFAULT_TIMEOUTS: SupervisorTimeouts = {
  startMs: SHARD_START_TIMEOUT_MS,
  threadExitMs: THREAD_EXIT_TIMEOUT_MS,
  quiesceMs: QUIESCE_TIMEOUT_MS,
  stopMs: STOP_TIMEOUT_MS,
  deathWindowMs: SHARD_DEATH_WINDOW_MS,
  reloadMs: RELOAD_TIMEOUT_MS,
};

export interface SupervisorOptions {
  readonly config: Config;
  readonly materials: Materials;
  readonly logger: Logger;
  readonly events: SupervisorEvents;
  /** What a shard keeps its sessions in, once it may start; null: its memory. */
  readonly attachStore?: (shardIndex: number) => Promise<ShardStoreStart> | null;
  /** Client ids whose sessions a successor is to find there. */
  readonly orphansOf?: (shardIndex: number) => readonly string[];
  /** Default: `workers/shard.js`. */
  readonly workerUrl?: URL | undefined;
  readonly timeouts?: Partial<SupervisorTimeouts> | undefined;
}

/** One shard as the primary sees it, through all its successors. */
interface Shard {
  readonly index: number;
  /** Null while it is down. */
  task: ShardTask | null;
  isReady: boolean;
  isLive: boolean;
  /** False from its death until its thread is gone. */
  isThreadGone: boolean;
  /** Peers that have still to keep what they had of it, dead as it is. */
  readonly awaited: AwaitedPeers;
  /** By peer: how many `peer-new` of this shard that peer has still to answer. */
  readonly welcomesDue: number[];
}

/**
 * `broken`: not all shards could be started. `givenUp`: no shard is replaced any more, those left
 * serve on.
 */
type Phase = 'starting' | 'broken' | 'running' | 'givenUp' | 'stopped';

export class Supervisor {
  /** What shards go by that start from now on. */
  #config: Config;
  #materials: Materials;
  readonly #logger: Logger;
  readonly #events: SupervisorEvents;
  readonly #attachStore: (shardIndex: number) => Promise<ShardStoreStart> | null;
  readonly #orphansOf: (shardIndex: number) => readonly string[];
  /** Sessions are on disk. */
  readonly #isStored: boolean;
  readonly #timeouts: SupervisorTimeouts;
  readonly #topology: Topology;
  readonly #pool: ShardPool;
  readonly #shards: readonly Shard[];
  #phase: Phase = 'starting';
  /** Whether all shards have been live together. */
  #hasStarted = false;
  #startSettled: ((error: Error | null) => void) | null = null;
  #stopping: Promise<void> | null = null;
  /** The newest reload, and its number. */
  #reload: ReloadRound | null = null;
  #reloadId = 0;
  /** When shards died, in milliseconds of the monotonic clock; none older than the window. */
  #deaths: number[] = [];
  /**
   * What `stop` waits for, the shards that have yet to do it, and what to call when none is left.
   */
  #awaitedStep: 'none' | 'quiesced' | 'ended' = 'none';
  #awaited = new Set<number>();
  #onNoneAwaited: (() => void) | null = null;

  /**
   * Makes what the shards share and starts their threads.
   * @throws Error when no pipe can be made: descriptors have run out.
   */
  constructor(options: SupervisorOptions) {
    const { config } = options;
    const { workers } = config;
    this.#config = config;
    this.#materials = options.materials;
    this.#logger = options.logger;
    this.#events = options.events;
    this.#attachStore = options.attachStore ?? (() => null);
    this.#orphansOf = options.orphansOf ?? (() => []);
    this.#isStored = config.sessions === DURABLE_SESSIONS && options.orphansOf !== undefined;
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#topology = new Topology(workers, config.ringBytes);
    this.#pool = new ShardPool(workers, options.logger, options.workerUrl);
    this.#shards = Array.from({ length: workers }, (_, index) => ({
      index,
      task: null,
      isReady: false,
      isLive: false,
      isThreadGone: true,
      awaited: new AwaitedPeers(),
      welcomesDue: new Array<number>(workers).fill(0),
    }));
  }

  /**
   * Starts all shards; resolves when all are live. To be called once.
   * @throws Error with one line that says which shard could not start, and why; everything is ended
   * then.
   */
  async start(): Promise<void> {
    const settled = new Promise<Error | null>((resolve) => {
      this.#startSettled = resolve;
    });
    // The store may end before it answers.
    await Promise.race([this.#launchAll(), settled]);
    const error = await settled;
    if (error === null) return;
    await this.stop();
    throw error;
  }

  /**
   * Stops all shards and resolves when their threads are gone: first all put on the rings what they
   * have read, then all drain the rings, flush and close. Who does not within the time limits is
   * ended.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Sends a message to a shard. False if it is down: nothing was sent. */
  post(shardIndex: number, message: ToShard, transfer?: readonly Transferable[]): boolean {
    const { task } = this.#shards[shardIndex];
    task?.post(message, transfer);
    return task !== null;
  }

  /** Sends a message to all shards that are not down. */
  postAll(message: ToShard): void {
    for (const shard of this.#shards) shard.task?.post(message);
  }

  /** Whether the shard may be given connections. */
  isLive(shardIndex: number): boolean {
    return this.#shards[shardIndex].isLive;
  }

  /** Counters of a shard since it started last. */
  countersOf(shardIndex: number): SharedArrayBuffer {
    return this.#topology.countersOf(shardIndex);
  }

  /** The word in which shards find how much memory is used. */
  get memoryLevel(): SharedArrayBuffer {
    return this.#topology.memoryLevel;
  }

  /** Connections by address, of all shards. */
  get addresses(): SharedArrayBuffer {
    return this.#topology.addresses;
  }

  /** Connections by listener, for the primary's own counting. */
  get listenerCounts(): SharedArrayBuffer {
    return this.#topology.listenerCounts;
  }

  /** All counters whose sums count, those of dead shards among them. */
  allCounters(): SharedArrayBuffer[] {
    return this.#topology.allCounters();
  }

  /**
   * Has all shards go by another configuration, those too that start from now on. The last reload
   * must be done.
   * @returns what went wrong, a line each.
   */
  reload(config: Config, materials: Materials): Promise<readonly string[]> {
    this.#config = config;
    this.#materials = materials;
    const id = ++this.#reloadId;
    const running = this.#shards.filter((shard) => shard.task !== null);
    const indexes = running.map((shard) => shard.index);
    this.#reload = new ReloadRound(indexes, this.#timeouts.reloadMs);
    this.postAll({ kind: 'reload', id, config, materials });
    return this.#reload.done;
  }

  // ---- one shard's life ------------------------------------------------------------------------

  async #launchAll(): Promise<void> {
    const stores = await Promise.all(this.#shards.map((shard) => this.#attachStore(shard.index)));
    if (this.#phase !== 'starting') return;
    for (const shard of this.#shards) this.#launch(shard, stores[shard.index], false);
  }

  #launch(shard: Shard, store: ShardStoreStart | null, isReplacement: boolean): void {
    const start = {
      shardIndex: shard.index,
      shardCount: this.#shards.length,
      config: this.#config,
      materials: this.#materials,
      ...this.#topology.partsFor(shard.index),
      store,
      orphans: isReplacement ? this.#orphansOf(shard.index) : null,
      isReplacement,
    };
    const owner = {
      onMessage: (task: ShardTask, message: ToPrimary) => this.#onMessage(shard, task, message),
      onEnd: (_task: ShardTask, cause: Error | null) => this.#onEnd(shard, cause),
    };
    shard.task = new ShardTask(owner, this.#pool, start, this.#timeouts.startMs);
    for (const peer of this.#shards) {
      // It was given the ring of a shard that is no more.
      if (peer.task === null && isReplacement) {
        shard.task.post({ kind: 'peer-dead', shardIndex: peer.index });
      }
    }
    this.#events.onLaunched(shard.index);
  }

  #onMessage(shard: Shard, task: ShardTask, message: ToPrimary): void {
    if (message.kind === 'ready') {
      shard.isReady = true;
      for (const each of this.#shards) this.#checkLive(each);
    } else if (message.kind === 'peer-welcomed') {
      this.#onWelcomed(this.#shards[message.shardIndex], shard);
    } else if (message.kind === 'peer-dropped') {
      this.#shards[message.shardIndex]?.awaited.delete(shard.index);
    } else if (message.kind === 'reloaded') {
      if (message.id === this.#reloadId) this.#reload?.answered(shard.index, message.fault);
    } else if (message.kind === 'quiesced') {
      if (this.#awaitedStep === 'quiesced') this.#noLongerAwaited(shard.index);
    } else if (task === shard.task) {
      this.#events.onMessage(shard.index, message);
    }
  }

  #onWelcomed(shard: Shard, peer: Shard): void {
    if (shard.welcomesDue[peer.index] === 0) return;
    shard.welcomesDue[peer.index]--;
    this.#topology.welcomed(shard.index, peer.index);
    this.#checkLive(shard);
  }

  #checkLive(shard: Shard): void {
    if (shard.isLive || !shard.isReady || shard.welcomesDue.some((due) => due > 0)) return;
    // What its clients publish may be for sessions that another successor is still to find.
    if (this.#isStored && !this.#shards.every((each) => each.isReady)) return;
    shard.isLive = true;
    this.#events.onLive(shard.index);
    if (this.#phase !== 'starting' || !this.#shards.every((each) => each.isLive)) return;
    this.#phase = 'running';
    this.#hasStarted = true;
    this.#startSettled?.(null);
  }

  #onEnd(shard: Shard, cause: Error | null): void {
    shard.task = null;
    shard.isReady = false;
    shard.isLive = false;
    shard.isThreadGone = false;
    this.#noLongerAwaited(shard.index);
    this.#reload?.ended(shard.index);
    if (this.#phase === 'stopped' && cause === null) return;
    const reason = cause ?? new Error('its task ended without being asked to');
    if (this.#hasStarted) this.#onDeath(shard, reason);
    else this.#onStartFailed(shard, reason);
  }

  /** `start` says it, once: the others fail of the same cause as a rule. */
  #onStartFailed(shard: Shard, cause: Error): void {
    if (this.#phase !== 'starting') return;
    this.#phase = 'broken';
    const message = `shard ${shard.index} could not start: ${cause.message}`;
    this.#startSettled?.(new ServerError(ServerErrorCode.startFailed, message, cause));
  }

  #onDeath(shard: Shard, cause: Error): void {
    const fields = { shard: shard.index, err: cause };
    if (this.#phase === 'stopped') this.#logger.warn(fields, 'a shard did not stop in good order');
    else this.#logger.error(fields, 'a shard died');
    if (this.#isStored) {
      for (const peer of this.#shards) if (peer.task !== null) shard.awaited.add(peer.index);
    }
    this.postAll({ kind: 'peer-dead', shardIndex: shard.index });
    this.#events.onDead(shard.index, cause);
    for (const other of this.#shards) {
      other.welcomesDue[shard.index] = 0;
      other.awaited.delete(shard.index);
      this.#checkLive(other);
    }
    if (this.#phase === 'running') this.#replaceOrGiveUp(shard, cause);
  }

  #replaceOrGiveUp(shard: Shard, cause: Error): void {
    const now = monotonicMs();
    const { deathWindowMs } = this.#timeouts;
    this.#deaths = this.#deaths.filter((at) => now - at < deathWindowMs);
    this.#deaths.push(now);
    if (this.#deaths.length < SHARD_DEATHS_MAX) {
      void this.#replace(shard);
      return;
    }
    const seconds = deathWindowMs / 1000;
    const what = `${SHARD_DEATHS_MAX} shards died within ${seconds} s, the last of`;
    this.#giveUp(what, cause);
  }

  #giveUp(what: string, cause: Error): void {
    this.#phase = 'givenUp';
    const message = `${what}: ${cause.message}`;
    this.#events.onFailed(new ServerError(ServerErrorCode.gaveUp, message, cause));
  }

  /**
   * Starts a successor with new things of its own, once the dead one's thread cannot use the old
   * ones.
   */
  async #replace(shard: Shard): Promise<void> {
    shard.isThreadGone = await this.#pool.deadThreadsGone(this.#timeouts.threadExitMs);
    if (this.#phase !== 'running') return;
    if (shard.isThreadGone) {
      this.#topology.threadGone(shard.index);
      this.#events.onThreadGone(shard.index);
    } else {
      this.#topology.threadStuck(shard.index);
      this.#logger.error({ shard: shard.index }, 'the thread of a dead shard does not end');
    }
    // What the dead one has said before its end counts, and what others have had of it.
    await shard.awaited.none();
    const store = await this.#attachStore(shard.index);
    if (this.#phase !== 'running') return;
    const peers = this.#shards.filter((peer) => peer !== shard && peer.task !== null);
    const users = this.#shards.filter((peer) => peer.task !== null || !peer.isThreadGone);
    try {
      const indexes = users.filter((user) => user !== shard).map((user) => user.index);
      const fresh = this.#topology.replace(shard.index, indexes);
      this.#launch(shard, store, true);
      for (const peer of peers) {
        shard.welcomesDue[peer.index]++;
        peer.task?.post({ kind: 'peer-new', shardIndex: shard.index, ...fresh });
      }
    } catch (error) {
      // No pipe: the descriptors have run out, and the server would go on without a part of itself.
      const cause = error instanceof Error ? error : new Error(String(error));
      this.#giveUp(`shard ${shard.index} has no successor`, cause);
    }
  }

  // ---- stop
  // --------------------------------------------------------------------------------------

  async #stop(): Promise<void> {
    const wasStarting = this.#phase === 'starting';
    this.#phase = 'stopped';
    // Shards that have never had a client have nothing to flush.
    if (this.#hasStarted) {
      const { quiesceMs, stopMs } = this.#timeouts;
      const quiesced = this.#awaitShards('quiesced', quiesceMs);
      this.postAll({ kind: 'quiesce' });
      if (!(await quiesced)) this.#warnAwaited('not all shards quiesced in time');
      const ended = this.#awaitShards('ended', stopMs + STOP_GRACE_MS);
      this.postAll({ kind: 'stop', deadlineMs: stopMs });
      if (!(await ended)) this.#warnAwaited('not all shards stopped in time');
    }
    await this.#pool.destroy();
    this.#topology.close();
    if (wasStarting) {
      const message = 'the server was closed while it started';
      this.#startSettled?.(new ServerError(ServerErrorCode.notOpen, message));
    }
  }

  /**
   * Resolves true when all shards that run have done this step or ended, false if not within
   * `timeoutMs`.
   */
  #awaitShards(step: 'quiesced' | 'ended', timeoutMs: number): Promise<boolean> {
    this.#awaitedStep = step;
    this.#awaited = new Set(
      this.#shards.filter((shard) => shard.task !== null).map((shard) => shard.index),
    );
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#onNoneAwaited = () => {
        clearTimeout(timer);
        resolve(true);
      };
      if (this.#awaited.size === 0) this.#onNoneAwaited();
    });
  }

  #noLongerAwaited(shardIndex: number): void {
    this.#awaited.delete(shardIndex);
    if (this.#awaited.size === 0) this.#onNoneAwaited?.();
  }

  #warnAwaited(message: string): void {
    this.#logger.warn({ shards: [...this.#awaited] }, message);
  }
}
