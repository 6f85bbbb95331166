/**
 * Starts the broker under test in this process on a free port. Run a test file by itself with
 * `--mosquitto` (node dist/test/conformance/....test.js --mosquitto) to hold the tests against
 * Debian's Mosquitto instead: what fails there is either a fault of the test or a leniency of
 * Mosquitto. With `--tls` the broker and its clients speak TLS; with `--store` it keeps sessions on
 * disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import type { Server, ServerOptions } from '../../src/index.js';
import type { ServerInternals } from '../../src/primary/server.js';
import { startMosquitto } from './mosquitto.js';
import { type Endpoint, RawClient } from './raw-client.js';
import { TestClient, type TestClientOptions } from './test-client.js';
import { eventually, IS_MOSQUITTO } from './waiting.js';

export { IS_MOSQUITTO };

/** Every broker of this process has a store. */
const IS_STORED = process.argv.includes('--store');
/** Every broker of this process speaks TLS. */
const IS_TLS = process.argv.includes('--tls');

/** A line the broker has logged. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A running broker, and the clients that a test has opened to it. */
export class Broker implements Endpoint, AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions | undefined;
  readonly logs: readonly LogLine[];
  readonly #server: Server | null;
  readonly #stop: () => Promise<void>;
  readonly #clients: RawClient[] = [];

  constructor(at: Endpoint, server: Server | null, stop: () => Promise<void>, logs: LogLine[]) {
    this.host = at.host;
    this.port = at.port;
    this.tls = at.tls;
    this.logs = logs;
    this.#server = server;
    this.#stop = stop;
  }

  /** The server itself. @throws Error when Mosquitto stands in. */
  get server(): Server {
    if (this.#server === null) throw new Error('Mosquitto has no Server object');
    return this.#server;
  }

  /** Opens a connection without a packet. */
  async raw(): Promise<RawClient> {
    const client = await RawClient.open(this);
    this.#clients.push(client);
    return client;
  }

  /**
   * Connects a client. On an idle broker clients connected one after another come to sit on
   * different shards: placement is by fewest connections, and by turns among equals.
   */
  async client(options: TestClientOptions = {}): Promise<TestClient> {
    const client = await TestClient.connect(this, options);
    this.#clients.push(client.raw);
    return client;
  }

  /** Ends all clients and waits until the broker has seen it, so that placement begins anew. */
  async idle(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.cut()));
    if (this.#server === null) return;
    const server = this.#server;
    await eventually(() => server.stats().connectionsOpen === 0, 'no connection to be open');
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.cut()));
    await this.#stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Starts a broker on a free port of the loopback interface; the defaults are those of the broker.
 * @param tls how its clients speak TLS, where `uri` has them do so.
 */
export async function startBroker(
  options: ServerOptions = {},
  internals: ServerInternals = {},
  uri = 'tcp://127.0.0.1:0',
  tls?: ConnectionOptions,
): Promise<Broker> {
  if (IS_MOSQUITTO) {
    const mosquitto = await startMosquitto(options.maxInflight ?? 1_024);
    return new Broker(mosquitto, null, () => mosquitto.close(), []);
  }
  if (IS_TLS && !uri.startsWith('tls:')) {
    const { TlsFiles } = await import('./tls-broker.js');
    const files = new TlsFiles();
    process.once('exit', () => files[Symbol.dispose]());
    return files.start(options, internals);
  }
  const { Server } = await import('../../src/index.js');
  const logs: LogLine[] = [];
  const logAs = (level: LogLine['level']) => (fields: object, message: string) => {
    logs.push({ level, fields: { ...fields }, message });
  };
  const logger = {
    debug: logAs('debug'),
    info: logAs('info'),
    warn: logAs('warn'),
    error: logAs('error'),
  };
  // How busy the machine is must not decide who is let in.
  const ours = { maxLoopDelay: 0, ...storeOptions(), ...options, logger };
  const server = new Server(ours, undefined, internals);
  await server.listenAndServe(uri);
  const { host, port } = server.addresses[0];
  return new Broker({ host, port, tls }, server, () => server.close(), logs);
}

/** With `--store` every broker keeps what it is told on disk, in a folder of its own. */
function storeOptions(): ServerOptions {
  if (!IS_STORED) return { sessionsProvider: 'mem' };
  const dataDir = mkdtempSync(join(tmpdir(), 'surgemq-test-'));
  process.once('exit', () => rmSync(dataDir, { recursive: true }));
  return { sessionsProvider: 'lmdb', dataDir };
}

/** The numbers of shards that every conformance test runs with. */
export const WORKER_COUNTS = [1, 3] as const;

let names = 0;
/** A name that no other test of this process uses, for client ids and topics. */
export function unique(name: string): string {
  return `${name}-${++names}`;
}
