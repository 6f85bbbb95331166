/** The Will of a 5.0 client, and its delay. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { PINGREQ } from '../support/packets.js';
import {
  type ConnectFields5,
  connect5,
  filterAck5,
  parseSaid,
  prop,
  properties,
  reasoned5,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import { seen, watch } from '../support/watcher.js';

for (const workers of [1, 3]) {
  describe(`a will of MQTT 5.0, ${workers} workers`, () => {
    let broker: Broker;
    before(async () => {
      broker = await startBroker({ workers });
    });
    after(() => broker.close());

    async function open(fields: ConnectFields5): Promise<RawClient> {
      const client = await broker.raw();
      client.send(connect5(fields));
      const said = parseSaid(await client.readPacket('CONNACK'));
      assert.equal(said.code, 0);
      return client;
    }

    /** A client with a will; its session is kept for a minute. */
    function withWill(topic: string, clientId: string, delaySeconds: number): Promise<RawClient> {
      return open({
        clientId,
        properties: prop.uint32(0x11, 60),
        will: { topic, payload: 'gone', properties: prop.uint32(0x18, delaySeconds) },
      });
    }

    // [MQTT-3.1.2-8], 3.1.3.2
    test('is published with its properties', async () => {
      const topic = unique('will');
      const reader = await open({ clientId: unique('reader') });
      reader.send(subscribe5(1, [[topic, 1]]));
      await reader.expect(filterAck5(0x90, 1, [0x01]));
      const block = Buffer.concat([
        prop.text(0x03, 'text/plain'),
        prop.text(0x08, 'answers'),
        prop.pair('b', '1'),
        prop.pair('a', '2'),
      ]);
      const will = { topic, payload: 'gone', properties: block };
      const client = await open({ clientId: unique('c'), will });
      await client.cut();
      const packet = await reader.readPacket();
      assert.ok(packet.includes(properties(block)), packet.toString('hex'));
      assert.equal(packet.subarray(-4).toString(), 'gone');
    });

    // [MQTT-3.1.3-9]
    test('waits for its delay, and is not published when the client is back before', async () => {
      const topic = unique('will');
      const clientId = unique('c');
      const watcher = await watch(broker, topic);
      const client = await withWill(topic, clientId, 60);
      await client.cut();
      assert.deepEqual(await seen(watcher, topic), []);
      const back = await open({ clientId, cleanStart: false, properties: prop.uint32(0x11, 60) });
      back.send(PINGREQ);
      await back.readPacket();
      assert.deepEqual(await seen(watcher, topic), []);
      // A reconnect on yet another worker finds none either.
      await open({ clientId, cleanStart: true });
      assert.deepEqual(await seen(watcher, topic), []);
    });

    test('is published when its delay is over', async () => {
      const topic = unique('will');
      const watcher = await watch(broker, topic);
      const client = await withWill(topic, unique('c'), 1);
      await client.cut();
      assert.equal((await watcher.nextMessage()).payload, 'gone');
    });

    // 3.1.4: the session has ended with Clean Start.
    test('is published when its client comes back without its session', async () => {
      const topic = unique('will');
      const clientId = unique('c');
      const watcher = await watch(broker, topic);
      await (await withWill(topic, clientId, 60)).cut();
      await open({ clientId, cleanStart: true });
      assert.equal((await watcher.nextMessage()).payload, 'gone');
    });

    // 3.1.4, 3.1.3.2.2
    test('of a connection that is taken over is published by the rules of its delay', async () => {
      for (const [delaySeconds, cleanStart, isPublished] of [
        [0, false, true],
        [60, false, false],
        [60, true, true],
      ] as const) {
        const topic = unique('will');
        const clientId = unique('c');
        const watcher = await watch(broker, topic);
        const first = await withWill(topic, clientId, delaySeconds);
        await open({ clientId, cleanStart, properties: prop.uint32(0x11, 60) });
        assert.equal(parseSaid(await first.readPacket()).code, 0x8e);
        await first.expectClose();
        const expected = isPublished ? ['gone'] : [];
        assert.deepEqual(await seen(watcher, topic), expected, `${delaySeconds} ${cleanStart}`);
      }
    });

    // 3.1.3.2.2: a session that ends is the end of the delay.
    test('is published at once when the session ends with the connection', async () => {
      const topic = unique('will');
      const watcher = await watch(broker, topic);
      const will = { topic, payload: 'gone', properties: prop.uint32(0x18, 60) };
      await (await open({ clientId: unique('c'), will })).cut();
      assert.equal((await watcher.nextMessage()).payload, 'gone');
      const changed = await withWill(topic, unique('c'), 60);
      changed.send(reasoned5(0xe0, 0x04, prop.uint32(0x11, 0)));
      await changed.expectClose();
      assert.equal((await watcher.nextMessage()).payload, 'gone');
    });
  });
}
