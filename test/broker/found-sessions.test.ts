/** Sessions that a broker finds on disk when it starts, with what they have subscribed to. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Client, connect, Server } from '../../src/index.js';
import { eventually } from '../support/waiting.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const logger = { debug() {}, info() {}, warn() {}, error() {} };
const SESSIONS = Array.from({ length: 40 }, (_, n) => n);
const clientIdOf = (n: number) => `session ${n}`;
/** Of a session, none to four filters. */
const filtersOf = (n: number) => Array.from({ length: (n * 7) % 5 }, (_, at) => `s/${n}/${at}`);
const SUBSCRIPTIONS = SESSIONS.flatMap(filtersOf).length;

async function serve(dataDir: string, workers: number): Promise<Server> {
  const server = new Server({ sessionsProvider: 'lmdb', dataDir, logger, workers });
  await server.listenAndServe('tcp://127.0.0.1:0');
  return server;
}

function uriOf(server: Server): string {
  return server.addresses[0]!.uri;
}

async function subscribeAll(server: Server): Promise<void> {
  for (const n of SESSIONS) {
    const client = await connect(uriOf(server), { clientId: clientIdOf(n), cleanSession: false });
    for (const filter of filtersOf(n)) await client.subscribe(filter, { qos: 1 });
    await client.disconnect();
  }
}

/** What waits for a session, taken by its client. */
async function messagesOf(server: Server, n: number, count: number): Promise<string[]> {
  const client = new Client(uriOf(server), { clientId: clientIdOf(n), cleanSession: false });
  const messages: string[] = [];
  client.on('message', ({ topic, payload }) => messages.push(`${topic} ${payload}`));
  await client.connect();
  assert.equal(client.sessionPresent, true, clientIdOf(n));
  await eventually(() => messages.length >= count, `what waits for ${clientIdOf(n)}`);
  await client.disconnect();
  return messages.sort();
}

describe('a start', () => {
  // MQTT-3.1.2-4, MQTT-3.1.2-5
  test('finds all sessions and their subscriptions, by any number of workers', async (context) => {
    const dataDir = temporaryFolder(context);
    const first = await serve(dataDir, 2);
    await subscribeAll(first);
    await first.close();
    const starts = [2, 3, 1, 2];
    for (const workers of starts) {
      const server = await serve(dataDir, workers);
      try {
        const { sessions, subscriptions } = server.stats();
        assert.deepEqual([sessions, subscriptions], [SESSIONS.length, SUBSCRIPTIONS]);
        const publisher = await connect(uriOf(server), { clientId: 'publisher' });
        for (const topic of SESSIONS.flatMap(filtersOf)) {
          await publisher.publish(topic, String(workers), { qos: 1 });
        }
        await publisher.disconnect();
      } finally {
        await server.close();
      }
    }
    const last = await serve(dataDir, 2);
    try {
      for (const n of SESSIONS) {
        const expected = filtersOf(n).flatMap((topic) => starts.map((each) => `${topic} ${each}`));
        assert.deepEqual(await messagesOf(last, n, expected.length), expected.sort());
      }
    } finally {
      await last.close();
    }
  });
});
