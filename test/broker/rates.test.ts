/** Clients that may send so much a second: what is over waits, nothing is dropped. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { unique } from '../support/broker.js';
import { PINGREQ, PINGRESP, publish } from '../support/packets.js';
import { describeTheme, numbers, type Theme } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

const RATE = 50;

/** How long something takes, in milliseconds. */
async function msOf(work: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

function overRate(theme: Theme): number {
  return theme.broker.server.stats().overRate;
}

describeTheme(
  'a client of a limited message rate',
  (theme) => {
    for (const qos of [0, 1, 2] as const) {
      test(`that publishes more at QoS ${qos} is read later, and nothing is lost`, async () => {
        const topic = unique('rate');
        const before = overRate(theme);
        const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
        await subscriber.subscribe([topic, qos]);
        const publisher = await theme.broker.client({ clientId: unique('publisher') });
        const payloads = numbers(1, 2 * RATE);
        // Two seconds' worth in one read, of which one is owed: what comes behind waits a second.
        const ms = await msOf(async () => {
          await publisher.publishAll(topic, payloads, { qos });
          await publisher.ping();
        });
        await subscriber.nextMessages(payloads.length);
        assert.deepEqual(subscriber.payloads, payloads);
        const waited = await msOf(async () => {
          await publisher.publishAll(topic, payloads, { qos });
          await publisher.ping();
        });
        assert.ok(ms + waited > 950, `${ms} and ${waited} ms, of which one second is owed`);
        await subscriber.nextMessages(payloads.length);
        assert.deepEqual(subscriber.payloads, [...payloads, ...payloads]);
        assert.ok(overRate(theme) > before, 'counted');
        const isLogged = () =>
          theme.broker.logs.some(({ message }) => /maxMessageRate/.test(message));
        await eventually(isLogged, 'a line in the log');
      });
    }

    test('does not wait for others that are over theirs, nor for what it receives', async () => {
      const topic = unique('rate');
      const quiet = await theme.broker.client({ clientId: unique('quiet') });
      await quiet.subscribe([topic, 1]);
      const floods = [];
      for (let n = 0; n < 20; n++) {
        const flood = await theme.broker.client({ clientId: unique('flood') });
        flood.raw.send(...numbers(1, 2 * RATE).map((payload) => publish({ topic, payload })));
        floods.push(flood);
      }
      await eventually(() => overRate(theme) > 0, 'floods to be paused');
      // All at once: a busy machine takes its time for each answer that is waited for.
      const own = numbers(1, RATE / 2);
      const ms = await msOf(() => quiet.publishAll(unique('other'), own, { qos: 1 }));
      await quiet.nextMessages(20 * 2 * RATE);
      assert.ok(ms < 1_000, `${ms} ms`);
    });

    // [MQTT-3.1.2-24]
    test('is not taken for silent while it is not read', async () => {
      const topic = unique('rate');
      const client = await theme.broker.client({ clientId: unique('alive'), keepAlive: 1 });
      // Four seconds' worth: nothing is read for three, which is twice its keep alive.
      await client.publishAll(topic, numbers(1, 4 * RATE));
      await client.ping();
      assert.equal(client.raw.isClosed, false);
    });
  },
  { maxMessageRate: RATE },
);

describe('a byte rate', () => {
  describeTheme(
    'of clients',
    (theme) => {
      test('holds for a packet that comes in many reads, which is whole in the end', async () => {
        const topic = unique('rate');
        const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
        await subscriber.subscribe([topic, 1]);
        const publisher = await theme.broker.client({ clientId: unique('publisher') });
        const payload = 'x'.repeat(600_000);
        const ms = await msOf(() => publisher.publish(topic, payload, { qos: 1 }));
        assert.equal((await subscriber.nextMessage()).payload, payload);
        const raw = await theme.broker.raw();
        assert.ok(ms > 50, `${ms} ms`);
        await raw.cut();
      });

      test('counts pings too', async () => {
        const client = await theme.broker.client({ clientId: unique('pings') });
        const before = overRate(theme);
        const answers: Buffer[] = [];
        client.raw.onPacket = (packet) => answers.push(packet);
        // Over one and a half seconds' worth, of which one may come at once.
        const ms = await msOf(async () => {
          client.raw.send(Buffer.concat(new Array<Buffer>(200_000).fill(PINGREQ)));
          await eventually(() => answers.length === 200_000, 'all answers');
        });
        assert.ok(answers.every((answer) => answer.equals(PINGRESP)));
        // A machine that takes as long for them owes it nothing.
        assert.ok(overRate(theme) > before || ms > 500, `not counted in ${ms} ms`);
      });
    },
    { maxByteRate: 262_144 },
  );
});

describeTheme(
  'a client that owes a lot',
  (theme) => {
    /** So much that nothing more is read of it while the test lasts. */
    async function indebted(clientId: string, cleanSession: boolean): Promise<void> {
      const before = overRate(theme);
      const client = await theme.broker.client({ clientId, cleanSession });
      const all = numbers(1, 100 * RATE).map((payload) => publish({ topic: unique('o'), payload }));
      client.raw.send(...all);
      await eventually(() => overRate(theme) > before, 'it to be paused');
      await client.cut();
      // As it is not read from, nobody has seen that it has left.
      theme.broker.server.kick(clientId);
    }

    for (const cleanSession of [true, false]) {
      test(`owes it on its next connection, too (clean session ${cleanSession})`, async () => {
        const clientId = unique('owing');
        await indebted(clientId, cleanSession);
        const topic = unique('behind');
        const witness = await theme.broker.client({ clientId: unique('witness') });
        await witness.subscribe([topic, 0]);
        const received = () => theme.broker.server.stats().messagesReceived;
        // Each comes to another shard, and sends something together with its CONNECT.
        for (const n of numbers(1, 4)) {
          const before = [received(), overRate(theme)];
          const late = publish({ topic, payload: n });
          const back = await theme.broker.client({ clientId, cleanSession, pipelined: [late] });
          await eventually(() => overRate(theme) > before[1]!, 'it to be paused at once');
          back.raw.send(late);
          await witness.ping();
          assert.equal(received(), before[0]);
          await back.cut();
        }
        theme.broker.server.kick(clientId);
        // Others with other names are not held for it.
        const other = await theme.broker.client({ clientId: unique('other') });
        await other.publish(topic, 'other', { qos: 1 });
        await witness.messagesUntil('other');
        assert.deepEqual(witness.payloads, ['other']);
      });
    }

    test('is closed when it has left, though it is not read from', async () => {
      const connections = () => theme.broker.server.stats().connectionsOpen;
      const before = connections();
      const client = await theme.broker.client({ clientId: unique('owing') });
      const all = numbers(1, 100 * RATE).map((payload) => publish({ topic: unique('o'), payload }));
      client.raw.send(...all);
      assert.equal(connections(), before + 1);
      await client.cut();
      await eventually(() => connections() === before, 'its connection to be closed');
    });

    test('owes nothing any more behind a reload', async () => {
      const clientId = unique('owing');
      await indebted(clientId, true);
      await theme.broker.server.reload();
      const back = await theme.broker.client({ clientId });
      await back.publish(unique('o'), 'x', { qos: 1 });
    });
  },
  { maxMessageRate: 1 },
);

describeTheme(
  'a client that owes little',
  (theme) => {
    test('has what it sends behind its CONNECT handled when it owes nothing', async () => {
      const clientId = unique('owing');
      const before = overRate(theme);
      const client = await theme.broker.client({ clientId });
      // A fifth of a second more than may come at once.
      const many = numbers(1, RATE + RATE / 5).map((payload) => publish({ topic: 'o', payload }));
      client.raw.send(...many);
      await eventually(() => overRate(theme) > before, 'it to be paused');
      await client.cut();
      const back = await theme.broker.client({ clientId, pipelined: [PINGREQ] });
      await back.ping();
    });
  },
  { maxMessageRate: RATE },
);
