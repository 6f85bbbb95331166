/** Keep alive: a client that says nothing for one and a half times what it promised is gone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startBroker, unique, WORKER_COUNTS } from '../support/broker.js';
import { PINGREQ, puback, publish } from '../support/packets.js';
import type { TestClient } from '../support/test-client.js';

/** One and a half times a keep alive of one second, less what a clock in ticks may be early. */
const LIMIT_MS = 1_400;

/** Waits for the close and returns the milliseconds it took. */
async function closeTime(client: TestClient): Promise<number> {
  const from = Date.now();
  await client.untilClosed();
  return Date.now() - from;
}

for (const workers of WORKER_COUNTS) {
  // The tests wait for seconds to go by: they do so together, on one broker.
  describe(`keep alive, ${workers === 1 ? '1 worker' : `${workers} workers`}`, async () => {
    // [MQTT-3.1.2-24] [MQTT-3.1.2-8]
    test('silent clients are closed, others are not', { timeout: 60_000 }, async () => {
      await using broker = await startBroker({ workers });
      const silentOne = async (): Promise<void> => {
        const topic = unique('silent');
        const watcher = await broker.client({ clientId: unique('watcher') });
        await watcher.subscribe([topic, 1]);
        const client = await broker.client({
          clientId: unique('silent'),
          keepAlive: 1,
          will: { topic, payload: 'silent too long', qos: 1 },
        });
        const ms = await closeTime(client);
        assert.ok(ms >= LIMIT_MS, `closed after ${ms} ms`);
        assert.equal((await watcher.nextMessage()).payload, 'silent too long');
      };
      // What the broker sends is no sign of life of the client.
      const listener = async (): Promise<void> => {
        const topic = unique('listener');
        const publisher = await broker.client({ clientId: unique('publisher') });
        const client = await broker.client({ clientId: unique('listener'), keepAlive: 1 });
        await client.subscribe([topic, 0]);
        const closed = closeTime(client);
        while (!client.raw.isClosed) {
          await publisher.publish(topic, 'm');
          await delay(50);
        }
        assert.ok((await closed) >= LIMIT_MS);
        assert.ok(client.messages.length > 10);
      };
      // Section 3.1.2.10: any Control Packet will do.
      const lively = async (say: (client: TestClient, n: number) => void): Promise<void> => {
        const client = await broker.client({
          clientId: unique('lively'),
          keepAlive: 1,
          acknowledge: false,
        });
        for (let n = 1; n <= 5; n++) {
          await delay(700);
          say(client, n);
        }
        await client.ping();
      };
      const endless = async (): Promise<void> => {
        const client = await broker.client({ clientId: unique('endless'), keepAlive: 0 });
        await delay(3_500);
        await client.ping();
      };
      await Promise.all([
        silentOne(),
        silentOne(),
        silentOne(),
        listener(),
        lively((client) => client.raw.send(PINGREQ)),
        lively((client) => client.raw.send(publish({ topic: 'lively', payload: 'm' }))),
        lively((client, n) => client.raw.send(puback(n))),
        lively((client, n) => client.raw.send(publish({ topic: 't', qos: 2, packetId: n }))),
        endless(),
      ]);
    });
  });
}
