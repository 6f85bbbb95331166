/**
 * Starts the broker under test in this process on a free port. Run a test file by itself with
 * `--mosquitto` (node dist/test/conformance/....test.js --mosquitto) to hold the tests against
 * Debian's Mosquitto instead: what fails there is either a fault of the test or a leniency of
 * Mosquitto.
 */
import type { Server, ServerOptions } from '../../src/index.js';
import type { ServerInternals } from '../../src/primary/server.js';
import { startMosquitto } from './mosquitto.js';
import { type Endpoint, RawClient } from './raw-client.js';
import { TestClient, type TestClientOptions } from './test-client.js';
import { eventually, IS_MOSQUITTO } from './waiting.js';

export { IS_MOSQUITTO };

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
  readonly logs: readonly LogLine[];
  readonly #server: Server | null;
  readonly #stop: () => Promise<void>;
  readonly #clients: RawClient[] = [];

  constructor(at: Endpoint, server: Server | null, stop: () => Promise<void>, logs: LogLine[]) {
    this.host = at.host;
    this.port = at.port;
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
 */
export async function startBroker(
  options: ServerOptions = {},
  internals: ServerInternals = {},
): Promise<Broker> {
  if (IS_MOSQUITTO) {
    const mosquitto = await startMosquitto(options.maxInflight ?? 1_024);
    return new Broker(mosquitto, null, () => mosquitto.close(), []);
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
  const server = new Server({ ...options, logger }, undefined, internals);
  await server.listenAndServe('tcp://127.0.0.1:0');
  const { host, port } = server.addresses[0];
  return new Broker({ host, port }, server, () => server.close(), logs);
}

/** The numbers of shards that every conformance test runs with. */
export const WORKER_COUNTS = [1, 3] as const;

let names = 0;
/** A name that no other test of this process uses, for client ids and topics. */
export function unique(name: string): string {
  return `${name}-${++names}`;
}
