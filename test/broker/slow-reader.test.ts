/** A reader that stops reading: the others keep getting everything, its own losses are counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { describeTheme, numbers, type Theme } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

/** More than the kernel keeps for one socket, at both ends together. */
const MESSAGES = 900;
const PAYLOAD_BYTES = 16_384;
/** As many as the kernel takes for a reader at once. */
const IN_STEP = 20;

function payloads(count: number): string[] {
  return numbers(1, count).map((n) => n.padEnd(PAYLOAD_BYTES));
}

/** Publishes a part when all `readers` have got the one before: they keep up. */
async function publishInStep(
  publisher: TestClient,
  topic: string,
  count: number,
  readers: readonly TestClient[],
): Promise<void> {
  const all = payloads(count);
  for (let at = 0; at < count; at += IN_STEP) {
    const part = all.slice(at, at + IN_STEP);
    await publisher.publishAll(topic, part);
    for (const client of readers) {
      await client.until(() => client.messages.length >= at + part.length, 'all messages');
    }
  }
}

function values(client: TestClient): number[] {
  return client.payloads.map(Number);
}

/** A reader of QoS 1 that stops and goes on gets all, and so does one beside it meanwhile. */
async function losesNothing(theme: Theme, inFlight: number): Promise<void> {
  const topic = unique('slow');
  const slow = await theme.broker.client({ clientId: unique('slow') });
  const fast = await theme.broker.client({ clientId: unique('fast') });
  for (const client of [slow, fast]) await client.subscribe([topic, 1]);
  const publisher = await theme.broker.client({ clientId: unique('publisher') });
  slow.raw.pauseReading();
  const all = payloads(MESSAGES);
  for (let at = 0; at < MESSAGES; at += inFlight) {
    await publisher.publishAll(topic, all.slice(at, at + inFlight), { qos: 1 });
  }
  await fast.until(() => fast.messages.length === MESSAGES, 'all messages');
  slow.raw.resumeReading();
  await slow.until(() => slow.messages.length === MESSAGES, 'all messages');
  for (const client of [slow, fast]) {
    assert.deepEqual(values(client), numbers(1, MESSAGES).map(Number));
  }
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
      await publishInStep(publisher, topic, MESSAGES, fast);
      for (const client of fast) {
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
      await losesNothing(theme, 100);
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

// Without losses by its stalling: what is lost below is lost because others keep up, or wrongly.
describeTheme(
  'a slow reader that never counts as stalled',
  (theme) => {
    /** More than the kernel and the broker keep for one reader. */
    const MANY = 2_200;

    test('is all its publisher feeds: that waits, nobody else, and nothing is lost', async () => {
      const topic = unique('slow');
      const before = theme.broker.server.stats().droppedSlowConsumer;
      const slow = await theme.broker.client({ clientId: unique('slow') });
      await slow.subscribe([topic, 0]);
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      const other = await theme.broker.client({ clientId: unique('other') });
      await other.subscribe([`${topic}/other`, 1]);
      slow.raw.pauseReading();
      await publisher.publishAll(topic, payloads(MANY));
      for (let n = 0; n < 20; n++) await other.publish(`${topic}/other`, String(n), { qos: 1 });
      await other.nextMessages(20);
      slow.raw.resumeReading();
      await publisher.ping();
      await slow.until(() => slow.messages.length === MANY, 'all messages');
      assert.deepEqual(values(slow), numbers(1, MANY).map(Number));
      assert.equal(theme.broker.server.stats().droppedSlowConsumer, before);
    });

    test('stops nobody for long where others keep up, and loses what it leaves', async () => {
      const topic = unique('slow');
      const before = theme.broker.server.stats().droppedSlowConsumer;
      const slow = await theme.broker.client({ clientId: unique('slow') });
      const fast = await theme.broker.client({ clientId: unique('fast') });
      await slow.subscribe([`${topic}/#`, 0]);
      await fast.subscribe([topic, 0]);
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      slow.raw.pauseReading();
      await publishInStep(publisher, topic, MANY, [fast]);
      assert.deepEqual(values(fast), numbers(1, MANY).map(Number));
      const dropped = () => theme.broker.server.stats().droppedSlowConsumer - before;
      await eventually(() => dropped() > 0, 'losses to be counted');
      slow.raw.resumeReading();
      await slow.until(() => slow.messages.length + dropped() === MANY, 'the books to balance');
      // What only it reads is still waited for.
      const alone = await theme.broker.client({ clientId: unique('alone') });
      slow.raw.pauseReading();
      await alone.publishAll(`${topic}/alone`, payloads(MANY));
      slow.raw.resumeReading();
      const sum = () => slow.messages.length + dropped();
      await slow.until(() => sum() === 2 * MANY, 'the books to balance');
      const received = slow.messages.filter((message) => message.topic.endsWith('alone'));
      assert.equal(received.length, MANY);
    });

    // [MQTT-4.3.2-2]
    test('does not keep acks from a publisher for long, and loses no QoS 1', async () => {
      await losesNothing(theme, 300);
    });
  },
  { outboxBytes: 65_536, maxQueuedBytes: 16 * 1_048_576, slowConsumerTimeout: '1h' },
);
