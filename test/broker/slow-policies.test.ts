/** What readers that are behind lose, by the policy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { unique } from '../support/broker.js';
import { PINGREQ, PINGRESP } from '../support/packets.js';
import {
  ack5,
  connect5,
  type Published5,
  parsePublish5,
  parseSaid,
  prop,
  subscribe5,
} from '../support/packets5.js';
import { describeTheme, numbers, type Theme } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

const PAYLOAD_BYTES = 16_384;
const TOPICS = 20;
/** Of each topic: more in all than the kernel keeps for one socket, at both ends together. */
const ROUNDS = 60;

function policy(slowConsumerPolicy: ServerOptions['slowConsumerPolicy']): ServerOptions {
  return { slowConsumerPolicy, outboxBytes: 65_536, slowConsumerTimeout: '1h' };
}

/** Readers that do not read; what is published to them at full rate; nobody waits for it. */
async function flood(theme: Theme, readers: number) {
  const base = unique('slow');
  const slow: TestClient[] = [];
  for (let n = 0; n < readers; n++) {
    const client = await theme.broker.client({ clientId: unique('slow') });
    await client.subscribe([`${base}/#`, 0]);
    client.raw.pauseReading();
    slow.push(client);
  }
  const publisher = await theme.broker.client({ clientId: unique('publisher') });
  for (const n of numbers(1, ROUNDS)) {
    for (const topic of numbers(1, TOPICS)) {
      await publisher.publish(`${base}/${topic}`, n.padEnd(PAYLOAD_BYTES));
    }
  }
  // Behind all that was published, on whichever shard.
  await publisher.ping();
  return { base, slow, publisher };
}

/** What has come of each topic, in its order. */
function byTopic(client: TestClient): Map<string, number[]> {
  const all = new Map<string, number[]>();
  for (const { topic, payload } of client.messages) {
    all.set(topic, [...(all.get(topic) ?? []), Number(payload)]);
  }
  return all;
}

/** Whether numbers grow: nothing comes twice, or behind what is newer. */
function assertGrowing(values: readonly number[]): void {
  for (let at = 1; at < values.length; at++) assert.ok(values[at]! > values[at - 1]!, `${values}`);
}

for (const readers of [1, 20]) {
  describeTheme(
    `${readers} readers of the policy latest`,
    (theme) => {
      test('get the newest of every topic when they read again, once and in order', async () => {
        const { base, slow, publisher } = await flood(theme, readers);
        const dropped = () => theme.broker.server.stats().droppedSlowConsumer;
        await eventually(() => dropped() > 0, 'what is older to give way');
        assert.ok(theme.broker.server.stats().slowConsumers > 0);
        for (const client of slow) {
          client.raw.resumeReading();
          await client.until(() => {
            const topics = byTopic(client);
            return topics.size === TOPICS && [...topics.values()].every((v) => v.at(-1) === ROUNDS);
          }, 'the newest of every topic');
          const topics = byTopic(client);
          for (const values of topics.values()) assertGrowing(values);
          assert.ok(client.messages.length < TOPICS * ROUNDS, 'not all of them');
        }
        // They are readers like others again.
        await publisher.publish(`${base}/end`, 'end');
        for (const client of slow) await client.messagesUntil('end');
        await eventually(() => theme.broker.server.stats().queuedBytes === 0, 'nothing to wait');
      });

      test('that leave while they are behind leave nothing', async () => {
        const { slow } = await flood(theme, readers);
        await eventually(() => theme.broker.server.stats().queuedBytes > 0, 'some to wait');
        for (const client of slow) await client.cut();
        await eventually(() => theme.broker.server.stats().queuedBytes === 0, 'nothing to wait');
      });
    },
    policy('latest'),
  );
}

describeTheme(
  'a reader of the policy drop-oldest',
  (theme) => {
    test('gets the newest messages, in order, and what is lost is counted', async () => {
      const before = theme.broker.server.stats().droppedSlowConsumer;
      const { base, slow, publisher } = await flood(theme, 1);
      const client = slow[0]!;
      client.raw.resumeReading();
      await publisher.publish(`${base}/end`, 'end');
      await client.messagesUntil('end');
      client.messages.pop();
      const topics = byTopic(client);
      for (const values of topics.values()) {
        assertGrowing(values);
        assert.equal(values.at(-1), ROUNDS);
      }
      const lost = theme.broker.server.stats().droppedSlowConsumer - before;
      assert.ok(lost > 0);
      assert.equal(client.messages.length + lost, TOPICS * ROUNDS);
    });
  },
  { ...policy('drop-oldest'), maxQueuedBytes: '1MiB' },
);

describeTheme(
  'a reader of the policy drop-newest',
  (theme) => {
    test('gets what came first, and what is lost is counted', async () => {
      const before = theme.broker.server.stats().droppedSlowConsumer;
      const { slow } = await flood(theme, 1);
      const client = slow[0]!;
      const lost = () => theme.broker.server.stats().droppedSlowConsumer - before;
      await eventually(() => lost() > 0, 'losses');
      client.raw.resumeReading();
      await client.until(() => client.messages.length + lost() === TOPICS * ROUNDS, 'the rest');
      for (const values of byTopic(client).values()) assertGrowing(values);
      assert.equal(Number(client.messages[0]!.payload), 1);
    });
  },
  policy('drop-newest'),
);

describeTheme(
  'a reader of the policy disconnect',
  (theme) => {
    test('is disconnected when it has been behind for a while, others are not', async () => {
      const before = theme.broker.server.stats().closed['slow-consumer'];
      const fast = await theme.broker.client({ clientId: unique('fast') });
      const { slow } = await flood(theme, 3);
      const closed = () => theme.broker.server.stats().closed['slow-consumer'] - before;
      await eventually(() => closed() === slow.length, 'all of them to be closed');
      await fast.ping();
      const isLogged = () =>
        theme.broker.logs.some(({ fields }) => fields.reason === 'slow-consumer');
      await eventually(isLogged, 'a line in the log');
    });
  },
  policy('disconnect'),
);

/** Messages of a session that wait: MQTT 5.0, with Subscription Identifiers. */
async function away5(theme: Theme, base: string): Promise<string> {
  const clientId = unique('away');
  const client = await theme.broker.raw();
  client.send(connect5({ clientId, cleanStart: false, properties: prop.uint32(0x11, 600) }));
  assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
  client.send(subscribe5(1, [[`${base}/#`, 1]], '0b07'));
  await client.readPacket('SUBACK');
  await client.cut();
  return clientId;
}

/** What it is sent when it is back. */
async function back5(theme: Theme, clientId: string, last: string): Promise<Published5[]> {
  const client = await theme.broker.raw();
  client.send(connect5({ clientId, cleanStart: false, properties: prop.uint32(0x11, 600) }));
  assert.equal(parseSaid(await client.readPacket('CONNACK')).sessionPresent, true);
  const messages: Published5[] = [];
  while (messages.at(-1)?.payload !== last) {
    const message = parsePublish5(await client.readPacket(`${last} to come`));
    messages.push(message);
    client.send(ack5(0x40, message.packetId, 0));
  }
  // Behind the last acknowledgement.
  client.send(PINGREQ);
  await client.expect(PINGRESP);
  await client.cut();
  return messages;
}

for (const slowConsumerPolicy of ['drop-oldest', 'latest'] as const) {
  describeTheme(
    `QoS 1 messages for absent clients of the policy ${slowConsumerPolicy}`,
    (theme) => {
      test('give way to newer ones, counted, and come back in order', async () => {
        const base = unique('away');
        const clientIds = await Promise.all(numbers(1, 20).map(() => away5(theme, base)));
        const { server } = theme.broker;
        await eventually(() => server.stats().connectionsOpen === 0, 'all to be away');
        const before = server.stats().droppedSlowConsumer;
        const publisher = await theme.broker.client({ clientId: unique('publisher') });
        const rounds = 40;
        for (const n of numbers(1, rounds)) {
          for (const topic of numbers(1, 5)) {
            await publisher.publish(`${base}/${topic}`, n.padEnd(1_000), { qos: 1 });
          }
        }
        await publisher.publish(`${base}/end`, 'end', { qos: 1 });
        const sent = clientIds.length * (5 * rounds + 1);
        const waiting = () => server.stats().queuedMessages + server.stats().inflightMessages;
        const lost = () => server.stats().droppedSlowConsumer - before;
        await eventually(() => waiting() + lost() === sent, 'all of them to wait or be counted');
        assert.ok(lost() > 0);
        for (const clientId of clientIds) {
          const messages = await back5(theme, clientId, 'end');
          assert.ok(messages.every(({ block }) => block === '0b07'));
          for (const topic of numbers(1, 5)) {
            const name = `${base}/${topic}`;
            const values = messages.filter((m) => m.topic === name).map((m) => Number(m.payload));
            assertGrowing(values);
            assert.equal(values.at(-1), rounds);
          }
        }
        await eventually(() => server.stats().queuedBytes === 0, 'nothing to wait');
        await theme.broker.idle();
      });
    },
    slowConsumerPolicy === 'latest'
      ? { slowConsumerPolicy, outboxBytes: '32KiB' }
      : { slowConsumerPolicy, maxQueuedMessages: 50 },
  );
}
