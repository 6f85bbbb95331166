/** Keep alive: a client that says nothing for one and a half times what it promised is gone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startBroker, unique, WORKER_COUNTS } from '../support/broker.js';
import { PINGREQ, puback, publish } from '../support/packets.js';
import type { TestClient } from '../support/test-client.js';

/** One and a half times a keep alive of one second, less what milliseconds are rounded by. */
const LIMIT_MS = 1_490;

/** A moment, on a clock that does not jump. */
function now(): number {
  return performance.now();
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
        // From before its last packet: what this busy process notices late counts for the broker.
        const from = now();
        const client = await broker.client({
          clientId: unique('silent'),
          keepAlive: 1,
          will: { topic, payload: 'silent too long', qos: 1 },
        });
        await client.untilClosed();
        const ms = now() - from;
        assert.ok(ms >= LIMIT_MS, `closed after ${ms} ms`);
        assert.equal((await watcher.nextMessage()).payload, 'silent too long');
      };
      // What the broker sends is no sign of life of the client.
      const listener = async (): Promise<void> => {
        const topic = unique('listener');
        const publisher = await broker.client({ clientId: unique('publisher') });
        const client = await broker.client({ clientId: unique('listener'), keepAlive: 1 });
        const from = now();
        await client.subscribe([topic, 0]);
        while (!client.raw.isClosed) {
          await publisher.publish(topic, 'm');
          await delay(50);
        }
        const ms = now() - from;
        assert.ok(ms >= LIMIT_MS, `closed after ${ms} ms`);
        assert.ok(client.messages.length > 0);
      };
      // Section 3.1.2.10: any Control Packet will do.
      const lively = async (say: (client: TestClient, n: number) => void): Promise<void> => {
        const client = await broker.client({
          clientId: unique('lively'),
          // Two seconds to spare for each packet on a busy machine, and four in all: more than 3.
          keepAlive: 2,
          acknowledge: false,
        });
        for (let n = 1; n <= 4; n++) {
          await delay(1_000);
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
