/** A client and a fake server, and the end of both with the test. */
import type { TestContext } from 'node:test';
import { Client, type ClientEvents, type ClientOptions } from '../../../src/client/index.js';
import { within } from '../../support/waiting.js';
import { type FakeConnection, FakeServer } from './fake-server.js';

/** Delays that do not slow a test down. */
export const QUICK: ClientOptions = {
  clientId: 'test',
  reconnect: { minDelay: '2ms', maxDelay: '10ms' },
};

export interface Harness {
  readonly server: FakeServer;
  readonly client: Client;
}

/** A server, and a client that is not connected. */
export async function start(t: TestContext, options: ClientOptions = {}): Promise<Harness> {
  const server = await FakeServer.start();
  const client = new Client(server.uri, { ...QUICK, ...options });
  t.after(async () => {
    await server.stop();
    await client.disconnect({ drain: false });
  });
  return { server, client };
}

/** A connected client, and the server's side of the connection. */
export async function connected(
  t: TestContext,
  options: ClientOptions = {},
  sessionPresent = false,
): Promise<Harness & { connection: FakeConnection }> {
  const { server, client } = await start(t, options);
  const [connection] = await Promise.all([server.acceptClient(sessionPresent), client.connect()]);
  return { server, client, connection };
}

/**
 * What a promise has come to after the turns that were given: 'pending', 'resolved' or an error.
 */
export function outcome(promise: Promise<unknown>): { state: unknown } {
  const seen: { state: unknown } = { state: 'pending' };
  promise.then(
    () => {
      seen.state = 'resolved';
    },
    (error: unknown) => {
      seen.state = error;
    },
  );
  return seen;
}

/**
 * The first argument of the next event of a name. Unlike events.once, an 'error' does not end it.
 */
export function event<K extends keyof ClientEvents>(
  client: Client,
  name: K,
): Promise<ClientEvents[K][0]> {
  const happened = new Promise<ClientEvents[K][0]>((resolve) => {
    const listener = (argument: unknown): void => resolve(argument as ClientEvents[K][0]);
    (client as NodeJS.EventEmitter).once(name, listener);
  });
  return within(happened, `event '${name}'`);
}
