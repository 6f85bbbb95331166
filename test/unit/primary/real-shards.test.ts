import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Server, type ServerOptions } from '../../../src/index.js';
import { connect } from '../../support/packets.js';
import type { Endpoint } from '../../support/raw-client.js';
import { RawClient } from '../../support/raw-client.js';
import { TestClient } from '../../support/test-client.js';
import { eventually } from '../../support/waiting.js';

const execFileAsync = promisify(execFile);
const authenticator = new URL('../../support/lethal-authenticator.js', import.meta.url).href;

/** Has a shard killed: the one that gets the connection. */
async function killAShard(at: Endpoint): Promise<void> {
  const lethal = await RawClient.open(at);
  lethal.send(connect({ clientId: 'lethal' }));
  await lethal.untilClosed();
}

let server: Server;

async function open(options: ServerOptions = {}): Promise<Endpoint> {
  const own = { workers: 2, sessionsProvider: 'mem', authenticator, ringBytes: 262_144 };
  server = new Server({ ...own, ...options });
  await server.listenAndServe('tcp://127.0.0.1:0');
  return server.addresses[0];
}

/** By shard, the connections it has open. */
function connectionsOpen(): number[] {
  return server.stats().shards.map((shard) => shard.connectionsOpen);
}

describe('a server with two shards', () => {
  let at: Endpoint;
  before(async () => {
    at = await open();
  });
  beforeEach(() => eventually(() => server.stats().connectionsOpen === 0, 'all to have gone'));
  after(() => server.close());

  test('serves mosquitto_pub and mosquitto_sub', async () => {
    const { port } = at;
    const flags = ['-p', `${port}`, '-t'];
    // Into a pipe it would write at its end only.
    const byLine = ['-oL', 'mosquitto_sub', ...flags, 'a/#', '-C', '3', '-W', '15', '-v', '-d'];
    const subscriber = spawn('stdbuf', byLine);
    const closed = once(subscriber, 'close');
    const lines: string[] = [];
    for await (const line of createInterface(subscriber.stdout)) {
      if (line.startsWith('a/')) lines.push(line);
      if (!line.startsWith('Subscribed')) continue;
      for (const qos of ['0', '1', '2']) {
        await execFileAsync('mosquitto_pub', [...flags, `a/${qos}`, '-m', 'hello', '-q', qos]);
      }
    }
    assert.deepEqual(await closed, [0, null]);
    // Publications of different clients have no order among them.
    lines.sort();
    assert.deepEqual(lines, ['a/0 hello', 'a/1 hello', 'a/2 hello']);
  });

  test('spreads connections over its shards', async () => {
    const clients = [await TestClient.connect(at), await TestClient.connect(at)];
    assert.deepEqual(connectionsOpen(), [1, 1]);
    for (const client of clients) await client.disconnect();
  });

  test('publishes to subscribers on every shard, and retains', async () => {
    const clients = [await TestClient.connect(at), await TestClient.connect(at)];
    for (const client of clients) await client.subscribe(['ü/+', 1]);
    await server.publish({ topic: 'ü/a', payload: 'ä', qos: 1, retain: true });
    for (const client of clients) {
      const message = await client.nextMessage();
      assert.equal(message.payload, 'ä');
      assert.equal(message.qos, 1);
      assert.equal(message.retain, false);
    }
    const late = await TestClient.connect(at);
    await late.subscribe(['ü/a', 0]);
    assert.equal((await late.nextMessage()).retain, true);
    for (const client of [...clients, late]) await client.cut();
  });

  // [MQTT-3.1.4-2]
  test('a client id that connects to another shard takes its session along', async () => {
    const persistent = { clientId: 'moving', cleanSession: false };
    const first = await TestClient.connect(at, persistent);
    await first.subscribe(['a', 1]);
    const second = await TestClient.connect(at, persistent);
    assert.equal(second.sessionPresent, true);
    await first.untilClosed();
    await server.publish({ topic: 'a', payload: 'b', qos: 1 });
    assert.equal((await second.nextMessage()).payload, 'b');
    assert.equal(server.stats().clientIds, 1);
    await second.cut();
  });

  test('kick closes the connection and sends the will', async () => {
    const watcher = await TestClient.connect(at, { clientId: 'watcher' });
    await watcher.subscribe(['will', 0]);
    const kicked = await TestClient.connect(at, {
      clientId: 'kicked',
      will: { topic: 'will', payload: 'gone' },
    });
    assert.equal(server.kick('nobody'), false);
    assert.equal(server.kick('kicked'), true);
    await kicked.untilClosed();
    assert.equal((await watcher.nextMessage()).payload, 'gone');
    await watcher.cut();
  });

  test('a shard that dies takes its clients along, and the others go on', async () => {
    const clients = [await TestClient.connect(at), await TestClient.connect(at)];
    for (const client of clients) await client.subscribe(['a', 1]);
    const lostBefore = server.stats().closed['connection-lost'];
    const started = once(server, 'shardStarted');
    const died = once(server, 'shardDied');
    await killAShard(at);
    const [shardIndex, cause] = await died;
    assert.match((cause as Error).message, /killed by lethal/);
    await eventually(() => clients.some(({ raw }) => raw.isClosed), 'its client to be dropped');
    const [survivor] = clients.filter(({ raw }) => !raw.isClosed);
    await survivor.publish('a', 'still here', { qos: 1 });
    assert.equal((await survivor.nextMessage()).payload, 'still here');

    assert.deepEqual(await started, [shardIndex]);
    const newcomer = await TestClient.connect(at);
    assert.deepEqual(connectionsOpen(), [1, 1]);
    await newcomer.subscribe(['b', 1]);
    await newcomer.publish('a', 'from the successor', { qos: 1 });
    assert.equal((await survivor.nextMessage()).payload, 'from the successor');
    await survivor.publish('b', 'to the successor', { qos: 1 });
    assert.equal((await newcomer.nextMessage()).payload, 'to the successor');
    assert.equal(server.stats().closed['connection-lost'] - lostBefore, 2);
    for (const client of [survivor, newcomer]) await client.cut();
  });
});

describe('a server of its own', () => {
  afterEach(() => server.close());

  test('every shard in turn may die, and all are whole again', async () => {
    const at = await open({ workers: 3 });
    for (let death = 0; death < 3; death++) {
      const started = once(server, 'shardStarted');
      await killAShard(at);
      await started;
    }
    const clients = [];
    for (let shard = 0; shard < 3; shard++) clients.push(await TestClient.connect(at));
    assert.deepEqual(connectionsOpen(), [1, 1, 1]);
    for (const client of clients) await client.subscribe(['all', 1]);
    for (const client of clients) await client.publish('all', 'x', { qos: 1 });
    for (const client of clients) await client.nextMessages(3);
    for (const client of clients) await client.cut();
  });

  test('a provider that cannot be had is said in one line', async () => {
    const sessionsProvider = new URL('../../support/waiting.js', import.meta.url).href;
    await assert.rejects(open({ sessionsProvider }), (error: Error) => {
      assert.match(error.message, /^shard [01] could not start: .*waiting\.js/);
      assert.ok(!error.message.includes('\n'));
      return true;
    });
  });

  test('close delivers what it has acknowledged and closes the clients', async () => {
    const at = await open();
    const subscriber = await TestClient.connect(at);
    const publisher = await TestClient.connect(at);
    await subscriber.subscribe(['a', 0]);
    const payloads = Array.from({ length: 2_000 }, (_, index) => `${index}`);
    await publisher.publishAll('a', payloads, { qos: 1 });
    await server.close();
    await subscriber.untilClosed();
    await publisher.untilClosed();
    assert.deepEqual(subscriber.payloads, payloads);
  });

  test('nothing of a closed server stays open', async () => {
    await (await TestClient.connect(await open())).disconnect();
    await server.close();
    const before = readdirSync('/proc/self/fd').length;
    const at = await open();
    const client = await TestClient.connect(at);
    const started = once(server, 'shardStarted');
    await killAShard(at);
    await started;
    await server.close();
    await client.untilClosed();
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });

  test('a program ends by itself once its server is closed', async () => {
    const index = new URL('../../../src/index.js', import.meta.url).href;
    // Node 20 does not know `await using`: the same by hand.
    const script = `
      import { Server } from ${JSON.stringify(index)};
      const server = new Server({ workers: 2, sessionsProvider: 'mem' });
      await server.listenAndServe('tcp://127.0.0.1:0');
      process.stdout.write('open');
      await server[Symbol.asyncDispose]();`;
    const { stdout, stderr } = await execFileAsync(
      process.execPath,
      ['--input-type=module', '--eval', script],
      { timeout: 20_000 },
    );
    assert.equal(stdout, 'open');
    assert.equal(stderr, '');
  });
});
