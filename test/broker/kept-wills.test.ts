/** Wills on disk, of sessions that the successor of a shard finds there, or a start. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { Faults } from '../support/kill/faults.js';
import { KillableBroker } from '../support/kill/killable-broker.js';
import { MAY_BE_SILENT, openOn } from '../support/on-shard.js';
import { connect, DISCONNECT } from '../support/packets.js';
import { connect5, parseSaid, prop } from '../support/packets5.js';
import { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;
const SETTINGS = { ...MAY_BE_SILENT, workers: 2, sessionsProvider: 'lmdb', authenticator } as const;
const WATCHER = { clientId: 'watcher', cleanSession: false };

/** A client of shard 0, with a will. */
async function connectWithWill(broker: Broker, topic: string, delay: number, expiry: number) {
  const client = await openOn(broker, 0);
  const properties = prop.uint32(0x18, delay);
  const will = { topic, payload: 'gone', qos: 1 as const, properties };
  const clientId = unique('leaving');
  client.send(connect5({ clientId, properties: prop.uint32(0x11, expiry), will }));
  assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
  return { client, clientId };
}

/** A client of shard 0 whose connection breaks. @returns its client id. */
async function leaveWill(broker: Broker, topic: string, delay: number, expiry: number) {
  const { client, clientId } = await connectWithWill(broker, topic, delay, expiry);
  const { connectionsOpen } = broker.server.stats();
  await client.cut();
  const isSeen = () => broker.server.stats().connectionsOpen < connectionsOpen;
  await eventually(isSeen, 'the broker to see it');
  return clientId;
}

/** The death of shard 0, and its successor. */
async function killShard(broker: Broker) {
  const died = within(once(broker.server, 'shardDied'), 'its death');
  const started = within(once(broker.server, 'shardStarted'), 'its successor');
  const lethal = await openOn(broker, 0);
  lethal.send(connect({ clientId: unique('lethal') }));
  await died;
  return { started };
}

/** A client of shard 1 that is there. */
async function watch(broker: Broker, topic: string): Promise<TestClient> {
  const watcher = await TestClient.over(await openOn(broker, 1), WATCHER);
  await watcher.subscribe([topic, 1]);
  return watcher;
}

/** The will comes, and comes once. */
async function checkOnce(watcher: TestClient): Promise<void> {
  assert.equal((await watcher.nextMessage()).payload, 'gone');
  await watcher.ping();
  assert.equal(watcher.messages.length, 1);
}

function serve(context: TestContext): Promise<Broker> {
  return startBroker({ ...SETTINGS, dataDir: temporaryFolder(context) });
}

describe('a delayed will on disk', () => {
  // [MQTT-3.1.2-8]: that its client has left is on disk at once, though nothing else happens there.
  for (const [delay, expiry] of [
    [2, 60],
    [60, 2],
  ] as const) {
    const what = `delay ${delay} s, session ${expiry} s`;
    test(`is published though its shard dies, ${what}`, async (context) => {
      await using broker = await serve(context);
      const topic = unique('will');
      const watcher = await watch(broker, topic);
      await leaveWill(broker, topic, delay, expiry);
      await (await killShard(broker)).started;
      await checkOnce(watcher);
    });
  }

  // [MQTT-3.1.3-9], [MQTT-3.14.4-3]: its session ends.
  test('is published where its client comes back clean, its shard dead', async (context) => {
    await using broker = await serve(context);
    const topic = unique('will');
    const watcher = await watch(broker, topic);
    const clientId = await leaveWill(broker, topic, 60, 60);
    const { started } = await killShard(broker);
    const client = await openOn(broker, 1);
    client.send(connect5({ clientId, cleanStart: true }));
    assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
    await started;
    await checkOnce(watcher);
  });
});

describe('the will of a client that is here', () => {
  // [MQTT-3.1.2-8]: its connection ends with its shard; the delay begins then.
  for (const delay of [0, 1]) {
    test(`is published when its shard dies, delay ${delay} s`, async (context) => {
      await using broker = await serve(context);
      const topic = unique('will');
      const watcher = await watch(broker, topic);
      await connectWithWill(broker, topic, delay, 60);
      await (await killShard(broker)).started;
      await checkOnce(watcher);
    });
  }

  // [MQTT-3.1.2-10]: nor when its shard dies behind that.
  test('is published by nobody behind DISCONNECT', async (context) => {
    await using broker = await serve(context);
    const topic = unique('will');
    const watcher = await watch(broker, topic);
    const { client } = await connectWithWill(broker, topic, 0, 60);
    client.send(DISCONNECT);
    await client.untilClosed();
    await (await killShard(broker)).started;
    await watcher.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await watcher.messagesUntil('end'), []);
  });

  // [MQTT-3.1.2-8]: its connection ends with the broker.
  test('is published once when the broker was killed', async () => {
    const faults = new Faults();
    const plan = { workers: 2, environment: {}, command: null };
    const broker = await KillableBroker.at(plan, faults);
    const endpoint = { host: '127.0.0.1', port: broker.port };
    const resume = (clientId: string) =>
      TestClient.connect(endpoint, { clientId, cleanSession: false });
    const topics = ['w/0', 'w/1', 'w/2'];
    try {
      await broker.start();
      const readers = await Promise.all(['a', 'b'].map(resume));
      for (const reader of readers) await reader.subscribe(['w/+', 2]);
      for (const topic of topics) {
        const will = { topic, payload: topic, qos: 2 };
        await TestClient.connect(endpoint, { clientId: topic, cleanSession: false, will });
      }
      // Behind the second kill nothing of it is left.
      for (const kills of [1, 2]) {
        await broker.kill();
        await broker.start();
        const received = new Set<number>();
        for (const clientId of ['a', 'b']) {
          const reader = await TestClient.connect(endpoint, {
            clientId,
            cleanSession: false,
            received,
          });
          await reader.publish('w/end', clientId, { qos: 1 });
          const before = await reader.messagesUntil(clientId);
          const wills = before.filter(({ topic }) => topics.includes(topic));
          const expected = kills === 1 ? topics : [];
          assert.deepEqual(wills.map(({ payload }) => payload).sort(), expected);
          received.clear();
        }
      }
    } finally {
      await broker.stop();
      broker.remove();
    }
    assert.equal(faults.total, 0, faults.lines.join('\n'));
  });

  // [MQTT-3.14.4-3], [MQTT-3.1.2-10]: who sees its connection end has gone in order.
  test('is not published behind a kill once a DISCONNECT was answered by the end', async () => {
    const faults = new Faults();
    const plan = { workers: 2, environment: {}, command: null };
    const broker = await KillableBroker.at(plan, faults);
    const endpoint = { host: '127.0.0.1', port: broker.port };
    const resume = (options: object) =>
      TestClient.connect(endpoint, { cleanSession: false, ...options });
    try {
      await broker.start();
      await (await resume({ clientId: 'watcher' })).subscribe(['w/+', 1]);
      for (let kills = 0; kills < 5; kills++) {
        const will = { topic: 'w/0', payload: 'gone', qos: 1 };
        const clients = await Promise.all(
          ['a', 'b', 'c'].map((clientId) => resume({ clientId, will })),
        );
        await Promise.all(clients.map((client) => client.disconnect()));
        await broker.kill();
        await broker.start();
        const watcher = await resume({ clientId: 'watcher' });
        await watcher.publish('w/end', 'end', { qos: 1 });
        assert.deepEqual(await watcher.messagesUntil('end'), []);
      }
    } finally {
      await broker.stop();
      broker.remove();
    }
    assert.equal(faults.total, 0, faults.lines.join('\n'));
  });
});

describe('while a shard is dead', () => {
  // [MQTT-3.1.2-8], [MQTT-4.3.2-1]: its sessions are found by its successor, and get what has come.
  for (const cleanSession of [true, false]) {
    test(`a will waits for the sessions there, clean ${cleanSession}`, async (context) => {
      await using broker = await serve(context);
      const topic = unique('will');
      const reader = await TestClient.over(await openOn(broker, 0), WATCHER);
      await reader.subscribe([topic, 1]);
      const will = { topic, payload: 'gone', qos: 1 };
      const options = { clientId: unique('leaving'), cleanSession, will };
      const leaver = await TestClient.over(await openOn(broker, 1), options);
      const { started } = await killShard(broker);
      await leaver.raw.cut();
      await started;
      await checkOnce(await TestClient.over(await openOn(broker, 1), WATCHER));
    });
  }

  test('what the program publishes waits for them, and its promise too', async (context) => {
    await using broker = await serve(context);
    const topic = unique('program');
    const reader = await TestClient.over(await openOn(broker, 0), WATCHER);
    await reader.subscribe([topic, 1]);
    const { started } = await killShard(broker);
    await broker.server.publish({ topic, payload: 'gone', qos: 1 });
    await started;
    await checkOnce(await TestClient.over(await openOn(broker, 1), WATCHER));
  });
});
