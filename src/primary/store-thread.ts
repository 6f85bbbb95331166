/**
 * The primary's side of the durable store: its folder, and the one thread that writes it. Shards
 * are attached before they start, and a successor only when all that the dead one has said is on
 * disk.
 */
import { resolve } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Config } from '../base/config.js';
import { ConfigError } from '../base/errors.js';
import { STORE_CLOSE_TIMEOUT_MS } from '../base/limits.js';
import type { Logger } from '../base/log.js';
import { DURABLE_SESSIONS } from '../base/settings-store.js';
import { DataFolder } from '../store/data-folder.js';
import type { FromStore, ShardStoreStart, StoreStart, ToStore } from '../store/store-messages.js';
import { createStoreWords } from '../store/store-words.js';
import { ServerError, ServerErrorCode } from './server-error.js';

const STORE_WORKER = new URL('../../workers/store.js', import.meta.url);

export interface StoreThreadOptions {
  readonly config: Pick<Config, 'sessions' | 'dataDir' | 'durability' | 'storeBytes'>;
  readonly logger: Logger;
  /** The thread has ended without being asked to: nothing can be kept any more. */
  readonly onFailed: (error: Error) => void;
  /** Default: STORE_CLOSE_TIMEOUT_MS. */
  readonly closeTimeoutMs?: number | undefined;
}

export class StoreThread {
  readonly #options: StoreThreadOptions;
  readonly #path: string;
  readonly #folder: DataFolder;
  readonly #worker: Worker;
  readonly #words = createStoreWords();
  /** Resolves when the thread is gone. */
  readonly #gone: Promise<void>;
  /** By shard: who waits for its `attached`. */
  readonly #attaching = new Map<number, (base: number) => void>();
  #onReady: ((error: Error | null) => void) | null = null;
  #isClosing = false;
  #isWell = true;

  private constructor(options: StoreThreadOptions) {
    const { dataDir, durability, storeBytes } = options.config;
    this.#options = options;
    // A program that changes its directory later must not take the store along.
    this.#path = resolve(dataDir);
    this.#folder = DataFolder.open(this.#path);
    const workerData: StoreStart = {
      words: this.#words,
      folder: this.#path,
      durability,
      bytesMax: storeBytes,
    };
    this.#worker = new Worker(STORE_WORKER, { workerData, name: 'store' });
    this.#worker.on('message', (message: FromStore) => this.#onMessage(message));
    let cause = new Error('it ended without being asked to');
    this.#worker.on('error', (error) => {
      cause = error;
    });
    this.#gone = new Promise((onGone) => {
      this.#worker.once('exit', () => {
        this.#onExit(cause);
        onGone();
      });
    });
  }

  /**
   * Opens the store that the configuration names; null where sessions are kept elsewhere.
   * @throws ConfigError in one line: the folder cannot be used or belongs to another process, or
   * what is in it cannot be opened.
   */
  static async open(options: StoreThreadOptions): Promise<StoreThread | null> {
    if (options.config.sessions !== DURABLE_SESSIONS) return null;
    const store = new StoreThread(options);
    const error = await new Promise<Error | null>((onReady) => {
      store.#onReady = onReady;
    });
    if (error === null) return store;
    await store.#gone;
    throw error;
  }

  /**
   * What a shard is to be started with. Resolves when all that the one before it has posted is
   * durable; the thread of that one must be gone. Never resolves when the store is closed before.
   */
  async attach(shardIndex: number): Promise<ShardStoreStart> {
    const { port1, port2 } = new MessageChannel();
    const base = await new Promise<number>((onAttached) => {
      this.#attaching.set(shardIndex, onAttached);
      this.#post({ kind: 'attach', shardIndex, port: port1 }, [port1]);
    });
    const { durability } = this.#options.config;
    return { port: port2, words: this.#words, folder: this.#path, durability, base };
  }

  /**
   * Resolves when all that shards have posted is durable, and the store is closed. No shard may run
   * any more.
   */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#post({ kind: 'close' });
    const { logger, closeTimeoutMs = STORE_CLOSE_TIMEOUT_MS } = this.#options;
    const timer = setTimeout(() => {
      const what = 'the store is given up: what it could not write was not acknowledged';
      logger.error({ timeoutMs: closeTimeoutMs }, what);
      void this.#worker.terminate();
    }, closeTimeoutMs);
    await this.#gone;
    clearTimeout(timer);
  }

  #post(message: ToStore, transfer: readonly MessagePort[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #onMessage(message: FromStore): void {
    const { logger } = this.#options;
    switch (message.kind) {
      case 'ready':
        this.#onReady?.(null);
        this.#onReady = null;
        break;
      case 'refused':
        this.#onReady?.(new ConfigError(message.faults));
        break;
      case 'attached':
        this.#attaching.get(message.shardIndex)?.(message.base);
        this.#attaching.delete(message.shardIndex);
        break;
      case 'failing':
        this.#isWell = false;
        logger.error(
          { why: message.why },
          'the store cannot be written: what is to be kept is not acknowledged; it is tried again',
        );
        break;
      case 'well':
        if (!this.#isWell) logger.info({}, 'the store is written again: nothing is lost');
        this.#isWell = true;
        break;
      case 'full':
        this.#onFull(message.isFull, message.bytes);
        break;
      default:
        // `closed`: the thread ends, which is what counts.
        break;
    }
  }

  #onFull(isFull: boolean, bytes: number): void {
    const { logger, config } = this.#options;
    const fields = { bytes, limit: config.storeBytes };
    if (isFull) logger.warn(fields, 'the store is full (storeBytes)');
    else logger.info(fields, 'the store has room again');
  }

  #onExit(cause: Error): void {
    this.#folder.close();
    const error = new ServerError(
      ServerErrorCode.gaveUp,
      `the thread of the store died: ${cause.message}`,
      cause,
    );
    if (this.#onReady !== null) this.#onReady(error);
    else if (!this.#isClosing) this.#options.onFailed(error);
  }
}
