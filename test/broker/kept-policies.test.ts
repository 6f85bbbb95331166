/** What is lost of queues on disk, by the policies, over restarts and on whichever shard. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
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
import { numbers } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

const EXPIRY = prop.uint32(0x11, 600);
const TOPICS = numbers(1, 5);

/** Brokers one after the other, of one store. */
function lives(context: TestContext, options: ServerOptions): () => Promise<Broker> {
  const dataDir = mkdtempSync(join(tmpdir(), 'surgemq-policies-'));
  let broker: Broker | null = null;
  context.after(async () => {
    await broker?.close();
    rmSync(dataDir, { recursive: true });
  });
  return async () => {
    await broker?.close();
    broker = await startBroker({ ...options, sessionsProvider: 'lmdb', dataDir });
    return broker;
  };
}

/** Clients that have subscribed, and left. */
async function away(broker: Broker, filter: string, count: number): Promise<string[]> {
  const clientIds: string[] = [];
  for (let n = 0; n < count; n++) {
    const clientId = unique('away');
    const client = await broker.raw();
    client.send(connect5({ clientId, cleanStart: false, properties: EXPIRY }));
    await client.readPacket('CONNACK');
    client.send(subscribe5(1, [[filter, 1]]));
    await client.readPacket('SUBACK');
    clientIds.push(clientId);
  }
  await broker.idle();
  return clientIds;
}

/** What a client is sent when it is back, up to some payload. */
async function back(broker: Broker, clientId: string, last: string): Promise<Published5[]> {
  const client = await broker.raw();
  client.send(connect5({ clientId, cleanStart: false, properties: EXPIRY }));
  assert.equal(parseSaid(await client.readPacket('CONNACK')).sessionPresent, true);
  const messages: Published5[] = [];
  while (messages.at(-1)?.payload !== last) {
    const message = parsePublish5(await client.readPacket(`${last} to come`));
    messages.push(message);
    client.send(ack5(0x40, message.packetId, 0));
  }
  client.send(PINGREQ);
  await client.expect(PINGRESP);
  return messages;
}

/** Publishes rounds of all topics at full rate, by so many publishers, each its own topics. */
async function publish(broker: Broker, base: string, rounds: readonly string[], bytes: number) {
  const publishers = await Promise.all(TOPICS.map(() => broker.client()));
  await Promise.all(
    publishers.map(async (publisher, at) => {
      // Some together: what comes in one run may all wait before it is too much.
      for (let from = 0; from < rounds.length; from += 10) {
        const sent = rounds
          .slice(from, from + 10)
          .map((n) => publisher.publish(`${base}/${TOPICS[at]}`, n.padEnd(bytes), { qos: 1 }));
        await Promise.all(sent);
      }
    }),
  );
  const last = `end ${rounds.at(-1)}`;
  await publishers[0]!.publish(`${base}/${last}`, last, { qos: 1 });
}

/** The numbers that have come of a topic grow, up to the newest. @param isOfAll each has some. */
function assertNewest(
  messages: readonly Published5[],
  base: string,
  newest: number,
  isOfAll: boolean,
): void {
  for (const topic of TOPICS) {
    const own = messages.filter((message) => message.topic === `${base}/${topic}`);
    const values = own.map(({ payload }) => Number(payload));
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
    );
    if (isOfAll || values.length > 0) assert.equal(values.at(-1), newest);
  }
}

for (const workers of [1, 2]) {
  for (const [slowConsumerPolicy, bounds, most] of [
    ['drop-oldest', { maxQueuedMessages: 50 }, 50],
    ['latest', {}, 200],
  ] as const) {
    describe(`queues on disk of the policy ${slowConsumerPolicy}, ${workers} workers`, () => {
      for (const [what, bytes] of [
        ['in memory too', 500],
        ['most of it there alone', 8_000],
      ] as const) {
        test(`have the newest behind a restart, ${what}`, async (context) => {
          const options = { ...bounds, slowConsumerPolicy, workers, maxInflight: 10 };
          const outboxBytes = slowConsumerPolicy === 'latest' ? 64 * bytes : 65_536;
          const start = lives(context, { ...options, outboxBytes });
          const base = unique('policy');
          let broker = await start();
          const clientIds = await away(broker, `${base}/#`, 20);
          await publish(broker, base, numbers(1, 60), bytes);
          const lost = () => broker.server.stats().droppedSlowConsumer;
          assert.ok(lost() > 0);
          broker = await start();
          await publish(broker, base, numbers(61, 80), bytes);
          for (const clientId of clientIds) {
            const messages = await back(broker, clientId, 'end 80');
            assert.ok(messages.length <= most, `${messages.length} messages`);
            assertNewest(messages, base, 80, slowConsumerPolicy === 'latest');
          }
          await broker.idle();
          await eventually(() => broker.server.stats().queuedBytes === 0, 'nothing to wait');
        });
      }
    });
  }
}

for (const slowConsumerPolicy of ['drop-oldest', 'latest'] as const) {
  const what = `twenty sessions on disk of the policy ${slowConsumerPolicy}`;
  test(`${what} move while more comes`, async (context) => {
    const options = { slowConsumerPolicy, maxQueuedMessages: 50, maxInflight: 10, workers: 2 };
    const broker = await lives(context, { ...options, outboxBytes: 16_384 })();
    const base = unique('moves');
    const session = { cleanSession: false } as const;
    const slow = await Promise.all(
      numbers(1, 20).map(async () => {
        const clientId = unique('moving');
        const client = await broker.client({ ...session, clientId, acknowledge: false });
        await client.subscribe([`${base}/#`, 1]);
        await client.cut();
        return {
          clientId,
          client: await broker.client({ ...session, clientId, acknowledge: false }),
        };
      }),
    );
    await publish(broker, base, numbers(1, 30), 500);
    const publishing = publish(broker, base, numbers(31, 80), 500);
    // Two at a time: by turns each comes to either shard.
    const taken = await Promise.all(
      slow.map(({ clientId }) => broker.client({ ...session, clientId })),
    );
    await publishing;
    await publish(broker, base, ['81'], 500);
    for (const [at, client] of taken.entries()) {
      await client.messagesUntil('end 81');
      const inFlight = slow[at]!.client.messages.map(({ packetId }) => packetId);
      assert.ok(inFlight.length <= 10);
      const again = client.messages.slice(0, inFlight.length);
      assert.deepEqual(
        again.map(({ packetId }) => packetId),
        inFlight,
      );
      assert.ok(again.every(({ dup }) => dup));
      for (const topic of TOPICS) {
        const own = client.messages.filter((message) => message.topic === `${base}/${topic}`);
        const values = own.map(({ payload }) => Number(payload));
        assert.deepEqual(
          values,
          values.toSorted((a, b) => a - b),
        );
        assert.equal(values.at(-1), 81);
      }
    }
    assert.ok(broker.server.stats().droppedSlowConsumer > 0);
  });
}
