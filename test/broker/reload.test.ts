/** A running broker takes another configuration: all of it or nothing, and nobody is cut off. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect } from '../support/packets.js';
import { connect5, parseSaid, publish5 } from '../support/packets5.js';
import { within } from '../support/waiting.js';

const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;
/** As startBroker has it: on a busy machine event loops are late. */
const BASE: ServerOptions = {
  workers: 2,
  listen: 'tcp://127.0.0.1:0',
  maxLoopDelay: 0,
  sessionsProvider: 'mem',
};

/** The SUBACK codes of a client that asks for so many filters. */
async function granted(broker: Broker, filters: number): Promise<number[]> {
  const client = await broker.client({ clientId: unique('client') });
  const wanted = Array.from({ length: filters }, (_, n): [string, number] => [`filter/${n}`, 0]);
  return client.subscribe(...wanted);
}

describe('a reload', () => {
  test('changes limits on every shard, and keeps clients', async () => {
    await using broker = await startBroker(BASE);
    const [first, second] = [await broker.client(), await broker.client()];
    const result = await broker.server.reload({ ...BASE, maxSubscriptions: 2 });
    assert.deepEqual([result.changed, result.needRestart], [['maxSubscriptions'], []]);
    assert.equal(broker.server.config.maxSubscriptions, 2);
    for (const client of [first, second]) {
      assert.deepEqual(await client.subscribe(['a', 0], ['b', 0], ['c', 0]), [0, 0, 0x80]);
    }
    await broker.server.reload(BASE);
    for (const client of [first, second]) {
      assert.deepEqual(await client.subscribe(['c', 0]), [0]);
    }
  });

  test('is refused as a whole when anything is wrong, and all stays as it was', async () => {
    await using broker = await startBroker({ ...BASE, maxSubscriptions: 2 });
    const bad = { ...BASE, maxSubscriptions: 1, maxInflight: 0, maxSessions: -1 };
    await assert.rejects(broker.server.reload(bad), (error: Error & { faults: string[] }) => {
      assert.deepEqual([error.name, error.faults.length], ['ConfigError', 2]);
      return true;
    });
    assert.equal(broker.server.config.maxSubscriptions, 2);
    assert.deepEqual(await granted(broker, 3), [0, 0, 0x80]);
  });

  test('keeps what needs a restart, and names it in result and log', async () => {
    await using broker = await startBroker(BASE);
    const { needRestart } = await broker.server.reload({ ...BASE, workers: 3, ringBytes: 65_536 });
    assert.deepEqual(needRestart, ['workers', 'ringBytes']);
    assert.equal(broker.server.config.workers, 2);
    const line = broker.logs.find(({ message }) => message === 'configuration reloaded');
    assert.deepEqual(line?.fields, { changed: [], needRestart });
  });

  test('changes how many connections and sessions the broker takes', async () => {
    await using broker = await startBroker({ ...BASE, maxConnections: 1 });
    await broker.client();
    const refused = await broker.raw();
    await refused.untilClosed();
    await broker.server.reload({ ...BASE, maxConnections: 5, maxSessions: 0 });
    const kept = await broker.raw();
    kept.send(connect({ clientId: unique('kept'), cleanSession: false }));
    assert.equal((await kept.readPacket('CONNACK'))[3], 3);
    await broker.client();
  });

  test('changes what shards log', async () => {
    await using broker = await startBroker({ ...BASE, logLevel: 'silent' });
    await broker.client({ clientId: 'unheard' });
    await broker.server.reload({ ...BASE, logLevel: 'debug' });
    await broker.client({ clientId: 'heard' });
    await broker.idle();
    const connected = broker.logs.filter(({ message }) => message === 'client connected');
    const ids = new Set(connected.map(({ fields }) => fields.clientId));
    assert.deepEqual([ids.has('unheard'), ids.has('heard')], [false, true]);
  });

  test('twenty at once follow one another, and the last one counts', async () => {
    await using broker = await startBroker(BASE);
    const reloads = Array.from({ length: 20 }, (_, n) =>
      broker.server.reload({ ...BASE, maxSubscriptions: n + 1 }),
    );
    const results = await Promise.all(reloads);
    assert.ok(results.every(({ changed }) => changed.join() === 'maxSubscriptions'));
    assert.equal(broker.server.config.maxSubscriptions, 20);
    assert.equal((await granted(broker, 21)).filter((code) => code === 0x80).length, 1);
  });

  test('a bad one among others does not hold them up', async () => {
    await using broker = await startBroker(BASE);
    const bad = broker.server.reload({ ...BASE, maxInflight: 0 });
    const good = broker.server.reload({ ...BASE, maxSubscriptions: 1 });
    await assert.rejects(bad, { name: 'ConfigError' });
    assert.deepEqual((await good).changed, ['maxSubscriptions']);
  });

  test('reaches the successor of a shard that dies meanwhile', async () => {
    const options = { ...BASE, authenticator };
    await using broker = await startBroker(options);
    const started = within(once(broker.server, 'shardStarted'), 'a successor');
    const killer = await broker.raw();
    const died = within(once(broker.server, 'shardDied'), 'a shard to die');
    killer.send(connect({ clientId: unique('lethal') }));
    const reloads = Array.from({ length: 20 }, (_, n) =>
      broker.server.reload({ ...options, maxSubscriptions: n + 1 }),
    );
    await within(Promise.all(reloads), 'the reloads');
    await died;
    await started;
    await broker.server.reload({ ...options, maxSubscriptions: 1 });
    // On either shard: placement is by turns.
    assert.deepEqual(await granted(broker, 2), [0, 0x80]);
    assert.deepEqual(await granted(broker, 2), [0, 0x80]);
  });

  test('loses nothing of the traffic that it meets', async () => {
    await using broker = await startBroker(BASE);
    const subscriber = await broker.client();
    const publisher = await broker.client();
    const topic = unique('traffic');
    await subscriber.subscribe([topic, 1]);
    let sent = 0;
    for (let reloads = 0; reloads < 10; reloads++) {
      const reload = broker.server.reload({ ...BASE, maxInflight: 1 + (reloads % 3) * 500 });
      const payloads = Array.from({ length: 50 }, () => String(sent++));
      await Promise.all([publisher.publishAll(topic, payloads, { qos: 1 }), reload]);
    }
    await subscriber.until(() => subscriber.messages.length >= sent, 'every message');
    assert.deepEqual(
      subscriber.payloads,
      Array.from({ length: sent }, (_, n) => String(n)),
    );
  });

  // 3.2.2.3: what a CONNACK says of the server holds for as long as the connection.
  test('holds clients to what they were told at CONNECT, and others to what is new', async () => {
    await using broker = await startBroker(BASE);
    const told = await broker.raw();
    told.send(connect5({ clientId: unique('told') }));
    await told.readPacket('CONNACK');
    const terms = { maxPacketBytes: 128, maxQos: 0, retainAvailable: false } as const;
    await broker.server.reload({ ...BASE, ...terms, topicAliasMaximum: 0 });
    const alias = Buffer.from([0x23, 0, 16]);
    const large = { payload: 'x'.repeat(1_000), qos: 1, packetId: 1, retain: true } as const;
    told.send(publish5({ topic: 'a', ...large, properties: alias }));
    assert.equal((await told.readPacket('PUBACK'))[0] >> 4, 4);
    const others = [
      [0x95, { payload: 'x'.repeat(1_000) }],
      [0x9b, { qos: 1, packetId: 1 }],
      [0x9a, { retain: true }],
      [0x94, { properties: alias }],
    ] as const;
    for (const [code, fields] of others) {
      const client = await broker.raw();
      client.send(connect5({ clientId: unique('new') }));
      await client.readPacket('CONNACK');
      client.send(publish5({ topic: 'a', ...fields }));
      assert.equal(parseSaid(await client.readPacket('DISCONNECT')).code, code);
    }
    // It was refused on the next connection alone.
    told.send(publish5({ topic: 'a', ...large, packetId: 2 }));
    assert.equal((await told.readPacket('PUBACK'))[0] >> 4, 4);
  });

  test('before the broker runs is how it starts, and on a closed one an error', async () => {
    const { Server } = await import('../../src/index.js');
    const server = new Server(BASE);
    await server.reload({ ...BASE, workers: 1 });
    assert.equal(server.config.workers, 1);
    await server.close();
    await assert.rejects(server.reload(), { code: 'SURGEMQ_NOT_OPEN' });
  });
});
