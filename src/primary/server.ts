/** The broker as a program sees it that runs or embeds one. */
import { EventEmitter } from 'node:events';
import { openListenerFaults } from '../access/anonymous.js';
import { type Config, type LoadedConfig, loadConfig } from '../base/config.js';
import type { Authenticate } from '../base/credentials.js';
import { ConfigError } from '../base/errors.js';
import { listenerFor } from '../base/listeners.js';
import { type Logger, silentLogger } from '../base/log.js';
import type { Materials } from '../base/materials.js';
import type { ServerOptions } from '../base/server-options.js';
import type { BoundAddress } from './acceptor.js';
import { FileWatch } from './file-watch.js';
import { readMaterials } from './materials.js';
import { Primary, type PrimaryOptions } from './primary.js';
import { checkMessage, type ServerMessage } from './publications.js';
import { mergeReloaded, type ReloadResult } from './reload.js';
import { ServerError, ServerErrorCode } from './server-error.js';
import { emptyStats, type ServerStats } from './stats.js';
import { tlsPaths, tlsWarnings } from './tls-files.js';

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
  /** The configuration was reloaded: `server.config` is the new one. */
  reloaded: [result: ReloadResult];
  /** Everything is closed; no thread and no descriptor is left. */
  closed: [];
}

/** What only tests set: see PrimaryOptions. */
export interface ServerInternals extends Pick<PrimaryOptions, 'workerUrl' | 'timeouts'> {
  /** How often it is looked whether files have changed, in milliseconds. */
  readonly fileLookMs?: number | undefined;
}

/** Events for which the shards must report every client. */
const CLIENT_EVENTS = ['connected', 'disconnected'] as const;

/**
 * An MQTT 5.0, 3.1.1 and 3.1 broker on worker threads. It leaves the signals, the exit code and the
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
  readonly #logger: Logger;
  readonly #internals: ServerInternals;
  readonly #files: FileWatch;
  readonly #authenticate: Authenticate | undefined;
  readonly #loadAgain: (options?: ServerOptions) => LoadedConfig;
  #config: Config;
  /** The running broker; the promise rejects when it cannot start. */
  #primary: Primary | null = null;
  #started: Promise<Primary> | null = null;
  /** The end of a broker that could not listen. */
  #abandoned: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  /** The last reload asked for; those asked for before are done when it is. */
  #reloading: Promise<unknown> = Promise.resolve();
  /** One that waits for its turn, without options of its own. */
  #waitingReload: Promise<ReloadResult> | null = null;
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
    this.#config = loaded.config;
    this.#loadAgain = loaded.again ?? ((changed = options) => loadConfig(changed));
    this.#logger = options.logger ?? silentLogger;
    this.#internals = internals;
    const { authenticator } = options;
    const asked = Array.isArray(authenticator) ? authenticator : [authenticator];
    this.#authenticate = asked.find((one) => typeof one === 'function');
    for (const warning of loaded.warnings) this.#logger.warn({}, warning);
    this.#files = new FileWatch(() => this.#onFilesChanged(), internals.fileLookMs);
    this.#watchListeners();
  }

  /** All settings in force: defaults, environment and options, as they were reloaded last. */
  get config(): Config {
    return this.#config;
  }

  /** Where connections are accepted: the ports really bound. */
  get addresses(): BoundAddress[] {
    return this.#primary?.addresses ?? [];
  }

  /**
   * Accepts connections at `uri`, or at every address of `config.listen`; resolves once it does.
   * The first call starts the shards. May be called again for further addresses.
   * @param uri `tcp://host:port`; port 0 takes a free one, an empty host means all addresses.
   * @throws ConfigError when an address cannot be listened on, or everybody could connect there,
   * ServerError when a shard cannot start or the server was closed. If nothing was listened on
   * before, nothing runs afterwards.
   */
  async listenAndServe(uri?: string): Promise<void> {
    const uris = uri === undefined ? this.config.listen : [uri];
    const listeners = uris.map((each) => listenerFor(each, this.config));
    const faults = openListenerFaults(this.config, listeners);
    if (faults.length > 0) throw new ConfigError(faults);
    this.#listensPending++;
    try {
      const primary = await this.#start();
      for (const each of uris) {
        const address = await primary.listen(each, uri === undefined);
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
   * Publishes a message as a client would; resolves when every shard concerned will deliver it, and
   * at QoS 1 and 2 when it is on disk for sessions and topics that are kept there.
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
   * Reads the configuration once more, with the files that it names, and goes by it. All of it is
   * checked before: where anything is wrong, everything stays as it was. Clients stay connected.
   * Settings that can only be changed at a start keep their values and are named in the result.
   * Reloads asked for meanwhile follow one after another.
   * @param options in the place of those that the server was made with.
   * @throws ConfigError with a line for every fault; ArgumentError for options that are none;
   * ServerError when the server is closed, or a shard cannot go by it.
   */
  reload(options?: ServerOptions): Promise<ReloadResult> {
    // One that waits reads what there is when its turn comes, for all that ask meanwhile.
    if (options === undefined && this.#waitingReload !== null) return this.#waitingReload;
    const reloaded: Promise<ReloadResult> = this.#reloading.then(() => {
      if (this.#waitingReload === reloaded) this.#waitingReload = null;
      return this.#reload(options);
    });
    this.#waitingReload = options === undefined ? reloaded : null;
    this.#reloading = reloaded.catch(() => {});
    return reloaded;
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

  #start(): Promise<Primary> {
    if (this.#closing !== null) throw closedError();
    this.#started ??= this.#startPrimary();
    return this.#started;
  }

  async #startPrimary(): Promise<Primary> {
    const config = this.#config;
    await this.#files.watch(tlsPaths(config));
    const materials = await readMaterials(config);
    if (this.#closing !== null) throw closedError();
    const primary = new Primary({
      ...this.#internals,
      config,
      materials,
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
    this.#primary = primary;
    this.#updateWatch();
    this.#warnOfFiles(materials);
    await primary.start();
    return primary;
  }

  async #reload(options: ServerOptions | undefined): Promise<ReloadResult> {
    if (this.#closing !== null) throw closedError();
    try {
      return await this.#reloadChecked(options);
    } catch (error) {
      await this.#files.watch(tlsPaths(this.#config));
      if (error instanceof ConfigError) {
        // Who has asked need not be there to tell it.
        const { faults } = error;
        this.#logger.error({ faults }, 'configuration refused: everything stays as it was');
      }
      throw error;
    }
  }

  async #reloadChecked(options: ServerOptions | undefined): Promise<ReloadResult> {
    const { config: next, warnings } = this.#loadAgain(options);
    await this.#files.watch(tlsPaths(next));
    const materials = await readMaterials(next);
    // One that is starting has read the old one.
    const primary = await this.#started?.catch(() => null);
    if (this.#closing !== null) throw closedError();
    const isRunning = primary !== null && primary !== undefined && primary === this.#primary;
    const { config, changed, needRestart } = mergeReloaded(this.#config, next);
    const listeners = isRunning ? primary.listenersBy(config) : next.listeners;
    const open = openListenerFaults(isRunning ? config : next, listeners);
    if (open.length > 0) throw new ConfigError(open);
    const faults = isRunning ? await primary.reload(config, materials) : [];
    this.#config = isRunning ? config : next;
    for (const warning of warnings) this.#logger.warn({}, warning);
    this.#warnOfFiles(materials);
    if (faults.length > 0) throw new ServerError(ServerErrorCode.notReloaded, faults.join('; '));
    const result = { changed, needRestart, warnings };
    this.#logger.info({ changed, needRestart }, 'configuration reloaded');
    this.#emitLater('reloaded', result);
    return result;
  }

  /** Files of certificates are others now: they are read again, all of them, and nothing else. */
  #onFilesChanged(): void {
    const renewed = this.#reloading.then(() => this.#renewFiles());
    this.#reloading = renewed.catch((error: unknown) => {
      const faults = error instanceof Error ? error.message : String(error);
      this.#logger.error({ faults }, 'changed files are not used: the former ones stay');
    });
  }

  async #renewFiles(): Promise<void> {
    const primary = this.#primary;
    if (primary === null || this.#closing !== null) return;
    const materials = await readMaterials(this.#config);
    const faults = await primary.reload(this.#config, materials);
    if (faults.length > 0) throw new ServerError(ServerErrorCode.notReloaded, faults.join('; '));
    this.#warnOfFiles(materials);
    this.#logger.info({}, 'changed files are used from now on');
  }

  #warnOfFiles(materials: Materials): void {
    for (const warning of tlsWarnings(this.#config, materials)) this.#logger.warn({}, warning);
  }

  /** Back to where nothing runs, after a first call that failed. */
  async #abandon(): Promise<void> {
    const primary = this.#primary;
    this.#started = null;
    this.#files.close();
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
    this.#files.close();
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
