/**
 * The threads: a Piscina pool with one thread for each shard and one task, the shard, for each
 * thread. Piscina replaces a thread that dies; this file adds what a supervisor must know besides:
 * that a dead thread is really gone, so that the descriptors it used may be closed.
 */
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { scramSecret } from '../access/scram-exchange.js';
import { SHARD_YOUNG_GENERATION_MIB, THREAD_EXIT_TIMEOUT_MS } from '../base/limits.js';
import type { Logger } from '../base/log.js';
import type { ShardStart } from '../shard/control.js';

/** The task entry, beside this file's directory in `dist/` as in the sources. */
const SHARD_WORKER = new URL('../../workers/shard-entry.cjs', import.meta.url);

export class ShardPool {
  readonly #pool: Piscina<ShardStart, void>;
  readonly #filename: string;
  /** Threads that have not exited; those that are no longer the pool's are on their way out. */
  readonly #threads = new Set<Worker>();
  #onExit: (() => void)[] = [];

  /**
   * Starts the threads; none runs anything yet.
   * @param workerUrl module whose default export takes a ShardStart.
   */
  constructor(threadCount: number, logger: Logger, workerUrl: URL = SHARD_WORKER) {
    this.#filename = fileURLToPath(workerUrl);
    // Made before the threads, or each would make its own.
    scramSecret();
    this.#pool = new Piscina<ShardStart, void>({
      minThreads: threadCount,
      maxThreads: threadCount,
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // The pool would park an idle thread in Atomics.wait, and a shard's sockets with it.
      atomics: 'disabled',
      recordTiming: false,
      resourceLimits: { maxYoungGenerationSizeMb: SHARD_YOUNG_GENERATION_MIB },
      // No filename here: a module that cannot be loaded must reject its task, which says why. As a
      // preloaded one it would kill the thread, and the task would wait for ever.
    });
    this.#pool.on('error', (error: unknown) => {
      logger.error({ err: error }, 'a thread without a shard died');
    });
    this.#pool.on('workerCreate', () => this.#watchThreads());
    this.#watchThreads();
  }

  /**
   * Runs one shard: resolves when it has shut down, rejects when it is broken or its thread died.
   * Takes `start.port` away from this thread.
   * @param signal ends the thread.
   */
  run(start: ShardStart, signal: AbortSignal): Promise<void> {
    return this.#pool.run(start, {
      filename: this.#filename,
      transferList: start.store === null ? [start.port] : [start.port, start.store.port],
      signal,
    });
  }

  /**
   * Waits until no thread is left that the pool has given up. False if one still is after
   * `timeoutMs`.
   */
  async deadThreadsGone(timeoutMs: number): Promise<boolean> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, timeoutMs);
    while (!isLate && this.#hasDeadThread()) {
      await new Promise<void>((resolve) => this.#onExit.push(resolve));
    }
    clearTimeout(timer);
    return !this.#hasDeadThread();
  }

  /**
   * Ends all threads, whatever they do, and resolves when they are gone. Tasks still running are
   * rejected.
   */
  async destroy(): Promise<void> {
    this.#watchThreads();
    await this.#pool.destroy();
    await this.deadThreadsGone(THREAD_EXIT_TIMEOUT_MS);
  }

  #hasDeadThread(): boolean {
    const alive = new Set(this.#pool.threads);
    for (const thread of this.#threads) if (!alive.has(thread)) return true;
    return false;
  }

  #watchThreads(): void {
    for (const thread of this.#pool.threads) {
      if (this.#threads.has(thread)) continue;
      this.#threads.add(thread);
      thread.once('exit', () => {
        this.#threads.delete(thread);
        this.#wake();
      });
    }
  }

  #wake(): void {
    for (const resolve of this.#onExit.splice(0)) resolve();
  }
}
