/** A client and a fake server, and the end of both with the test. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import {
  Client,
  type ClientEvents,
  type ClientOptions,
  ConnectFailedError,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { within } from '../../support/waiting.js';
import { type FakeConnection, FakeServer } from './fake-server.js';

/** Delays that do not slow a test down; in 3.1.1, whose bytes most tests expect. */
export const QUICK: ClientOptions = {
  clientId: 'test',
  protocolVersion: 4,
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

/** The one line by which `connect` rejects. */
export async function refusal(client: Client): Promise<string> {
  const error = await client.connect().catch((failure: unknown) => failure);
  assert(error instanceof ConnectFailedError);
  assert.doesNotMatch(error.message, /\n/);
  return error.message;
}

/**
 * Lets the time of an attempt to connect run out: its clock stands still until the server has
 * heard of the client, so that how busy the machine is decides nothing.
 * @param attempt settles when the time is over.
 * @returns the server's side, which has said nothing.
 */
export async function runOut(
  t: TestContext,
  server: FakeServer,
  timeoutMs: number,
  attempt: () => Promise<void>,
): Promise<FakeConnection> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const accepted = server.accept();
  const settled = attempt();
  const connection = await accepted;
  await once(connection.socket, 'data');
  t.mock.timers.tick(timeoutMs);
  await settled;
  t.mock.timers.reset();
  return connection;
}

/** Messages go and come: a small one each way, and one that takes many reads. */
export async function exchangeMessages(client: Client, connection: FakeConnection): Promise<void> {
  const received = event(client, 'message');
  connection.send(packets.publish({ topic: 'a', payload: 'in' }));
  assert.equal((await received).payload.toString(), 'in');
  await client.publish('b', 'out');
  await connection.expect(packets.publish({ topic: 'b', payload: 'out' }));
  const large = 'x'.repeat(1_000_000);
  const published = client.publish('c', large);
  await connection.expect(packets.publish({ topic: 'c', payload: large }));
  await published;
}
