/** Limits: what a client may take of the broker, and what it gets when it wants more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { connect, hex, puback, publish, pubrec } from '../support/packets.js';
import { describeTheme, numbers } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

const LIMITS = {
  maxPacketBytes: 2_000,
  maxInflight: 10,
  maxQueuedMessages: 50,
  maxQueuedBytes: 20_000,
};

describeTheme(
  'limits',
  (theme) => {
    // Section 4.8: no memory for what will not be taken.
    test('a packet over the size limit closes before its body comes', async () => {
      const client = await theme.broker.client({ clientId: unique('oversize') });
      // Fixed header of a PUBLISH with a remaining length of 2,001 bytes.
      client.raw.send(hex('30 d1 0f'));
      await client.untilClosed();
      const connecting = await theme.broker.raw();
      connecting.send(hex('10 d1 0f'));
      await connecting.expectClose();
    });

    test('a packet of exactly the size limit is taken, one byte more is not', async () => {
      const topic = unique('exact');
      const watcher = await theme.broker.client({ clientId: unique('watcher') });
      await watcher.subscribe([topic, 0]);
      const fixed = publish({ topic, payload: 'x'.repeat(1_000) }).length - 1_000;
      const client = await theme.broker.client({ clientId: unique('exact') });
      await client.publish(topic, 'x'.repeat(LIMITS.maxPacketBytes - fixed));
      assert.equal((await watcher.nextMessage()).payload.length, LIMITS.maxPacketBytes - fixed);
      await client.publish(topic, 'x'.repeat(LIMITS.maxPacketBytes - fixed + 1));
      await client.untilClosed();
      await watcher.publish(topic, 'end');
      assert.deepEqual(await watcher.messagesUntil('end'), []);
    });

    for (const qos of [1, 2] as const) {
      // Section 4.4: flow control is the broker's own choice in 3.1.1.
      test(`no more than maxInflight messages of QoS ${qos} are in flight`, async () => {
        const topic = unique('inflight');
        const subscriber = await theme.broker.client({
          clientId: unique('subscriber'),
          acknowledge: false,
        });
        const publisher = await theme.broker.client({ clientId: unique('publisher') });
        await subscriber.subscribe([topic, qos], [`${topic}/0`, 0]);
        await publisher.publishAll(topic, numbers(1, 30), { qos });
        const first = await subscriber.nextMessages(LIMITS.maxInflight);
        // What follows on the same way shows that no more is coming.
        await publisher.publish(`${topic}/0`, 'marker');
        assert.deepEqual(await subscriber.messagesUntil('marker'), []);
        subscriber.acknowledge = true;
        const answer = qos === 1 ? puback : pubrec;
        subscriber.raw.send(...first.map(({ packetId }) => answer(packetId)));
        const rest = await subscriber.nextMessages(20);
        assert.deepEqual(
          [...first, ...rest].map(({ payload }) => payload),
          numbers(1, 30),
        );
      });
    }

    test('maxQueuedMessages bounds what waits for a client, and the loss is counted', async () => {
      const clientId = unique('queue');
      const topic = unique('queue');
      const first = await theme.broker.client({ clientId, cleanSession: false });
      await first.subscribe([topic, 1]);
      await first.disconnect();
      const before = theme.broker.server.stats().droppedQueueFull;
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      await publisher.publishAll(topic, numbers(1, 200), { qos: 1 });
      const dropped = () => theme.broker.server.stats().droppedQueueFull - before;
      await eventually(() => dropped() === 150, 'the loss of 150 messages to be counted');
      const next = await theme.broker.client({ clientId, cleanSession: false });
      await next.nextMessages(50);
      await publisher.publish(topic, 'end', { qos: 1 });
      assert.deepEqual(await next.messagesUntil('end'), [], 'no more than 50');
      const values = next.payloads.slice(0, 50).map(Number);
      assert.deepEqual(
        values,
        [...new Set(values)].sort((a, b) => a - b),
        'in order',
      );
    });

    test('maxQueuedBytes bounds what waits for a client', async () => {
      const clientId = unique('bytes');
      const topic = unique('bytes');
      const first = await theme.broker.client({ clientId, cleanSession: false });
      await first.subscribe([topic, 1]);
      await first.disconnect();
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      for (const n of numbers(1, 30)) await publisher.publish(topic, n.padEnd(1_500), { qos: 1 });
      const next = await theme.broker.client({ clientId, cleanSession: false });
      await next.nextMessage();
      await next.ping();
      await publisher.publish(topic, 'end', { qos: 1 });
      await next.messagesUntil('end');
      const count = next.messages.length - 1;
      assert.ok(count > 5 && count * 1_500 <= LIMITS.maxQueuedBytes, `${count} messages waited`);
    });

    test('clients that take nothing leave nothing behind', async () => {
      const before = theme.broker.server.stats();
      for (let n = 0; n < 50; n++) {
        const client = await theme.broker.client({ clientId: unique('passing') });
        await client.subscribe([`${unique('passing')}/#`, 1]);
        await (n % 2 === 0 ? client.disconnect() : client.cut());
      }
      const isAsBefore = () => {
        const { sessions, subscriptions, connectionsOpen } = theme.broker.server.stats();
        return (
          sessions === before.sessions &&
          subscriptions === before.subscriptions &&
          connectionsOpen === before.connectionsOpen
        );
      };
      await eventually(isAsBefore, 'sessions, subscriptions and connections to be gone');
    });
  },
  LIMITS,
);

describeTheme(
  'connection limit',
  (theme) => {
    test('a connection over maxConnections is refused, and there is room again later', async () => {
      const first = await theme.broker.client({ clientId: unique('first') });
      const second = await theme.broker.client({ clientId: unique('second') });
      const third = await theme.broker.raw();
      third.send(connect({ clientId: unique('third') }));
      await third.untilClosed();
      await Promise.all([first.ping(), second.ping()]);
      await second.disconnect();
      const open = () => theme.broker.server.stats().connectionsOpen;
      await eventually(() => open() === 1, 'one connection to be left');
      const fourth = await theme.broker.client({ clientId: unique('fourth') });
      await fourth.ping();
      assert.ok(theme.broker.server.stats().refusedConnections >= 1);
    });
  },
  { maxConnections: 2 },
);

describeTheme(
  'acknowledgement time-out',
  (theme) => {
    // [MQTT-4.4.0-1]: on a live connection a 3.1.1 client is sent nothing twice. 3.1 clients are,
    // with DUP.
    test('an unacknowledged message is sent again to 3.1 clients only', async () => {
      const topic = unique('resend');
      const old = await theme.broker.client({
        clientId: unique('old'),
        level: 3,
        acknowledge: false,
      });
      const recent = await theme.broker.client({ clientId: unique('recent'), acknowledge: false });
      for (const client of [old, recent]) await client.subscribe([topic, 1]);
      await recent.publish(topic, 'm', { qos: 1 });
      const [first, second, third] = await old.nextMessages(3);
      assert.deepEqual([first.dup, second.dup, third.dup], [false, true, true]);
      assert.deepEqual([second.packetId, third.packetId], [first.packetId, first.packetId]);
      await recent.ping();
      assert.equal(recent.messages.length, 1);
      await eventually(
        () => theme.broker.server.stats().unresponsiveClients >= 1,
        'the client to be counted as unresponsive',
      );
      assert.ok(theme.broker.server.stats().ackTimeouts >= 1);
      await recent.ping();
    });
  },
  { ackTimeout: 0.2, timeoutRetries: 2 },
);

describeTheme(
  'unresponsive clients',
  (theme) => {
    test('with closeUnresponsive who never acknowledges is closed, the session kept', async () => {
      const topic = unique('unresponsive');
      const clientId = unique('unresponsive');
      const client = await theme.broker.client({
        clientId,
        cleanSession: false,
        acknowledge: false,
      });
      await client.subscribe([topic, 1]);
      await client.publish(topic, 'm', { qos: 1 });
      await client.untilClosed();
      const next = await theme.broker.client({ clientId, cleanSession: false });
      const message = await next.nextMessage();
      assert.deepEqual([message.payload, message.dup], ['m', true]);
    });
  },
  { ackTimeout: 0.1, timeoutRetries: 1, closeUnresponsive: true },
);
