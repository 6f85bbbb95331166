/** Sessions with much in them that move between shards: see shard/handover.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { numbers } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';

/** Of each of the long filters there are many pieces; two of them match what is published. */
const LONG_FILTERS = 1_000;
const PAYLOAD_BYTES = 8 * 1_024;
const MESSAGES = 1_200;

/** A payload that begins with a number. */
function numbered(text: string): string {
  return text.padEnd(PAYLOAD_BYTES, '.');
}

/** Connects and subscribes to a topic, and to many long filters besides. */
async function subscribeToMuch(broker: Broker, clientId: string, topic: string): Promise<void> {
  const client = await broker.client({ clientId, cleanSession: false });
  await client.subscribe([topic, 2], [`${topic}/+`, 1]);
  for (let from = 0; from < LONG_FILTERS; from += 50) {
    const filters = Array.from({ length: 50 }, (_, n) =>
      `${topic}/${from + n}/`.padEnd(1_000, 'x'),
    );
    await client.subscribe(...filters.map((filter): [string, 0] => [filter, 0]));
  }
  await client.cut();
}

for (const workers of [2, 3]) {
  describe(`a session with much in it, ${workers} workers`, () => {
    // [MQTT-3.1.2-4], [MQTT-4.6.0-6]
    test('moves from shard to shard while it is published to, with all it has', async () => {
      await using broker = await startBroker({ workers });
      const clientId = unique('much');
      const topic = unique('much');
      await subscribeToMuch(broker, clientId, topic);
      const publisher = await broker.client({ clientId: unique('publisher') });
      const half = MESSAGES / 2;
      await publisher.publishAll(topic, numbers(1, half).map(numbered), { qos: 1 });
      const sending = publisher.publishAll(topic, numbers(half + 1, MESSAGES).map(numbered), {
        qos: 1,
      });
      let holder: TestClient | null = null;
      for (let n = 0; n < 2 * workers; n++) {
        const next: TestClient = await broker.client({
          clientId,
          cleanSession: false,
          acknowledge: false,
        });
        assert.equal(next.sessionPresent, true);
        await holder?.untilClosed();
        holder = next;
      }
      await sending;
      const last = await broker.client({ clientId, cleanSession: false });
      await publisher.publish(`${topic}/end`, 'end', { qos: 1 });
      const received = await last.messagesUntil('end');
      assert.deepEqual(
        received.map(({ payload }) => payload.split('.')[0]),
        numbers(1, MESSAGES),
      );
      await publisher.publish(`${topic}/${LONG_FILTERS - 1}/`.padEnd(1_000, 'x'), 'far', {
        qos: 1,
      });
      assert.equal((await last.nextMessage()).payload, 'far');
      assert.equal(broker.server.stats().shardDeaths, 0);
      assert.equal(broker.server.stats().subscriptions, LONG_FILTERS + 2);
    });
  });
}

/** Retained messages of a device: more than an outbox and the socket's buffers take at once. */
const RETAINED = 1_000;

for (const workers of [1, 3]) {
  describe(`a replay that is cut, ${workers} workers`, () => {
    // [MQTT-3.3.1-6], [MQTT-3.1.2-4]
    test('brings the rest to a persistent session, wherever it comes back', async () => {
      await using broker = await startBroker({ workers });
      const clientId = unique('cut');
      const topic = unique('cut');
      const publisher = await broker.client({ clientId: unique('publisher') });
      for (let n = 0; n < RETAINED; n++) {
        await publisher.publish(`${topic}/${n}`, numbered(String(n)), { qos: 1, retain: true });
      }
      const got = new Set<string>();
      let messages = 0;
      let client = await broker.client({ clientId, cleanSession: false });
      await client.subscribe([`${topic}/+`, 1]);
      for (let connections = 0; connections < 2 * workers; connections++) {
        // Little of what is on its way.
        for (let n = 0; n < 20 && got.size + n < RETAINED; n++) await client.nextMessage();
        await client.cut();
        for (const message of client.messages) got.add(message.topic);
        messages += client.messages.length;
        client = await broker.client({ clientId, cleanSession: false });
        assert.equal(client.sessionPresent, true);
      }
      while (got.size < RETAINED) {
        got.add((await client.nextMessage()).topic);
        messages++;
      }
      assert.ok(messages < 2 * RETAINED, `${messages} messages for ${RETAINED}`);
    });
  });
}
