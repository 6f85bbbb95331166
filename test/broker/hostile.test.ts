/** What single clients once did to a broker: one test for each fault found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { connect, PINGREQ, publish, pubrel } from '../support/packets.js';
import { dial } from '../support/raw-client.js';
import { describeTheme } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';

/** Packets that are answered, each with about as many bytes. */
const FLOODS = {
  PUBREL: pubrel(1),
  PINGREQ,
  'QoS 1 PUBLISH': publish({ topic: 't', qos: 1, packetId: 1 }),
  'QoS 2 PUBLISH': publish({ topic: 't', qos: 2, packetId: 1 }),
};
/** More than twice what the kernel keeps for two sockets, and less than an outbox may hold. */
const TAKEN_BYTES_MAX = 48 * 1_048_576;
const LATE_RELEASES = 4_000_000;
const CONNACK_BYTES = 4;

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
  },
  { maxQueuedBytes: 1_048_576 },
);

describeTheme(
  'a broker and clients that do not read',
  (theme) => {
    // Its replies were kept, 69 MiB of them, whatever they were replies to.
    for (const [name, packet] of Object.entries(FLOODS)) {
      test(`one that floods ${name} is not read from, then cut off`, async () => {
        const { server } = theme.broker;
        const before = server.stats();
        const socket = dial(theme.broker);
        socket.on('error', () => {});
        const closed = new Promise((resolve) => socket.on('close', resolve));
        socket.write(connect({ clientId: unique('deaf'), keepAlive: 1 }));
        const batch = Buffer.concat(new Array<Buffer>(10_000).fill(packet));
        const sendOn = () => {
          while (socket.writable && socket.write(batch));
        };
        socket.on('drain', sendOn);
        sendOn();
        await within(closed, 'the cut');
        const isCut = () => server.stats().closed.unresponsive === before.closed.unresponsive + 1;
        await eventually(isCut, 'its reason');
        const taken = server.stats().bytesReceived - before.bytesReceived;
        assert.ok(taken < TAKEN_BYTES_MAX, `${taken} bytes`);
      });
    }
  },
  { ackTimeout: '500ms' },
);

describeTheme('a broker and a client that reads late', (theme) => {
  // Its silence is the broker's, which does not read from it [MQTT-3.1.2-24].
  test('gets all replies, and keeps its connection', async () => {
    const socket = dial(theme.broker);
    socket.on('error', () => {});
    socket.write(connect({ clientId: unique('late'), keepAlive: 1 }));
    socket.pause();
    let received = 0;
    const all = new Promise<void>((resolve) => {
      socket.on('data', (bytes) => {
        received += bytes.length;
        if (received === CONNACK_BYTES + 4 * LATE_RELEASES) resolve();
      });
    });
    socket.write(Buffer.concat(new Array<Buffer>(LATE_RELEASES).fill(pubrel(1))));
    const other = await theme.broker.client({ clientId: unique('other') });
    for (let n = 0; n < 20; n++) await other.ping();
    socket.resume();
    await within(all, 'all replies');
    socket.destroy();
  });
});

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
