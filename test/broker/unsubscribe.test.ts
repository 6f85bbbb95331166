/** Where UNSUBACK stands among the messages of the connection, whatever they had to wait for. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { startBroker, unique } from '../support/broker.js';
import { publish, type QoS, subscribe, unsubscribe } from '../support/packets.js';
import { Type } from '../support/test-client.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

type Settings = (context: TestContext) => ServerOptions;

/** What messages of kept sessions wait for before they are sent. */
const STORES: readonly (readonly [string, Settings])[] = [
  ['in memory', () => ({ sessionsProvider: 'mem' })],
  ['by fsync', (context) => ({ sessionsProvider: 'lmdb', dataDir: temporaryFolder(context) })],
  [
    'without durability',
    (context) => ({
      sessionsProvider: 'lmdb',
      durability: 'none',
      dataDir: temporaryFolder(context),
    }),
  ],
];

/** [MQTT-3.10.4-2]: what came before the UNSUBSCRIBE begins to be delivered before the UNSUBACK. */
for (const [name, settingsIn] of STORES) {
  describe(`messages of the turn of an UNSUBSCRIBE come before its UNSUBACK, ${name}`, () => {
    for (const cleanSession of [true, false]) {
      for (const qos of [0, 1, 2] as QoS[]) {
        test(`QoS ${qos}, cleanSession ${cleanSession}`, async (context) => {
          await using broker = await startBroker({ workers: 1, ...settingsIn(context) });
          const topic = unique('topic');
          const clientId = unique('client');
          const client = await broker.client({ clientId, cleanSession, acknowledge: false });
          client.raw.send(subscribe(1, [topic, qos]));
          await client.takeAck(Type.suback, 1);
          const idOf = (packetId: number) => (qos === 0 ? {} : { packetId });
          const came: number[] = [];
          const isOver = new Promise<void>((resolve) => {
            client.raw.onPacket = (packet) => {
              const type = packet[0]! >> 4;
              if (type === Type.publish || type === Type.unsuback) came.push(type);
              if (came.length === 3) resolve();
            };
          });
          client.raw.send(
            publish({ topic, qos, payload: 'a', ...idOf(2) }),
            publish({ topic, qos, payload: 'b', ...idOf(3) }),
            unsubscribe(4, topic),
          );
          await isOver;
          assert.deepEqual(came, [Type.publish, Type.publish, Type.unsuback]);
        });
      }
    }
  });
}
