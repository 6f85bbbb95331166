/** Subscribing: which messages reach whom, at which QoS, from when and until when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import {
  connack,
  connect,
  DISCONNECT,
  puback,
  pubcomp,
  publish,
  pubrec,
  type QoS,
  suback,
  subscribe,
  unsubscribe,
} from '../support/packets.js';
import { describeTheme, numbers } from '../support/suite.js';
import { Type } from '../support/test-client.js';

/** Topics that every filter of MATCHES is tried with. */
const TOPICS = [
  'a',
  '/a',
  'a/',
  'a/b',
  'a//b',
  'a/b/c',
  'a/c/c',
  'A/b',
  'ab',
  'a b/c',
  '/',
  '//',
  '$a',
  '$a/b',
  '$/a',
  'a/$b',
  'a/é',
];

/** Filters and what they match among TOPICS, section 4.7. */
const MATCHES: readonly (readonly [filter: string, topics: readonly string[]])[] = [
  ['a', ['a']],
  ['/a', ['/a']],
  ['a/', ['a/']],
  ['a/b', ['a/b']],
  ['a//b', ['a//b']],
  ['#', TOPICS.filter((topic) => !topic.startsWith('$'))],
  ['a/#', ['a', 'a/', 'a/b', 'a//b', 'a/b/c', 'a/c/c', 'a/$b', 'a/é']],
  ['a/b/#', ['a/b', 'a/b/c']],
  ['/#', ['/a', '/', '//']],
  ['+', ['a', 'ab']],
  ['+/', ['a/', '/']],
  ['/+', ['/a', '/']],
  ['+/+', ['/a', 'a/', 'a/b', 'A/b', 'a b/c', '/', 'a/$b', 'a/é']],
  ['a/+', ['a/', 'a/b', 'a/$b', 'a/é']],
  ['a/+/+', ['a//b', 'a/b/c', 'a/c/c']],
  ['a/+/c', ['a/b/c', 'a/c/c']],
  ['+/b', ['a/b', 'A/b']],
  ['+/b/#', ['a/b', 'A/b', 'a/b/c']],
  [
    '+/+/#',
    ['/a', 'a/', 'a/b', 'a//b', 'a/b/c', 'a/c/c', 'A/b', 'a b/c', '/', '//', 'a/$b', 'a/é'],
  ],
  ['+/+/+', ['a//b', 'a/b/c', 'a/c/c', '//']],
  ['$a/#', ['$a', '$a/b']],
  ['$a/+', ['$a/b']],
  ['$/a', ['$/a']],
  ['$a', ['$a']],
  ['a/é', ['a/é']],
  ['A/b', ['A/b']],
  ['a b/+', ['a b/c']],
];

describeTheme('subscribe', (theme) => {
  // [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1] [MQTT-4.7.3-4] [MQTT-3.3.2-3]
  test('filters match topics as section 4.7 says', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('filters') });
    const publisher = await theme.broker.client({ clientId: unique('topics') });
    await subscriber.subscribe(['end of the round', 0]);
    for (const [filter, expected] of MATCHES) {
      assert.deepEqual(await subscriber.subscribe([filter, 0]), [0], filter);
      for (const topic of TOPICS) await publisher.publish(topic, 'm');
      await publisher.publish('end of the round', 'end');
      const topics = (await subscriber.messagesUntil('end')).map((message) => message.topic);
      const inOrder = TOPICS.filter((topic) => expected.includes(topic));
      assert.deepEqual(topics, inOrder, `topics of filter ${filter}`);
      await subscriber.unsubscribe(filter);
    }
  });

  // [MQTT-4.7.2-1]. The topics of the test above are known when a wildcard comes: these are not.
  test('a topic that begins with $ is new to all wildcards', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('dollar') });
    const publisher = await theme.broker.client({ clientId: unique('dollar') });
    await subscriber.subscribe(['#', 0], ['+/a', 0], ['+/#', 0], ['$dollar/+', 0]);
    for (const topic of ['$dollar', '$new/a', '$dollar/a', '$/a', 'new/a']) {
      await publisher.publish(topic, topic);
    }
    const messages = await subscriber.messagesUntil('new/a');
    assert.deepEqual(new Set(messages.map(({ topic }) => topic)), new Set(['$dollar/a']));
  });

  // [MQTT-3.8.4-6]
  test('a message is delivered at the lower of its QoS and the granted one', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('min') });
    const publisher = await theme.broker.client({ clientId: unique('min') });
    const topic = unique('min');
    for (const granted of [0, 1, 2] as const) {
      assert.deepEqual(await subscriber.subscribe([`${topic}/${granted}`, granted]), [granted]);
      for (const qos of [0, 1, 2] as const) {
        await publisher.publish(`${topic}/${granted}`, 'm', { qos });
        const message = await subscriber.nextMessage();
        assert.equal(message.qos, Math.min(qos, granted), `QoS ${qos}, granted ${granted}`);
        assert.equal(message.dup, false);
      }
    }
  });

  // [MQTT-3.3.5-1]
  test('overlapping filters deliver a message once, at the highest granted QoS', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('overlap') });
    const publisher = await theme.broker.client({ clientId: unique('overlap') });
    const topic = unique('overlap');
    await subscriber.subscribe([`${topic}/#`, 0], [`${topic}/+`, 2], [`${topic}/a`, 1]);
    await subscriber.subscribe([`+/a`, 1], ['#', 0]);
    for (const qos of [2, 1, 0, 2] as const) {
      await publisher.publish(`${topic}/a`, 'm', { qos });
      assert.equal((await subscriber.nextMessage()).qos, qos);
    }
    assert.equal(subscriber.messages.length, 4);
  });

  // [MQTT-3.3.5-1]
  test('when one of two overlapping filters goes, the other keeps its own QoS', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('overlap') });
    const publisher = await theme.broker.client({ clientId: unique('overlap') });
    const topic = unique('overlap');
    await subscriber.subscribe([`${topic}/#`, 1], [`${topic}/a`, 2]);
    await publisher.publish(`${topic}/a`, 'both', { qos: 2 });
    await subscriber.messagesUntil('both');
    await subscriber.unsubscribe(`${topic}/a`);
    await publisher.publish(`${topic}/a`, 'one', { qos: 2 });
    assert.equal((await subscriber.nextMessage()).qos, 1);
  });

  // [MQTT-3.8.4-3]
  test('subscribing again to the same filter replaces its QoS', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('again') });
    const publisher = await theme.broker.client({ clientId: unique('again') });
    const topic = unique('again');
    for (const qos of [2, 0, 1, 2] as const) {
      assert.deepEqual(await subscriber.subscribe([topic, qos]), [qos]);
      await publisher.publish(topic, 'm', { qos: 2 });
      assert.equal((await subscriber.nextMessage()).qos, qos);
    }
    assert.equal(subscriber.messages.length, 4);
  });

  // [MQTT-3.8.4-3]
  test('subscribing again does not interrupt the flow of messages', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('flow') });
    const publisher = await theme.broker.client({ clientId: unique('flow') });
    const topic = unique('flow');
    await subscriber.subscribe([topic, 1]);
    const payloads = numbers(1, 2_000);
    const published = (async () => {
      for (let at = 0; at < payloads.length; at += 50) {
        await publisher.publishAll(topic, payloads.slice(at, at + 50), { qos: 1 });
      }
    })();
    for (let n = 0; n < 40; n++) await subscriber.subscribe([topic, 1]);
    await published;
    await subscriber.until(() => subscriber.messages.length >= payloads.length, 'all messages');
    assert.deepEqual(subscriber.payloads, payloads);
  });

  // [MQTT-3.8.4-1] [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2]
  test('many filters in one SUBSCRIBE get a return code each, in their order', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('many') });
    const publisher = await theme.broker.client({ clientId: unique('many') });
    const topic = unique('many');
    const invalid = new Set([3, 500, 501, 999]);
    const filters = Array.from({ length: 1_000 }, (_, n) => `${topic}/${n}`);
    const codes = await subscriber.subscribe(
      ...filters.map((filter, n): [string, QoS] => [
        invalid.has(n) ? `${filter}/a#` : filter,
        (n % 3) as QoS,
      ]),
    );
    assert.deepEqual(
      codes,
      filters.map((_, n) => (invalid.has(n) ? 0x80 : n % 3)),
    );
    for (const n of [0, 2, 4, 502, 998]) {
      await publisher.publish(`${topic}/${n}`, 'm', { qos: 2 });
      const message = await subscriber.nextMessage();
      assert.equal(message.topic, `${topic}/${n}`);
      assert.equal(message.qos, n % 3);
    }
  });

  // [MQTT-3.8.4-4]
  test('the same filter twice in one SUBSCRIBE counts as subscribed twice', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('same') });
    const topic = unique('same');
    assert.deepEqual(await subscriber.subscribe([topic, 2], [topic, 0]), [2, 0]);
    await subscriber.publish(topic, 'm', { qos: 1 });
    await subscriber.publish(topic, 'end');
    const messages = await subscriber.messagesUntil('end');
    assert.deepEqual(
      messages.map((message) => message.qos),
      [0],
    );
  });

  // [MQTT-3.10.4-2] [MQTT-3.10.4-4]
  test('after UNSUBACK no more messages of the filter come from any shard', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('stop') });
    const publisher = await theme.broker.client({ clientId: unique('stop') });
    const topic = unique('stop');
    await subscriber.subscribe([`${topic}/end`, 1]);
    for (let n = 0; n < 50; n++) {
      const filter = n % 2 === 0 ? `${topic}/a` : `${topic}/+/b`;
      const to = n % 2 === 0 ? `${topic}/a` : `${topic}/a/b`;
      await subscriber.subscribe([filter, 1]);
      await publisher.publish(to, 'yes', { qos: 1 });
      await subscriber.messagesUntil('yes');
      await subscriber.unsubscribe(filter);
      await publisher.publish(to, 'no', { qos: 1 });
      await publisher.publish(`${topic}/end`, `end ${n}`, { qos: 1 });
      assert.deepEqual(await subscriber.messagesUntil(`end ${n}`), []);
    }
  });

  // [MQTT-3.10.4-2]: what is retained is part of it.
  test('after UNSUBACK no more retained messages of the filter come', async () => {
    const publisher = await theme.broker.client({ clientId: unique('replay') });
    const topic = unique('replay');
    for (let n = 0; n < 40; n++) {
      await publisher.publish(`${topic}/${n}`, 'x'.repeat(10_000), { qos: 1, retain: true });
    }
    for (let n = 0; n < 10; n++) {
      const subscriber = await theme.broker.client({ clientId: unique('replay') });
      const filter = n % 2 === 0 ? `${topic}/+` : `${topic}/${n}`;
      subscriber.raw.send(subscribe(98, [filter, 1]), unsubscribe(99, filter));
      await subscriber.takeAck(Type.unsuback, 99);
      const before = subscriber.messages.length;
      // A way round every shard that may be sending it something.
      await subscriber.subscribe([`${topic}/end`, 1]);
      await publisher.publish(`${topic}/end`, 'end', { qos: 1 });
      await subscriber.until(() => subscriber.payloads.includes('end'), 'what is published now');
      assert.deepEqual(subscriber.payloads.slice(before), ['end']);
    }
  });

  // [MQTT-3.10.4-1] [MQTT-3.10.4-5] [MQTT-3.10.4-6]
  test('UNSUBSCRIBE takes away the filters it names and no others', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('exact') });
    const publisher = await theme.broker.client({ clientId: unique('exact') });
    const topic = unique('exact');
    await subscriber.subscribe([`${topic}/a`, 0], [`${topic}/b`, 0], [`${topic}/c/+`, 0]);
    await subscriber.unsubscribe(`${topic}/+`, `${topic}/#`, `${topic}/c/d`, `${topic}/never`);
    await subscriber.unsubscribe(`${topic}/never`);
    for (const level of ['a', 'b', 'c/d']) await publisher.publish(`${topic}/${level}`, level);
    const before = await subscriber.nextMessages(3);
    assert.deepEqual(
      before.map((message) => message.payload),
      ['a', 'b', 'c/d'],
    );
    await subscriber.unsubscribe(`${topic}/a`, `${topic}/never`, `${topic}/c/+`);
    for (const level of ['a', 'c/d', 'b']) await publisher.publish(`${topic}/${level}`, level);
    assert.equal((await subscriber.nextMessage()).payload, 'b');
    assert.equal(subscriber.acks.length, 0, 'one UNSUBACK for each UNSUBSCRIBE');
  });

  // [MQTT-3.10.4-3]
  test('a delivery that has begun is completed after UNSUBSCRIBE', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('begun'), acknowledge: false });
    const publisher = await theme.broker.client({ clientId: unique('begun') });
    const topic = unique('begun');
    await subscriber.subscribe([topic, 2]);
    await publisher.publish(topic, 'two', { qos: 2 });
    await publisher.publish(topic, 'one', { qos: 1 });
    const [two, one] = await subscriber.nextMessages(2);
    subscriber.raw.send(unsubscribe(99, topic));
    await subscriber.takeAck(Type.unsuback, 99);
    subscriber.raw.send(pubrec(two.packetId), puback(one.packetId));
    await subscriber.takeAck(Type.pubrel, two.packetId);
    subscriber.raw.send(pubcomp(two.packetId));
    await subscriber.ping();
  });

  // Section 3.8.4: a publication made after a SUBACK was received is delivered, on every shard.
  test('a message published after SUBACK always arrives', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('soon') });
    const publisher = await theme.broker.client({ clientId: unique('soon') });
    const topic = unique('soon');
    for (let n = 0; n < 200; n++) {
      const filter = [`${topic}/${n}/x`, `${topic}/${n}/+`, `${topic}/${n}/#`][n % 3];
      await subscriber.subscribe([filter, 0]);
      await publisher.publish(`${topic}/${n}/x`, String(n));
      assert.equal((await subscriber.nextMessage()).payload, String(n));
    }
  });

  // [MQTT-3.8.4-1]: the subscriber's own shard is not the last to know either.
  test('a message published by another client of any shard after SUBACK arrives', async () => {
    const clients = [];
    for (let n = 0; n < theme.workers * 2; n++) {
      clients.push(await theme.broker.client({ clientId: unique('mesh') }));
    }
    const topic = unique('mesh');
    for (const [n, subscriber] of clients.entries()) {
      await subscriber.subscribe([`${topic}/${n}`, 1]);
      for (const publisher of clients) await publisher.publish(`${topic}/${n}`, 'm', { qos: 1 });
      await subscriber.nextMessages(clients.length);
      assert.equal(subscriber.messages.length, clients.length);
    }
  });

  // [MQTT-3.8.4-2] [MQTT-3.10.4-4]
  test('SUBACK and UNSUBACK come in order, with the packet ids of their requests', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('acks') });
    const topic = unique('acks');
    const ids = [9, 5, 65_535, 1];
    for (const id of ids) {
      subscriber.raw.send(subscribe(id, [`${topic}/${id}`, 1]), unsubscribe(id, `${topic}/${id}`));
    }
    await subscriber.until(() => subscriber.acks.length === 8, 'all acknowledgements');
    for (const type of [Type.suback, Type.unsuback]) {
      const received = subscriber.acks.filter((ack) => ack.type === type);
      assert.deepEqual(
        received.map((ack) => ack.packetId),
        ids,
      );
    }
  });

  // Section 3.9
  // [MQTT-3.8.4-1]: the filter is new to the other shards, whose confirmation takes a turn.
  test('SUBACK is sent though DISCONNECT follows in the same write', async () => {
    const will = { topic: unique('will'), payload: 'lost' };
    const witness = await theme.broker.client();
    await witness.subscribe([will.topic, 0]);
    for (let round = 0; round < 30; round++) {
      const raw = await theme.broker.raw();
      const filters = [unique('new'), unique('other')];
      raw.send(connect({ clientId: unique('brief'), will }));
      await raw.expect(connack(false, 0));
      raw.send(
        publish({ topic: 'brief', qos: 1, packetId: 9 }),
        subscribe(1, [filters[0], 1]),
        subscribe(2, [filters[1], 2], [filters[0], 0]),
        DISCONNECT,
        publish({ topic: will.topic, payload: 'behind DISCONNECT' }),
      );
      await raw.expect(Buffer.concat([puback(9), suback(1, 1), suback(2, 2, 0)]));
      await raw.expectClose();
    }
    await witness.ping();
    assert.deepEqual(witness.messages, [], 'no will, and nothing behind DISCONNECT');
  });

  test('a session that left with DISCONNECT behind its SUBSCRIBE is subscribed', async () => {
    const topic = unique('kept');
    const clientId = unique('kept');
    const raw = await theme.broker.raw();
    raw.send(connect({ clientId, cleanSession: false }), subscribe(1, [topic, 1]), DISCONNECT);
    await raw.expect(Buffer.concat([connack(false, 0), suback(1, 1)]));
    await raw.expectClose();
    const publisher = await theme.broker.client();
    await publisher.publish(topic, 'meanwhile', { qos: 1 });
    const again = await theme.broker.client({ clientId, cleanSession: false });
    assert.equal((await again.nextMessage()).payload, 'meanwhile');
  });

  test('a SUBACK with more than 127 bytes has the right length', async () => {
    const client = await theme.broker.raw();
    const topic = unique('long');
    client.send(connect({ clientId: unique('long') }));
    await client.expect(connack(false, 0));
    const filters = numbers(1, 300).map((n): [string, number] => [`${topic}/${n}`, 1]);
    client.send(subscribe(3, ...filters));
    await client.expect(suback(3, ...filters.map(() => 1)));
  });
});
