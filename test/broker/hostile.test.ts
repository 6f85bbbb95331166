/** What single clients once did to a broker: one test for each fault found. */
import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { connect, publish, pubrel } from '../support/packets.js';
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

describeTheme(
  'acks withheld for a slow reader',
  (theme) => {
    // They grew without a bound: it was taken for granted that no id is used while it is in use.
    test('are let go when there are more of them than packet ids', async () => {
      const [read, unread] = [unique('read'), unique('unread')];
      const reader = await theme.broker.client({ clientId: unique('reader') });
      await reader.subscribe([read, 0]);
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      reader.raw.pauseReading();
      // Until acks are withheld: the kernel takes some megabytes for the reader.
      let sent = 0;
      const fill = publish({ topic: read, payload: 'x'.repeat(500_000), qos: 1, packetId: 1 });
      do {
        sent++;
        publisher.raw.send(fill);
        await publisher.ping();
      } while (publisher.acks.length === sent && sent < 1_000);
      publisher.acks.length = 0;
      const more = publish({ topic: unread, qos: 1, packetId: 2 });
      publisher.raw.send(Buffer.concat(new Array<Buffer>(140_000).fill(more)));
      await publisher.until(() => publisher.acks.length >= 65_535, 'acks to be let go');
      await publisher.ping();
      assert.ok(publisher.acks.length < 140_000, 'the last of them are withheld');
    });
  },
  { outboxBytes: 1_048_576, slowConsumerTimeout: 60 },
);
