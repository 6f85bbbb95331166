/** What is retained stays on disk, and is found there by those who subscribe. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Client, connect, Server, type ServerOptions } from '../../src/index.js';
import { StoreReader } from '../../src/store/store-reader.js';
import { matches } from '../../src/topics/topic.js';
import { eventually } from '../support/waiting.js';
import { retainedIn, temporaryFolder } from '../unit/store/temporary-store.js';

const logger = { debug() {}, info() {}, warn() {}, error() {} };
/** Topics whose order as bytes is not that of their levels, and those that wildcards pass by. */
const TOPICS = ['a', 'a!b', 'a/', 'a/b', 'a/b/c', 'a/b!/c', '/a', '$own/a', 'b/b', 'é/b', 'x/y/z'];
const FILTERS = ['#', '+', '+/b', 'a/#', '+/+/c', '/+', '$own/#', 'a/b', '+/#', 'none/#'];
/** What no filter with wildcards finds: it is asked for at the end. */
const LAST = '$last';

async function serve(dataDir: string, options: ServerOptions): Promise<Server> {
  const server = new Server({ sessionsProvider: 'lmdb', dataDir, logger, ...options });
  await server.listenAndServe('tcp://127.0.0.1:0');
  return server;
}

function open(server: Server, clientId: string): Promise<Client> {
  return connect(server.addresses[0]!.uri, { clientId, protocolVersion: 5 });
}

/** What a new subscriber gets as retained, by topic: as many as that, and what else comes soon. */
async function retainedOf(
  server: Server,
  filter: string,
  count: number,
): Promise<Map<string, string>> {
  await using subscriber = await open(server, 'subscriber');
  const found = new Map<string, string>();
  let isOver = false;
  subscriber.on('message', ({ topic, payload, retain }) => {
    if (topic === LAST) {
      isOver = true;
      return;
    }
    assert.ok(retain && !found.has(topic), topic);
    found.set(topic, String(payload));
  });
  await subscriber.subscribe(filter, { qos: 1 });
  await subscriber.subscribe(LAST, { qos: 1 });
  await eventually(() => isOver && found.size >= count, `what ${filter} finds`);
  return found;
}

async function assertAll(server: Server, expected: ReadonlyMap<string, string>): Promise<void> {
  for (const filter of FILTERS) {
    const wanted = [...expected].filter(([topic]) => matches(filter, topic));
    const found = await retainedOf(server, filter, wanted.length);
    assert.deepEqual([...found].sort(), wanted.sort(), filter);
  }
  // And the last one.
  assert.equal(server.stats().retainedMessages, expected.size + 1);
}

function folderOf(context: TestContext): string {
  return temporaryFolder(context);
}

describe('retained messages on disk', () => {
  // MQTT-3.3.1-5, MQTT-3.3.1-6, MQTT-3.3.1-10
  test('are found by every filter after starts with other numbers of workers', async (context) => {
    const dataDir = folderOf(context);
    const expected = new Map<string, string>();
    for (const workers of [1, 3, 2, 2, 1]) {
      const server = await serve(dataDir, { workers });
      try {
        const publisher = await open(server, 'publisher');
        const retain = (topic: string, payload: string) =>
          publisher.publish(topic, payload, { qos: 1, retain: true });
        if (expected.size === 0) {
          for (const topic of TOPICS) await retain(topic, `of ${topic}`);
          for (const topic of TOPICS) expected.set(topic, `of ${topic}`);
          await retain(LAST, '1');
        }
        await assertAll(server, expected);
        await retain('a/b', `by ${workers}`);
        expected.set('a/b', `by ${workers}`);
        await retain(`new/${workers}`, 'new');
        expected.set(`new/${workers}`, 'new');
        const gone = TOPICS[expected.size % TOPICS.length]!;
        await retain(gone, '');
        expected.delete(gone);
        await assertAll(server, expected);
        await publisher.disconnect();
      } finally {
        await server.close();
      }
    }
  });

  test('count among as many as may be retained', async (context) => {
    const dataDir = folderOf(context);
    for (const start of [0, 1]) {
      const server = await serve(dataDir, { workers: 1, maxRetainedMessages: 3 });
      try {
        const publisher = await open(server, 'publisher');
        for (const n of [1, 2, 3, 4]) {
          await publisher.publish(`t/${n}`, String(start), { qos: 1, retain: true });
        }
        const { retainedMessages, droppedRetained } = server.stats();
        assert.deepEqual([retainedMessages, droppedRetained], [3, 1]);
        await publisher.publish('t/2', '', { qos: 1, retain: true });
        await publisher.publish('t/5', '5', { qos: 1, retain: true });
        await publisher.publish('t/5', '', { qos: 1, retain: true });
        assert.equal(server.stats().retainedMessages, 2);
        await publisher.disconnect();
      } finally {
        await server.close();
      }
    }
  });

  // MQTT-3.3.1-5, MQTT-3.3.1-7
  test('at QoS 0 are there after a stop, the last of each topic', async (context) => {
    const dataDir = folderOf(context);
    const expected = new Map(TOPICS.map((topic) => [topic, '3']));
    expected.delete('a/b');
    for (const workers of [2, 1]) {
      const server = await serve(dataDir, { workers });
      try {
        if (workers === 2) {
          const publisher = await open(server, 'publisher');
          const retain = (topic: string, payload: string) =>
            publisher.publish(topic, payload, { qos: 0, retain: true });
          for (const round of ['1', '2', '3']) {
            for (const topic of TOPICS) await retain(topic, round);
          }
          await retain('a/b', '');
          await publisher.publish(LAST, 'x', { qos: 1, retain: true });
          await publisher.disconnect();
        }
        await assertAll(server, expected);
      } finally {
        await server.close();
      }
    }
  });

  test('at QoS 0 are on disk soon, though nothing else happens', async (context) => {
    const dataDir = folderOf(context);
    const server = await serve(dataDir, { workers: 2 });
    const reader = new StoreReader({ folder: dataDir, durability: 'fsync' });
    try {
      await using publisher = await open(server, 'publisher');
      for (const topic of TOPICS) await publisher.publish(topic, 'x', { qos: 0, retain: true });
      await eventually(() => {
        reader.renew();
        return reader.retainedTotals(0, 2) !== null && retainedIn(reader).length > 0;
      }, 'rows, and as many as are said');
      const found = retainedIn(reader).map(({ topicKey }) => `${Buffer.from(topicKey, 'latin1')}`);
      assert.deepEqual(found.sort(), TOPICS.filter((topic) => !topic.startsWith('$')).sort());
    } finally {
      await reader.close();
      await server.close();
    }
  });

  // MQTT-3.3.2-5
  test('that expire while no broker runs are not sent, and are counted', async (context) => {
    const dataDir = folderOf(context);
    const first = await serve(dataDir, { workers: 2 });
    const publisher = await open(first, 'publisher');
    const now = { qos: 1, retain: true } as const;
    for (const n of [1, 2, 3]) {
      const properties = { messageExpiryInterval: n === 3 ? 3_600 : 1 };
      await publisher.publish(`t/${n}`, 'x', { ...now, properties });
    }
    await publisher.publish(LAST, 'x', now);
    await publisher.disconnect();
    await first.close();
    const at = Date.now() + 1_100;
    await eventually(() => Date.now() > at, 'a second to pass');
    const second = await serve(dataDir, { workers: 2 });
    try {
      assert.equal(second.stats().retainedMessages, 4);
      assert.deepEqual([...(await retainedOf(second, 't/+', 1)).keys()], ['t/3']);
      assert.equal(second.stats().droppedMessageExpired, 2);
    } finally {
      await second.close();
    }
  });
});
