/**
 * The broker of a soak run, in a process of its own, so that its memory is its own:
 * `SoakBroker.start` forks this file, which then says where it listens, when a shard was replaced,
 * and what its counters are when it is asked. It reloads its configuration all the while.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type BoundAddress, Server, type ServerOptions, type ServerStats } from '../src/index.js';

const SELF = fileURLToPath(import.meta.url);
const RELOAD_EVERY_MS = 3_000;
/** Of /proc: bytes of a page. */
const PAGE_BYTES = 4_096;

type FromBroker =
  | { readonly addresses: readonly BoundAddress[] }
  | { readonly stats: ServerStats }
  | 'shardStarted';

/** The soak's end of it. */
export class SoakBroker {
  addresses: readonly BoundAddress[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @throws Error when it does not start; why stands on standard error. */
  static async start(options: ServerOptions): Promise<SoakBroker> {
    const child = fork(SELF, [JSON.stringify(options)]);
    const ended = once(child, 'exit').then(() => {
      throw new Error('the broker has ended');
    });
    const broker = new SoakBroker(child);
    const listening = broker.#until((each) => typeof each === 'object' && 'addresses' in each);
    const message = await Promise.race([listening, ended]);
    broker.addresses = (message as { addresses: BoundAddress[] }).addresses;
    return broker;
  }

  /** Resolves when the next shard was replaced. */
  async shardStarted(): Promise<void> {
    await this.#until((message) => message === 'shardStarted');
  }

  async stats(): Promise<ServerStats> {
    this.#child.send('stats');
    const message = await this.#until((each) => typeof each === 'object' && 'stats' in each);
    return (message as { stats: ServerStats }).stats;
  }

  get residentBytes(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/statm`, 'utf8').split(' ');
    return Number(fields[1]) * PAGE_BYTES;
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }

  #until(isIt: (message: FromBroker) => boolean): Promise<FromBroker> {
    return new Promise((resolve) => {
      const onMessage = (message: unknown): void => {
        if (!isIt(message as FromBroker)) return;
        this.#child.off('message', onMessage);
        resolve(message as FromBroker);
      };
      this.#child.on('message', onMessage);
    });
  }
}

/** Reloads with other limits each time, and the same certificate read anew. */
async function reloadAgainAndAgain(server: Server, options: ServerOptions): Promise<void> {
  for (let count = 0; process.connected; count++) {
    const maxSubscriptions = count % 2 === 0 ? 5_000 : 50_000;
    await server.reload({ ...options, maxSubscriptions }).catch((error: unknown) => {
      // One that is closed meanwhile reloads no more.
      if (process.connected) throw error;
    });
    await delay(RELOAD_EVERY_MS, undefined, { ref: false });
  }
}

async function serve(options: ServerOptions): Promise<void> {
  const ignore = (): void => {};
  const error = (fields: object, message: string): void => console.log(message, fields);
  const server = new Server({
    ...options,
    logger: { debug: ignore, info: ignore, warn: ignore, error },
  });
  const say = (message: FromBroker): void => void process.send?.(message);
  server.on('shardStarted', () => say('shardStarted'));
  process.on('message', () => say({ stats: server.stats() }));
  process.once('disconnect', () => void server.close());
  await server.listenAndServe();
  say({ addresses: server.addresses });
  await reloadAgainAndAgain(server, options);
}

if (process.argv[1] === SELF) await serve(JSON.parse(process.argv[2]));
