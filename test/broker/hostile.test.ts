/** What single clients once did to a broker: one test for each fault found. */
import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { connect, pubrel } from '../support/packets.js';
import { describeTheme } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';

describeTheme(
  'a broker and hostile clients',
  (theme) => {
    // Wills went past the limit of levels: a shard died when one came on another's ring, and
    // when it removed a retained one, whose tree is walked level by level.
    test('a will with more levels than a topic may have is refused', async () => {
      const levels = 'a/'.repeat(20_000);
      for (const name of ['x', 'y', 'z', 'x']) {
        const client = await theme.broker.raw();
        const will = { topic: levels + name, payload: name, retain: true };
        client.send(connect({ clientId: unique('will'), will }));
        await client.expectClose();
      }
      const { shardDeaths, closed, retainedMessages } = theme.broker.server.stats();
      assert.equal(shardDeaths, 0);
      assert.equal(closed['malformed-packet'], 4);
      assert.equal(retainedMessages, 0);
    });

    // The copies for many QoS 1 subscribers fill the turn's arena in the middle of a delivery;
    // the copy that the QoS 0 subscribers share lay in it and was overwritten.
    test('subscribers of mixed QoS get a large message as it was published', async () => {
      const topic = unique('mixed');
      const subscribers: TestClient[] = [];
      for (let index = 0; index < 16; index++) {
        const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
        await subscriber.subscribe([topic, index % 2]);
        subscribers.push(subscriber);
      }
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      const payload = '0123456789'.repeat(30_000);
      await publisher.publish(topic, payload, { qos: 1 });
      await publisher.publish(topic, 'end', { qos: 1 });
      for (const [index, subscriber] of subscribers.entries()) {
        const [message] = await subscriber.messagesUntil('end');
        assert.equal(message.payload.length, payload.length);
        assert.ok(message.payload === payload);
        assert.equal(message.qos, index % 2);
      }
    });

    // Its acks were kept without a bound: only what others publish to a client had one.
    test('a client that sends on and never reads is cut off', async () => {
      const { server, host, port } = theme.broker;
      const before = server.stats().closed.unresponsive;
      const socket = createConnection(port, host);
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.write(connect({ clientId: unique('deaf') }));
      const releases = Buffer.concat(Array.from({ length: 65_536 }, () => pubrel(1)));
      const sendOn = () => {
        while (socket.writable && socket.write(releases));
      };
      socket.on('drain', sendOn);
      sendOn();
      await within(closed, 'the cut');
      await eventually(() => server.stats().closed.unresponsive === before + 1, 'its reason');
    });
  },
  { maxQueuedBytes: 1_048_576 },
);
