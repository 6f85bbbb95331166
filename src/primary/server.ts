/** The broker as a program sees it that runs or embeds one. */
import { EventEmitter } from 'node:events';
import { type Config, type LoadedConfig, loadConfig, type ServerOptions } from '../base/config.js';
import type { Authenticate } from '../base/credentials.js';
import { type Logger, silentLogger } from '../base/log.js';
import type { BoundAddress } from './acceptor.js';
import { Primary, type PrimaryOptions } from './primary.js';
import { checkMessage, type ServerMessage } from './publications.js';
import { ServerError, ServerErrorCode } from './server-error.js';
import { emptyStats, type ServerStats } from './stats.js';

/** Events of a Server and what their listeners are called with. */
export interface ServerEvents {
  /** Connections are accepted at this address. */
  listening: [address: BoundAddress];
  /** A client has been accepted: its CONNACK says 0. */
  connected: [clientId: string];
  /** A client's connection is closed; `reason` is a CloseReason. */
  disconnected: [clientId: string, reason: string];
  /** A shard takes connections: at the start, and again after a death. */
  shardStarted: [shardIndex: number];
  /** A shard died of `cause`, its clients with it; a successor is on its way. */
  shardDied: [shardIndex: number, cause: Error];
  /** Shards die again and again: the server closes itself. */
  failed: [error: Error];
  /** Everything is closed; no thread and no descriptor is left. */
  closed: [];
}

/** What only tests set: see PrimaryOptions. */
export type ServerInternals = Pick<PrimaryOptions, 'workerUrl' | 'timeouts'>;

/** Events for which the shards must report every client. */
const CLIENT_EVENTS = ['connected', 'disconnected'] as const;

/**
 * An MQTT 3.1 and 3.1.1 broker on worker threads. It leaves the signals, the exit code and the
 * output of the program to the program: it logs to `options.logger`, or nowhere. An open server
 * keeps the process alive.
 *
 * ```ts
 * await using server = new Server({ workers: 4 });
 * await server.listenAndServe('tcp://127.0.0.1:1883');
 * await server.publish({ topic: 'greeting', payload: 'hello', retain: true });
 * ```
 */
export class Server extends EventEmitter<ServerEvents> {
  /** All settings in force: defaults, environment and options. */
  readonly config: Config;
  readonly #logger: Logger;
  readonly #internals: ServerInternals;
  readonly #authenticate: Authenticate | undefined;
  /** The running broker; the promise rejects when it cannot start. */
  #primary: Primary | null = null;
  #started: Promise<void> | null = null;
  /** The end of a broker that could not listen. */
  #abandoned: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  /** Calls of `listenAndServe` on their way, and those that have succeeded. */
  #listensPending = 0;
  #listensDone = 0;

  /**
   * Checks the options; nothing runs before `listenAndServe`.
   * @param loaded a configuration read before, in place of `options` and environment.
   * @throws ConfigError with a line for every fault; ArgumentError, a TypeError, for options that
   * are none.
   */
  constructor(
    options: ServerOptions & { readonly logger?: Logger } = {},
    loaded: LoadedConfig = loadConfig(options),
    internals: ServerInternals = {},
  ) {
    super();
    this.config = loaded.config;
    this.#logger = options.logger ?? silentLogger;
    this.#internals = internals;
    const { authenticator } = options;
    this.#authenticate = typeof authenticator === 'function' ? authenticator : undefined;
    for (const warning of loaded.warnings) this.#logger.warn({}, warning);
    this.#watchListeners();
  }

  /** Where connections are accepted: the ports really bound. */
  get addresses(): BoundAddress[] {
    return this.#primary?.addresses ?? [];
  }

  /**
   * Accepts connections at `uri`, or at every address of `config.listen`; resolves once it does.
   * The first call starts the shards. May be called again for further addresses.
   * @param uri `tcp://host:port`; port 0 takes a free one, an empty host means all addresses.
   * @throws ConfigError when an address cannot be listened on, ServerError when a shard cannot
   * start or the server was closed. If nothing was listened on before, nothing runs afterwards.
   */
  async listenAndServe(uri?: string): Promise<void> {
    this.#listensPending++;
    try {
      const primary = await this.#start();
      for (const each of uri === undefined ? this.config.listen : [uri]) {
        const address = await primary.listen(each);
        if (this.#closing !== null) throw closedError();
        this.#emitLater('listening', address);
      }
      this.#listensDone++;
    } finally {
      this.#listensPending--;
      if (this.#listensDone === 0 && this.#listensPending === 0) await this.#abandon();
    }
  }

  /**
   * Publishes a message as a client would; resolves when every shard concerned will deliver it.
   * @throws TypeError or RangeError when the message may not be published, ServerError when it was
   * not.
   */
  async publish(message: ServerMessage): Promise<void> {
    const checked = checkMessage(message, this.config.maxPacketBytes);
    if (this.#primary === null || this.#closing !== null) throw closedError();
    await this.#primary.publish(checked);
  }

  /**
   * Closes the connection of a client; its will is sent. False if nobody has a session with this
   * client id; true says that the shard has been told, not that the client was connected.
   */
  kick(clientId: string): boolean {
    return this.#closing === null && (this.#primary?.kick(clientId) ?? false);
  }

  /**
   * Counters, of all shards together and of each, uptime and listeners. Costs no shard anything.
   */
  stats(): ServerStats {
    return this.#primary?.stats() ?? emptyStats();
  }

  /**
   * Accepts no more, delivers what was acknowledged, closes the clients and ends the threads.
   * Resolves when nothing is left; the same promise however often it is called. A closed server
   * stays closed.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  override removeAllListeners(event?: keyof ServerEvents): this {
    super.removeAllListeners(event);
    // Our own hooks go with the rest.
    if (event === undefined) this.#watchListeners();
    this.#updateWatch();
    return this;
  }

  async #start(): Promise<Primary> {
    if (this.#closing !== null) throw closedError();
    if (this.#primary === null) {
      this.#primary = new Primary({
        ...this.#internals,
        config: this.config,
        logger: this.#logger,
        authenticate: this.#authenticate,
        events: {
          onConnected: (clientId) => this.#emitLater('connected', clientId),
          onDisconnected: (clientId, reason) => this.#emitLater('disconnected', clientId, reason),
          onShardStarted: (shardIndex) => this.#emitLater('shardStarted', shardIndex),
          onShardDied: (shardIndex, cause) => this.#emitLater('shardDied', shardIndex, cause),
          onFailed: (error) => this.#onFailed(error),
        },
      });
      this.#updateWatch();
      this.#started = this.#primary.start();
    }
    const primary = this.#primary;
    await this.#started;
    return primary;
  }

  /** Back to where nothing runs, after a first call that failed. */
  async #abandon(): Promise<void> {
    const primary = this.#primary;
    if (primary === null || this.#closing !== null) return;
    this.#primary = null;
    this.#abandoned = primary.stop();
    await this.#abandoned;
  }

  #onFailed(error: Error): void {
    this.#logger.error({ err: error }, 'the server gives up');
    this.#emitLater('failed', error);
    void this.close();
  }

  async #close(): Promise<void> {
    await this.#abandoned;
    await this.#primary?.stop();
    this.#emitLater('closed');
  }

  /** Emits when our own work is done: a listener that throws must not leave it half done. */
  #emitLater<Name extends keyof ServerEvents>(name: Name, ...values: ServerEvents[Name]): void {
    queueMicrotask(() => {
      (this as EventEmitter).emit(name, ...values);
    });
  }

  #watchListeners(): void {
    const emitter = this as EventEmitter;
    emitter.on('newListener', (name: string) => this.#updateWatch(name));
    emitter.on('removeListener', () => this.#updateWatch());
  }

  /** @param added an event that is about to have a listener. */
  #updateWatch(added = ''): void {
    const isWatched = CLIENT_EVENTS.some((name) => name === added || this.listenerCount(name) > 0);
    this.#primary?.watchClients(isWatched);
  }
}

function closedError(): ServerError {
  return new ServerError(ServerErrorCode.notOpen, 'the server is not open');
}
