/** Delayed wills on disk, of sessions that the successor of a shard finds there. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { MAY_BE_SILENT, openOn } from '../support/on-shard.js';
import { connect } from '../support/packets.js';
import { connect5, parseSaid, prop } from '../support/packets5.js';
import { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;
const SETTINGS = { ...MAY_BE_SILENT, workers: 2, sessionsProvider: 'lmdb', authenticator } as const;
const WATCHER = { clientId: 'watcher', cleanSession: false };

/** A client of shard 0 whose connection breaks. */
async function leaveWill(broker: Broker, topic: string, delay: number, expiry: number) {
  const client = await openOn(broker, 0);
  const properties = prop.uint32(0x18, delay);
  const will = { topic, payload: 'gone', qos: 1 as const, properties };
  const clientId = unique('leaving');
  client.send(connect5({ clientId, properties: prop.uint32(0x11, expiry), will }));
  assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
  const { connectionsOpen } = broker.server.stats();
  await client.cut();
  const isSeen = () => broker.server.stats().connectionsOpen < connectionsOpen;
  await eventually(isSeen, 'the broker to see it');
}

describe('a delayed will on disk', () => {
  // [MQTT-3.1.2-8]: that its client has left is on disk at once, though nothing else happens there.
  for (const [delay, expiry] of [
    [2, 60],
    [60, 2],
  ] as const) {
    const what = `delay ${delay} s, session ${expiry} s`;
    test(`is published though its shard dies, ${what}`, async (context) => {
      await using broker = await startBroker({ ...SETTINGS, dataDir: temporaryFolder(context) });
      const topic = unique('will');
      const watcher = await TestClient.over(await openOn(broker, 1), WATCHER);
      await watcher.subscribe([topic, 1]);
      await leaveWill(broker, topic, delay, expiry);
      const started = within(once(broker.server, 'shardStarted'), 'its successor');
      const lethal = await openOn(broker, 0);
      lethal.send(connect({ clientId: unique('lethal') }));
      await started;
      assert.equal((await watcher.nextMessage()).payload, 'gone');
      await watcher.ping();
      assert.equal(watcher.messages.length, 1);
    });
  }
});
