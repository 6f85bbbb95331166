/** A reader that stops reading: the others keep getting everything, its own losses are counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { describeTheme, numbers } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

/** More than the kernel keeps for one socket, at both ends together. */
const MESSAGES = 900;
const PAYLOAD_BYTES = 16_384;

function payloads(count: number): string[] {
  return numbers(1, count).map((n) => n.padEnd(PAYLOAD_BYTES));
}

function values(client: TestClient): number[] {
  return client.payloads.map(Number);
}

describeTheme(
  'a slow reader',
  (theme) => {
    test('does not stop fast readers of QoS 0, and what it loses is counted', async () => {
      const topic = unique('slow');
      const before = theme.broker.server.stats().droppedSlowConsumer;
      const slow = await theme.broker.client({ clientId: unique('slow') });
      const fast = [];
      for (let n = 0; n < 3; n++)
        fast.push(await theme.broker.client({ clientId: unique('fast') }));
      for (const client of [slow, ...fast]) await client.subscribe([topic, 0]);
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      slow.raw.pauseReading();
      await publisher.publishAll(topic, payloads(MESSAGES));
      for (const client of fast) {
        await client.until(() => client.messages.length === MESSAGES, 'all messages');
        assert.deepEqual(values(client), numbers(1, MESSAGES).map(Number));
      }
      const dropped = () => theme.broker.server.stats().droppedSlowConsumer - before;
      await eventually(() => dropped() > 0, 'losses to be counted');
      slow.raw.resumeReading();
      await slow.until(() => slow.messages.length + dropped() === MESSAGES, 'the books to balance');
      const received = values(slow);
      assert.deepEqual(
        received,
        [...received].sort((a, b) => a - b),
        'in order',
      );
      // It is served again as soon as it reads.
      await publisher.publish(topic, 'end');
      await slow.messagesUntil('end');
    });

    // [MQTT-3.1.2-5] [MQTT-4.5.0-1]
    test('loses nothing of QoS 1 while its queue has room, nor do others wait for it', async () => {
      const topic = unique('slow');
      const slow = await theme.broker.client({ clientId: unique('slow') });
      const fast = await theme.broker.client({ clientId: unique('fast') });
      for (const client of [slow, fast]) await client.subscribe([topic, 1]);
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      slow.raw.pauseReading();
      const all = payloads(MESSAGES);
      for (let at = 0; at < MESSAGES; at += 100) {
        await publisher.publishAll(topic, all.slice(at, at + 100), { qos: 1 });
      }
      await fast.until(() => fast.messages.length === MESSAGES, 'all messages');
      slow.raw.resumeReading();
      await slow.until(() => slow.messages.length === MESSAGES, 'all messages');
      for (const client of [slow, fast]) {
        assert.deepEqual(values(client), numbers(1, MESSAGES).map(Number));
      }
    });

    test('of a topic nobody else reads slows its publisher down and no one else', async () => {
      const topic = unique('slow');
      const slow = await theme.broker.client({ clientId: unique('slow') });
      await slow.subscribe([topic, 0]);
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      const other = await theme.broker.client({ clientId: unique('other') });
      await other.subscribe([`${topic}/other`, 1]);
      slow.raw.pauseReading();
      await publisher.publishAll(topic, payloads(MESSAGES));
      for (let n = 0; n < 20; n++) await other.publish(`${topic}/other`, String(n), { qos: 1 });
      await other.nextMessages(20);
      slow.raw.resumeReading();
      await publisher.ping();
    });

    test('that goes away frees what was kept for it', async () => {
      const topic = unique('slow');
      const slow = await theme.broker.client({ clientId: unique('slow') });
      await slow.subscribe([topic, 1]);
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      slow.raw.pauseReading();
      await publisher.publishAll(topic, payloads(400), { qos: 1 });
      await slow.cut();
      const isEmpty = () => {
        const { inflightMessages, queuedMessages } = theme.broker.server.stats();
        return inflightMessages === 0 && queuedMessages === 0;
      };
      await eventually(isEmpty, 'nothing to be kept');
    });
  },
  { outboxBytes: 65_536 },
);
