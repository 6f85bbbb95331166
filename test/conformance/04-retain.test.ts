/**
 * Retained messages: stored, replaced, cleared; sent with RETAIN 1 to new subscriptions, from every
 * shard.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import type { QoS } from '../support/packets.js';
import { connectEverywhere, describeTheme, numbers } from '../support/suite.js';
import { type TestClient, Type } from '../support/test-client.js';

describeTheme('retain', (theme) => {
  /** What a new subscriber gets for `filter` before a message that is published now. */
  async function retainedFor(
    filter: string,
    qos: QoS = 2,
  ): Promise<[string, string, number, boolean][]> {
    const subscriber = await theme.broker.client({ clientId: unique('new') });
    const end = unique('end');
    await subscriber.subscribe([filter, qos], [end, 0]);
    // Retained messages are on their way by themselves; as many come as there are, then nothing.
    await subscriber.publish(end, 'settle');
    await subscriber.messagesUntil('settle');
    await settle(subscriber);
    return subscriber.messages
      .filter((message) => message.topic !== end)
      .map(({ topic, payload, qos: at, retain }) => [topic, payload, at, retain]);
  }

  /** Goes once round all shards, so that what they were sending to `subscriber` has come. */
  async function settle(subscriber: TestClient): Promise<void> {
    const topic = unique('settle');
    await subscriber.subscribe([topic, 1]);
    for (let n = 0; n < theme.workers; n++) {
      const publisher = await theme.broker.client({ clientId: unique('settle') });
      await publisher.publish(topic, `settle ${n}`, { qos: 1 });
      await subscriber.until(() => subscriber.payloads.includes(`settle ${n}`), 'the round');
      await publisher.disconnect();
    }
    const left = subscriber.messages.filter((message) => message.topic !== topic);
    subscriber.messages.splice(0, subscriber.messages.length, ...left);
  }

  // [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8]
  test('a retained message is sent to new subscribers of every shard, with RETAIN 1', async () => {
    const publisher = await theme.broker.client({ clientId: unique('set') });
    const topic = unique('set');
    await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    for (let n = 0; n < theme.workers * 2; n++) {
      const subscriber = await theme.broker.client({ clientId: unique('set') });
      await subscriber.subscribe([topic, 2]);
      const { payload, retain, qos, dup } = await subscriber.nextMessage();
      assert.deepEqual([payload, retain, qos, dup], ['kept', true, 1, false]);
    }
  });

  // [MQTT-3.3.1-5]: from PUBACK on, wherever the subscriber sits.
  test('a retained message can be had from every shard once it is acknowledged', async () => {
    const publisher = await theme.broker.client({ clientId: unique('soon') });
    const subscriber = await theme.broker.client({ clientId: unique('soon') });
    const topic = unique('soon');
    for (let n = 0; n < 100; n++) {
      await publisher.publish(`${topic}/${n}`, String(n), {
        qos: n % 2 === 0 ? 1 : 2,
        retain: true,
      });
      await subscriber.subscribe([`${topic}/${n}`, 0]);
      const message = await subscriber.nextMessage();
      assert.deepEqual([message.payload, message.retain], [String(n), true]);
    }
    await settle(subscriber);
    assert.deepEqual(subscriber.payloads, numbers(0, 99), 'each of them once');
  });

  // [MQTT-3.8.4-6]
  test('a retained message is sent at the lower of its QoS and the granted one', async () => {
    const publisher = await theme.broker.client({ clientId: unique('qos') });
    const topic = unique('qos');
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish(topic, `at ${qos}`, { qos, retain: true });
      for (const granted of [0, 1, 2] as const) {
        assert.deepEqual(await retainedFor(topic, granted), [
          [topic, `at ${qos}`, Math.min(qos, granted), true],
        ]);
      }
    }
  });

  // [MQTT-3.3.1-7]
  test('the last retained message replaces the one before, whatever their QoS', async () => {
    const publisher = await theme.broker.client({ clientId: unique('replace') });
    const topic = unique('replace');
    const everywhere = await connectEverywhere(theme, topic);
    for (const [at, qos] of ([2, 0, 1, 0, 2, 1] as const).entries()) {
      await publisher.publish(topic, String(at), { qos, retain: true });
      for (const client of everywhere) await client.nextMessage();
      const payloads = (await retainedFor(topic)).map(([, payload]) => payload);
      assert.deepEqual(payloads, [String(at)]);
    }
  });

  // [MQTT-3.3.1-10] [MQTT-3.3.1-11]
  test('an empty retained message clears the topic, is delivered and not kept', async () => {
    const publisher = await theme.broker.client({ clientId: unique('clear') });
    const watcher = await theme.broker.client({ clientId: unique('clear') });
    const topic = unique('clear');
    await watcher.subscribe([topic, 1]);
    await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    await publisher.publish(topic, '', { qos: 1, retain: true });
    const messages = await watcher.nextMessages(2);
    assert.deepEqual(
      messages.map(({ payload, retain }) => [payload, retain]),
      [
        ['kept', false],
        ['', false],
      ],
    );
    assert.deepEqual(await retainedFor(topic), []);
    // Once more, where there is nothing to clear.
    await publisher.publish(topic, '', { qos: 1, retain: true });
    assert.deepEqual(await retainedFor(topic), []);
  });

  // [MQTT-3.3.1-9]
  test('established subscribers get a retained message with RETAIN 0', async () => {
    const publisher = await theme.broker.client({ clientId: unique('live') });
    const subscriber = await theme.broker.client({ clientId: unique('live') });
    const topic = unique('live');
    await subscriber.subscribe([topic, 2]);
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish(topic, 'm', { qos, retain: true });
      const message = await subscriber.nextMessage();
      assert.deepEqual([message.retain, message.qos], [false, qos]);
    }
  });

  // [MQTT-3.3.1-12]
  test('a message without RETAIN leaves the retained one alone', async () => {
    const publisher = await theme.broker.client({ clientId: unique('alone') });
    const topic = unique('alone');
    await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    await publisher.publish(topic, 'passing', { qos: 1 });
    await publisher.publish(topic, '', { qos: 1 });
    await publisher.publish(topic, 'passing', { qos: 0 });
    await publisher.ping();
    assert.deepEqual(await retainedFor(topic), [[topic, 'kept', 1, true]]);
    const other = unique('alone');
    await publisher.publish(other, 'passing', { qos: 2 });
    assert.deepEqual(await retainedFor(other), []);
  });

  // [MQTT-3.1.2-7]
  test('a retained message stays when the session of its publisher ends', async () => {
    const clientId = unique('gone');
    const topic = unique('gone');
    const first = await theme.broker.client({ clientId, cleanSession: false });
    await first.publish(topic, 'kept', { qos: 1, retain: true });
    await first.cut();
    const second = await theme.broker.client({ clientId, cleanSession: true });
    await second.disconnect();
    assert.deepEqual(await retainedFor(topic), [[topic, 'kept', 1, true]]);
  });

  // [MQTT-3.8.4-3]
  test('subscribing again to the same filter sends the retained messages again', async () => {
    const publisher = await theme.broker.client({ clientId: unique('again') });
    const subscriber = await theme.broker.client({ clientId: unique('again') });
    const topic = unique('again');
    for (const level of ['a', 'b']) {
      await publisher.publish(`${topic}/${level}`, level, { qos: 1, retain: true });
    }
    for (let n = 0; n < 3; n++) {
      await subscriber.subscribe([`${topic}/+`, 1]);
      const messages = await subscriber.nextMessages(2);
      assert.deepEqual(messages.map(({ payload }) => payload).sort(), ['a', 'b']);
      assert.ok(messages.every(({ retain }) => retain));
    }
  });

  // [MQTT-3.1.2-4]: resuming a session is no new subscription.
  test('a resumed session is not sent the retained messages again', async () => {
    const clientId = unique('resumed');
    const topic = unique('resumed');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    const first = await theme.broker.client({ clientId, cleanSession: false });
    await first.subscribe([topic, 1]);
    assert.equal((await first.nextMessage()).retain, true);
    await first.ping();
    await first.disconnect();
    const second = await theme.broker.client({ clientId, cleanSession: false });
    await publisher.publish(topic, 'live', { qos: 1 });
    const message = await second.nextMessage();
    assert.deepEqual([message.payload, message.retain], ['live', false]);
  });

  // [MQTT-3.3.1-6]
  test('a wildcard filter is sent every retained message that it matches', async () => {
    const publisher = await theme.broker.client({ clientId: unique('wild') });
    const topic = unique('wild');
    const levels = ['', '/a', '/a/b', '/a/c', '/b', '/b/c/d', '/$x'];
    for (const level of levels) {
      await publisher.publish(`${topic}${level}`, `at ${level}`, { qos: 1, retain: true });
    }
    for (const [filter, expected] of [
      ['#', levels],
      ['+', ['/a', '/b', '/$x']],
      ['+/+', ['/a/b', '/a/c']],
      ['+/c/#', ['/a/c', '/b/c/d']],
      ['a/#', ['/a', '/a/b', '/a/c']],
      ['+/b', ['/a/b']],
    ] as const) {
      const payloads = (await retainedFor(`${topic}/${filter}`)).map(([, payload]) => payload);
      const wanted = expected.map((level) => `at ${level}`);
      assert.deepEqual(payloads.sort(), wanted.sort(), `filter ${filter}`);
    }
  });

  // [MQTT-3.3.1-6] [MQTT-3.8.4-4]
  test('the SUBACK of very many filters comes before what is retained for them', async () => {
    const publisher = await theme.broker.client({ clientId: unique('filters') });
    const subscriber = await theme.broker.client({ clientId: unique('filters') });
    const topic = unique('filters');
    const payloads = numbers(1, 600);
    for (const payload of payloads) {
      const qos = payload === payloads.at(-1) ? 1 : 0;
      await publisher.publish(`${topic}/${payload}`, payload, { qos, retain: true });
    }
    const filters = payloads.map((payload): [string, QoS] => [`${topic}/${payload}`, 0]);
    let isAnswered = false;
    let early = 0;
    subscriber.onMessage = () => {
      isAnswered ||= subscriber.acks.some(({ type }) => type === Type.suback);
      if (!isAnswered) early++;
    };
    const returnCodes = await subscriber.subscribe(...filters);
    isAnswered = true;
    assert.equal(returnCodes.length, filters.length);
    const messages = await subscriber.nextMessages(filters.length);
    assert.equal(early, 0);
    assert.ok(messages.every(({ retain }) => retain));
    assert.deepEqual(messages.map(({ payload }) => payload).sort(), [...payloads].sort());
  });

  // [MQTT-4.7.2-1]
  test('retained messages of $ topics are not for filters that begin with a wildcard', async () => {
    const publisher = await theme.broker.client({ clientId: unique('dollar') });
    const topic = `$${unique('dollar')}`;
    await publisher.publish(`${topic}/x`, 'hidden', { qos: 1, retain: true });
    for (const filter of ['#', '+/x', '+/#']) {
      const topics = (await retainedFor(filter)).map(([name]) => name);
      assert.ok(!topics.includes(`${topic}/x`), filter);
    }
    assert.deepEqual(await retainedFor(`${topic}/+`), [[`${topic}/x`, 'hidden', 1, true]]);
  });

  // [MQTT-3.3.1-6]
  test('thousands of retained messages come whole, once each, beside large ones', async () => {
    const publisher = await theme.broker.client({ clientId: unique('many') });
    const subscriber = await theme.broker.client({ clientId: unique('many') });
    const topic = unique('many');
    const large = 'x'.repeat(300_000);
    for (const n of [0, 1, 2]) {
      await publisher.publish(`${topic}/large/${n}`, `${n}${large}`, { qos: 1, retain: true });
    }
    const payloads = numbers(1, 3_000);
    for (const payload of payloads) {
      await publisher.publish(`${topic}/${payload}`, payload, { qos: 0, retain: true });
    }
    const everywhere = await connectEverywhere(theme, `${topic}/last`);
    await publisher.publish(`${topic}/last`, 'last', { qos: 1, retain: true });
    for (const client of everywhere) await client.nextMessage();
    await subscriber.subscribe([`${topic}/#`, 1]);
    const messages = await subscriber.nextMessages(3_004);
    assert.ok(messages.every(({ retain }) => retain));
    const small = messages
      .filter(({ payload }) => payload.length < 10)
      .map(({ payload }) => payload);
    assert.deepEqual(small.sort(), [...payloads, 'last'].sort());
    await settle(subscriber);
    assert.equal(subscriber.messages.length, 3_004);
  });

  // [MQTT-3.3.1-6] [MQTT-4.6.0-6]: neither a gap nor an old value last.
  test('who subscribes while a topic changes gets a value and all that follow', async () => {
    const publisher = await theme.broker.client({ clientId: unique('race') });
    const topic = unique('race');
    for (let round = 0; round < 20; round++) {
      const subscriber = await theme.broker.client({ clientId: unique('race') });
      const name = `${topic}/${round}`;
      await publisher.publish(name, '0', { qos: 1, retain: true });
      const published = (async () => {
        for (let n = 1; n <= 60; n += 10) {
          await publisher.publishAll(name, numbers(n, n + 9), { qos: 1, retain: true });
        }
      })();
      await subscriber.subscribe([round % 2 === 0 ? name : `${name}/#`, 1]);
      await published;
      await subscriber.until(() => subscriber.payloads.at(-1) === '60', 'the last value');
      const { messages } = subscriber;
      for (let at = 1; at < messages.length; at++) {
        const step = Number(messages[at].payload) - Number(messages[at - 1].payload);
        const isRepeat = step === 0 && (messages[at].retain || messages[at - 1].retain);
        assert.ok(step === 1 || isRepeat, `sequence ${subscriber.payloads.join(' ')}`);
      }
      await subscriber.disconnect();
    }
  });
});
