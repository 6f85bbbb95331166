/** A client that takes no CONNACK, as its Maximum Packet Size says, has never been here. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique, WORKER_COUNTS } from '../support/broker.js';
import { type ConnectFields5, connect5, parseSaid, prop } from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import { eventually } from '../support/waiting.js';
import { seen, watch } from '../support/watcher.js';

const KEPT = prop.uint32(0x11, 0xffff_ffff);
/** No CONNACK is as short as that. */
const TAKES_NONE = Buffer.concat([KEPT, prop.uint32(0x27, 2)]);

for (const workers of WORKER_COUNTS) {
  describe(`a client that takes no CONNACK, ${workers} workers`, () => {
    let broker: Broker;
    const events: string[] = [];
    before(async () => {
      broker = await startBroker({ workers });
      broker.server.on('connected', (clientId) => events.push(`${clientId} came`));
      broker.server.on('disconnected', (clientId) => events.push(`${clientId} left`));
    });
    after(() => broker.close());

    async function open(fields: ConnectFields5): Promise<RawClient> {
      const client = await broker.raw();
      client.send(connect5(fields));
      return client;
    }

    // [MQTT-3.1.2-24]; only who is accepted has a will: [MQTT-3.1.2-8] of 3.1.1
    test('leaves neither a session nor a will', async () => {
      const topic = unique('will');
      const watcher = await watch(broker, topic);
      const will = { topic, payload: 'gone' };
      const client = await open({ clientId: unique('tiny'), properties: TAKES_NONE, will });
      await client.expectClose();
      assert.deepEqual(await seen(watcher, topic), []);
      await watcher.disconnect();
      await eventually(() => broker.server.stats().clientIds === 0, 'client ids to be free');
    });

    // [MQTT-3.1.3-7]: nobody could ever come back to it.
    test('and would be told its client id leaves no session, and is told why', async () => {
      const properties = Buffer.concat([KEPT, prop.uint32(0x27, 20)]);
      const client = await open({ clientId: '', properties });
      assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0x83);
      await client.expectClose();
      await eventually(() => broker.server.stats().clientIds === 0, 'client ids to be free');
    });

    test('leaves a session that it had before as it was, with its delayed will', async () => {
      const topic = unique('will');
      const clientId = unique('kept');
      const watcher = await watch(broker, topic);
      const will = { topic, payload: 'gone', properties: prop.uint32(0x18, 3_600) };
      const first = await open({ clientId, properties: KEPT, will });
      assert.equal(parseSaid(await first.readPacket('CONNACK')).code, 0);
      await first.cut();
      const second = await open({ clientId, properties: TAKES_NONE, cleanStart: false });
      await second.expectClose();
      assert.deepEqual(await seen(watcher, topic), [], 'the will waits');
      // The will is due now if it was not cancelled: the session ends [MQTT-3.1.2-8].
      const third = await open({ clientId });
      assert.equal(parseSaid(await third.readPacket('CONNACK')).code, 0);
      assert.deepEqual(await seen(watcher, topic), ['gone']);
      const { sessions } = broker.server.stats();
      assert.equal(sessions, 2, 'the watcher and the client');
    });

    test('is nobody that has come or left', async () => {
      const clientId = unique('unnoticed');
      const unnoticed = await open({ clientId, properties: TAKES_NONE });
      await unnoticed.expectClose();
      const noticed = await open({ clientId });
      assert.equal(parseSaid(await noticed.readPacket('CONNACK')).code, 0);
      await noticed.cut();
      await eventually(() => events.includes(`${clientId} left`), 'the client to have left');
      const own = events.filter((event) => event.startsWith(clientId));
      assert.deepEqual(own, [`${clientId} came`, `${clientId} left`]);
    });
  });
}
