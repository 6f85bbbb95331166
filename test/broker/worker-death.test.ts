/** A worker thread dies, and what it kept is on disk. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Client, connect, Server } from '../../src/index.js';
import { connect as connectPacket } from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';

const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;
const SESSIONS = ['s0', 's1', 's2', 's3'];
const MESSAGES = 400;

async function started(context: TestContext): Promise<Server> {
  const dataDir = mkdtempSync(join(tmpdir(), 'surgemq-death-'));
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const server = new Server({ workers: 2, dataDir, authenticator, maxLoopDelay: 0, logger });
  context.after(async () => {
    await server.close();
    rmSync(dataDir, { recursive: true });
  });
  await server.listenAndServe('tcp://127.0.0.1:0');
  return server;
}

function open(server: Server, clientId: string): Promise<Client> {
  return connect(server.addresses[0]!.uri, { clientId, cleanSession: false });
}

/** Kills a worker; resolves when its successor is there. */
async function killAWorker(server: Server): Promise<void> {
  const replaced = once(server, 'shardStarted');
  const lethal = await RawClient.open(server.addresses[0]!);
  lethal.send(connectPacket({ clientId: 'lethal' }));
  await replaced;
}

describe('when a worker dies', () => {
  test('nothing acknowledged is lost, and QoS 2 comes once', async (context) => {
    const server = await started(context);
    for (const clientId of SESSIONS) {
      const client = await open(server, clientId);
      await client.subscribe('a/#', { qos: 2 });
      await client.disconnect();
    }
    const publisher = await open(server, 'p');
    const published = Array.from({ length: MESSAGES }, (_, n) =>
      publisher.publish(`a/${n % 3}`, String(n), { qos: n % 2 === 0 ? 1 : 2 }),
    );
    await published[0];
    await killAWorker(server);
    await Promise.all(published);
    await publisher.disconnect();
    for (const clientId of SESSIONS) {
      const counts = new Map<string, number>();
      const client = new Client(server.addresses[0]!.uri, { clientId, cleanSession: false });
      const all = new Promise<void>((resolve) => {
        client.on('message', ({ payload }) => {
          const text = String(payload);
          counts.set(text, (counts.get(text) ?? 0) + 1);
          if (counts.size === MESSAGES) resolve();
        });
      });
      await client.connect();
      await all;
      const twice = [...counts].filter(([text, count]) => Number(text) % 2 === 1 && count > 1);
      assert.deepEqual(twice, [], clientId);
      await client.disconnect();
    }
  });

  test('what is retained is there, and so are subscriptions', async (context) => {
    const server = await started(context);
    const publisher = await open(server, 'p');
    const topics = Array.from({ length: 20 }, (_, n) => `r/${n}`);
    for (const topic of topics) await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    await killAWorker(server);
    assert.equal(server.stats().retainedMessages, topics.length);
    const reader = await open(server, 'reader');
    const seen = new Set<string>();
    const all = new Promise<void>((resolve) => {
      reader.on('message', ({ topic }) => {
        seen.add(topic);
        if (seen.size === topics.length) resolve();
      });
    });
    await reader.subscribe('r/#', { qos: 1 });
    await all;
    await reader.disconnect();
    await publisher.disconnect();
  });
});
