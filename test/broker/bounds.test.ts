/** Bounds on what clients may leave in a broker's memory: kept, counted, and told where due. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { CounterName } from '../../src/base/counters.js';
import { LOG_TEXT_LENGTH_MAX } from '../../src/base/limits.js';
import { unique } from '../support/broker.js';
import { publish } from '../support/packets.js';
import type { RawClient } from '../support/raw-client.js';
import { describeTheme, numbers, type Theme } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';

/** Divided by 1 and by 3. */
const RETAINED_MAX = 30;
const RETAINED_BYTES_MAX = 6_000;
const QUEUED_TOTAL = 60_000;
const MIB = 1024 * 1024;

function counter(theme: Theme, name: CounterName): number {
  return theme.broker.server.stats()[name];
}

/** Retains each payload on a topic of its own below `prefix`. */
async function retainAll(client: TestClient, prefix: string, payloads: string[]): Promise<void> {
  for (const [at, payload] of payloads.entries()) {
    await client.publish(`${prefix}/${at}`, payload, { qos: 1, retain: true });
  }
}

/** Topics that have a retained message, and that message, as a new subscriber finds them. */
async function retainedBelow(theme: Theme, prefix: string): Promise<Map<string, string>> {
  const subscriber = await theme.broker.client({ clientId: unique('finder') });
  await subscriber.subscribe([`${prefix}/#`, 1]);
  const messages = await subscriber.nextMessages(counter(theme, 'retainedMessages'));
  await subscriber.disconnect();
  return new Map(messages.map(({ topic, payload }) => [topic, payload]));
}

describeTheme(
  'maxRetainedMessages',
  (theme) => {
    test('bounds what is retained; all is delivered, replaced and cleared as ever', async () => {
      const prefix = unique('bounded');
      const count = 10 * RETAINED_MAX;
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      const watcher = await theme.broker.client({ clientId: unique('watcher') });
      await watcher.subscribe([`${prefix}/#`, 1]);
      await retainAll(publisher, prefix, numbers(1, count));
      const delivered = await watcher.nextMessages(count);
      assert.deepEqual(
        new Set(delivered.map(({ payload }) => payload)),
        new Set(numbers(1, count)),
      );
      const dropped = () => counter(theme, 'droppedRetained');
      const retained = () => counter(theme, 'retainedMessages');
      const isAllSeen = () => dropped() + retained() === count;
      await eventually(isAllSeen, 'what is not kept to be counted');
      assert.equal(retained(), RETAINED_MAX);

      const kept = await retainedBelow(theme, prefix);
      for (const topic of kept.keys()) {
        await publisher.publish(topic, 'newer', { qos: 1, retain: true });
      }
      await watcher.nextMessages(RETAINED_MAX);
      const newer = await retainedBelow(theme, prefix);
      assert.deepEqual([...newer.keys()].sort(), [...kept.keys()].sort());
      assert.deepEqual([...new Set(newer.values())], ['newer']);

      const [cleared] = kept.keys();
      await publisher.publish(cleared, '', { qos: 1, retain: true });
      await eventually(() => retained() === RETAINED_MAX - 1, 'the loss');
      assert.equal(dropped(), count - RETAINED_MAX);
      // Among so many topics is one of the worker that has room now.
      await retainAll(publisher, `${prefix}/next`, numbers(1, count));
      await eventually(() => retained() === RETAINED_MAX, 'a new one');
      const isSaid = () =>
        theme.broker.logs.some(({ level, message }) => {
          return level === 'warn' && message.startsWith('messages not retained');
        });
      await eventually(isSaid, 'a log line');
    });
  },
  { maxRetainedMessages: RETAINED_MAX },
);

describeTheme(
  'maxRetainedBytes',
  (theme) => {
    test('bounds what is retained; a topic whose last message does not fit has none', async () => {
      const prefix = unique('bounded');
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      await publisher.publish(`${prefix}/first`, 'small', { qos: 1, retain: true });
      assert.deepEqual([...(await retainedBelow(theme, prefix)).values()], ['small']);
      const watcher = await theme.broker.client({ clientId: unique('watcher') });
      await watcher.subscribe([`${prefix}/first`, 0]);
      await watcher.nextMessage();
      const large = 'x'.repeat(RETAINED_BYTES_MAX);
      await publisher.publish(`${prefix}/first`, large, { qos: 1, retain: true });
      assert.equal((await watcher.nextMessage()).payload, large);
      await eventually(() => counter(theme, 'droppedRetained') === 1, 'the loss to be counted');
      assert.equal(counter(theme, 'retainedMessages'), 0);

      await retainAll(publisher, prefix, new Array<string>(100).fill('x'.repeat(500)));
      const messages = () => counter(theme, 'retainedMessages');
      await eventually(() => messages() + counter(theme, 'droppedRetained') === 101, 'all of them');
      const bytes = counter(theme, 'retainedBytes');
      assert.ok(bytes > RETAINED_BYTES_MAX / 2 && bytes <= RETAINED_BYTES_MAX, `${bytes} bytes`);
      assert.equal((await retainedBelow(theme, prefix)).size, messages());
    });
  },
  { maxRetainedBytes: RETAINED_BYTES_MAX },
);

describeTheme(
  'maxSubscriptions',
  (theme) => {
    const REFUSED = 0x80;

    // [MQTT-3.9.3-2] [MQTT-3.8.4-5]
    test('refuses filters beyond it, one by one, and counts and tells them', async () => {
      const name = unique('many');
      const clientId = unique('subscriber');
      const before = counter(theme, 'refusedSubscriptions');
      const client = await theme.broker.client({ clientId });
      const filter = (n: number) => `${name}/${n}`;
      assert.deepEqual(await client.subscribe([filter(1), 0], [filter(2), 1]), [0, 1]);
      // The same filter twice is one subscription.
      const mixed = [filter(3), filter(3), filter(4), filter(1), 'a#', filter(2)] as const;
      assert.deepEqual(
        await client.subscribe(...mixed.map((each): [string, number] => [each, 2])),
        [2, 2, REFUSED, 2, REFUSED, 2],
      );
      assert.deepEqual(await client.subscribe([filter(5), 0], [filter(6), 0]), [REFUSED, REFUSED]);
      for (const n of [6, 5, 4, 3, 2, 1]) await client.publish(filter(n), String(n), { qos: 1 });
      assert.deepEqual(
        (await client.nextMessages(3)).map(({ payload }) => payload),
        ['3', '2', '1'],
      );
      const counted = () => counter(theme, 'refusedSubscriptions') - before;
      assert.equal(counted(), 3);
      const lines = () => theme.broker.logs.filter(({ fields }) => fields.refused !== undefined);
      await eventually(() => lines().length > 0, 'a log line');
      const { level, fields } = lines()[0];
      assert.deepEqual([level, fields.clientId, fields.refused], ['warn', clientId, 1]);
      await client.ping();
      assert.equal(lines().length, 1, 'one line for a connection');
    });

    test('has room again for as many as were unsubscribed, in a resumed session too', async () => {
      const name = unique('again');
      const clientId = unique('subscriber');
      const first = await theme.broker.client({ clientId, cleanSession: false });
      await first.subscribe([`${name}/1`, 0], [`${name}/2`, 0], [`${name}/3`, 0]);
      await first.disconnect();
      const next = await theme.broker.client({ clientId, cleanSession: false });
      assert.deepEqual(await next.subscribe([`${name}/4`, 0], [`${name}/1`, 1]), [REFUSED, 1]);
      await next.unsubscribe(`${name}/2`);
      assert.deepEqual(await next.subscribe([`${name}/4`, 0], [`${name}/5`, 0]), [0, REFUSED]);
      await next.disconnect();
    });
  },
  { maxSubscriptions: 3 },
);

describeTheme(
  'maxWildcardSubscriptions',
  (theme) => {
    const REFUSED = 0x80;

    // [MQTT-3.9.3-2]
    test('refuses wildcard filters beyond it, and others by their own limit', async () => {
      const name = unique('wild');
      const before = counter(theme, 'refusedSubscriptions');
      const client = await theme.broker.client({ clientId: unique('subscriber') });
      const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((level) => `${name}/${level}`);
      const filters = [`${a}/+`, a, `${b}/#`, `${a}/+`, `${c}/+`, b, c, d];
      assert.deepEqual(
        await client.subscribe(...filters.map((filter): [string, number] => [filter, 1])),
        [1, 1, 1, 1, REFUSED, 1, 1, REFUSED],
      );
      await client.unsubscribe(`${a}/+`, a);
      const again = await client.subscribe([`${a}/#`, 0], [`${a}/+`, 0], [d, 0], [`${b}/#`, 2]);
      assert.deepEqual(again, [0, REFUSED, 0, 2]);
      assert.equal(counter(theme, 'refusedSubscriptions') - before, 3);
    });
  },
  { maxWildcardSubscriptions: 2, maxSubscriptions: 5 },
);

const MANY_FILTERS = 20_000;
describeTheme(
  'a session of many subscriptions',
  (theme) => {
    // Ending it was one step, in which nobody else of its shard was served.
    test('that is ended leaves none to the next of its id, nor to the counters', async () => {
      const name = unique('many');
      const clientId = unique('subscriber');
      const before = counter(theme, 'subscriptions');
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      const first = await theme.broker.client({ clientId, cleanSession: false });
      for (let from = 0; from < MANY_FILTERS; from += 5_000) {
        const filters = numbers(from, from + 4_999);
        await first.subscribe(...filters.map((n): [string, number] => [`${name}/${n}/+`, 1]));
      }
      assert.equal(counter(theme, 'subscriptions') - before, MANY_FILTERS);
      await first.disconnect();
      const next = await theme.broker.client({ clientId, cleanSession: true });
      assert.equal(next.sessionPresent, false);
      const [kept, gone] = [`${name}/${MANY_FILTERS - 1}/x`, `${name}/${MANY_FILTERS - 2}/x`];
      await next.subscribe([kept, 1]);
      await publisher.publish(gone, 'gone', { qos: 1 });
      await publisher.publish(kept, 'kept', { qos: 1 });
      assert.deepEqual(await next.messagesUntil('kept'), []);
      const left = () => counter(theme, 'subscriptions') - before;
      await eventually(() => left() === 1, 'its subscriptions to be gone');
      await publisher.publish(gone, 'gone', { qos: 1 });
      await publisher.publish(kept, 'end', { qos: 1 });
      assert.deepEqual(await next.messagesUntil('end'), []);
    });
  },
  { maxWildcardSubscriptions: MANY_FILTERS },
);

describeTheme(
  'messages that are not delivered',
  (theme) => {
    test('count as delivered when they are, and by the reason when they are not', async () => {
      const topic = unique('absent');
      const clientId = unique('absent');
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      const first = await theme.broker.client({ clientId, cleanSession: false });
      await first.subscribe([topic, 1]);
      await first.disconnect();
      const before = theme.broker.server.stats();
      const since = (name: CounterName) => counter(theme, name) - before[name];
      await publisher.publish(topic, 'x'.repeat(3_000), { qos: 1 });
      await publisher.publishAll(topic, new Array<string>(4).fill('x'.repeat(500)), { qos: 1 });
      const isDropped = () => since('droppedOversize') === 1 && since('droppedQueueFull') === 1;
      await eventually(isDropped, 'both drops');
      assert.equal(since('messagesDelivered'), 0);
      const next = await theme.broker.client({ clientId, cleanSession: false });
      await next.nextMessages(3);
      await eventually(() => since('messagesDelivered') === 3, 'what was delivered');
      await next.disconnect();
    });
  },
  { maxQueuedBytes: 2_000 },
);

describeTheme(
  'maxQueuedTotalBytes',
  (theme) => {
    test('bounds what waits for all absent clients; those who are here lose nothing', async () => {
      const topic = unique('total');
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      const here = await theme.broker.client({ clientId: unique('here'), cleanSession: false });
      await here.subscribe([`${topic}/#`, 1]);
      const away = numbers(1, 20).map((n) => unique(`away${n}`));
      for (const [n, clientId] of away.entries()) {
        const client = await theme.broker.client({ clientId, cleanSession: false });
        await client.subscribe([`${topic}/${n}`, 1]);
        await client.disconnect();
      }
      const payload = 'x'.repeat(5_000);
      const each = 4;
      for (let round = 0; round < each; round++) {
        for (const n of away.keys()) await publisher.publish(`${topic}/${n}`, payload, { qos: 1 });
      }
      await here.nextMessages(each * away.length);
      const dropped = () => counter(theme, 'droppedTotalBytes');
      const queued = () => counter(theme, 'queuedMessages');
      await eventually(() => dropped() + queued() === each * away.length, 'all of them');
      assert.ok(queued() > 0 && queued() <= QUEUED_TOTAL / payload.length, `${queued()} queued`);
      const isSaid = () =>
        theme.broker.logs.some(({ level, message }) => {
          return level === 'warn' && message.includes('raise maxQueuedTotalBytes');
        });
      await eventually(isSaid, 'a log line');
      assert.equal(counter(theme, 'droppedQueueFull'), 0);

      // Sessions that end give their room back.
      for (const clientId of away) {
        const client = await theme.broker.client({ clientId, cleanSession: true });
        await client.disconnect();
      }
      await here.disconnect();
      await eventually(() => counter(theme, 'queuedBytes') === 0, 'nothing to wait');
    });
  },
  { maxQueuedTotalBytes: QUEUED_TOTAL, maxPacketBytes: 16_384 },
);

describeTheme(
  'unfinished packets',
  (theme) => {
    const PAYLOAD = Buffer.alloc(1_000_000, 'x');
    // The quarter of maxQueuedTotalBytes below, or a packet for each worker where that is more.
    const boundBytes = Math.max(6, theme.workers) * MIB;

    test('of many clients are bounded together; whoever goes on sending gets through', async () => {
      const { server } = theme.broker;
      const topic = unique('unfinished');
      const reader = await theme.broker.client({ clientId: unique('reader') });
      await reader.subscribe([topic, 1]);
      const honest = await theme.broker.client({ clientId: unique('honest') });
      const before = server.stats().closed['unfinished-packet'];
      const cut = () => server.stats().closed['unfinished-packet'] - before;
      const whole = publish({ topic, payload: PAYLOAD, qos: 1, packetId: 1 });
      const withheld: RawClient[] = [];
      for (let n = 0; n < 40; n++) {
        const { raw } = await theme.broker.client({ clientId: unique('withholding') });
        raw.send(whole.subarray(0, whole.length - 1));
        withheld.push(raw);
      }
      // What a shard has is the largest part of its share, and all others are closed.
      const held = () => counter(theme, 'unfinishedBytes');
      const isSettled = () => cut() > 0 && held() + cut() * PAYLOAD.length >= 39 * PAYLOAD.length;
      await eventually(isSettled, 'the rest to be closed');
      assert.ok(held() <= boundBytes, `${held()} bytes held`);
      await honest.publish(topic, PAYLOAD.toString(), { qos: 1 });
      await honest.publish(topic, 'small', { qos: 1 });
      assert.equal((await reader.nextMessage()).payload.length, PAYLOAD.length);
      assert.equal((await reader.nextMessage()).payload, 'small');
      const isTold = theme.broker.logs.some(({ fields }) => fields.reason === 'unfinished-packet');
      assert.ok(isTold, 'a log line');
      for (const raw of withheld) await raw.cut();
      await eventually(() => held() === 0, 'all of it to be given back');
    });
  },
  { maxQueuedTotalBytes: 24 * MIB, maxPacketBytes: MIB },
);

describeTheme('a client id of 65,535 bytes', (theme) => {
  test('is shortened in the log, and whole everywhere else', async () => {
    const clientId = unique('long').padEnd(65_535, 'x');
    const said = within(once(theme.broker.server, 'disconnected'), 'an event');
    const client = await theme.broker.client({ clientId });
    await client.cut();
    const [whole] = await said;
    assert.ok(whole === clientId);
    const line = () =>
      theme.broker.logs.find(({ fields }) => {
        return String(fields.clientId).startsWith(clientId.slice(0, 100));
      });
    await eventually(() => line() !== undefined, 'a log line');
    assert.equal(line()?.fields.clientId, `${clientId.slice(0, LOG_TEXT_LENGTH_MAX)}…`);
  });
});

describeTheme('queuedMessages', (theme) => {
  test('counts what waits for the absent until they take it or their sessions end', async () => {
    const topic = unique('absent');
    const clientIds = [unique('absent'), unique('absent')];
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    for (const clientId of clientIds) {
      const client = await theme.broker.client({ clientId, cleanSession: false });
      await client.subscribe([topic, 1]);
      await client.disconnect();
    }
    await publisher.publishAll(topic, numbers(1, 20), { qos: 1 });
    const queued = () => counter(theme, 'queuedMessages');
    await eventually(() => queued() === 40, 'both queues to be counted');
    // On another shard, if there is one.
    const back = await theme.broker.client({ clientId: clientIds[0], cleanSession: false });
    await back.nextMessages(20);
    await eventually(() => queued() === 20, 'one queue to be left');
    const expired = counter(theme, 'droppedExpired');
    const fresh = await theme.broker.client({ clientId: clientIds[1], cleanSession: true });
    await fresh.ping();
    await eventually(() => queued() === 0, 'no queue to be left');
    assert.equal(counter(theme, 'droppedExpired') - expired, 20, 'what nobody will get');
  });

  test('leaves to inflightMessages what a client left unacknowledged', async () => {
    const topic = unique('absent');
    const clientId = unique('absent');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const options = { clientId, cleanSession: false };
    const first = await theme.broker.client({ ...options, acknowledge: false });
    await first.subscribe([topic, 1]);
    await publisher.publishAll(topic, numbers(1, 5), { qos: 1 });
    await first.nextMessages(5);
    await first.cut();
    await eventually(() => counter(theme, 'connectionsOpen') === 1, 'the cut to be seen');
    await publisher.publishAll(topic, numbers(6, 8), { qos: 1 });
    const isKept = () =>
      counter(theme, 'inflightMessages') === 5 && counter(theme, 'queuedMessages') === 3;
    await eventually(isKept, 'both to be counted');
    const next = await theme.broker.client(options);
    await next.nextMessages(8);
    const isGone = () =>
      counter(theme, 'inflightMessages') === 0 && counter(theme, 'queuedMessages') === 0;
    await eventually(isGone, 'both to be delivered');
    await next.disconnect();
  });
});
