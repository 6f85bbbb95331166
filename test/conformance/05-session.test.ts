/** Sessions: what outlives a connection, what does not, and what is sent again after it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import {
  connack,
  connect,
  parsePublish,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
} from '../support/packets.js';
import { describeTheme, numbers } from '../support/suite.js';
import { Type } from '../support/test-client.js';

describeTheme('session', (theme) => {
  // [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3]
  test('session present says whether the broker has a session for this client id', async () => {
    const clientId = unique('present');
    for (const [cleanSession, expected] of [
      [true, false],
      [false, false],
      [false, true],
      [false, true],
      [true, false],
      [true, false],
      [false, false],
      [false, true],
    ] as const) {
      const client = await theme.broker.client({ clientId, cleanSession });
      assert.equal(client.sessionPresent, expected);
      await (expected ? client.cut() : client.disconnect());
    }
  });

  // [MQTT-3.1.2-4] [MQTT-4.1.0-1]
  test('subscriptions of a persistent session outlive its connections on every shard', async () => {
    const clientId = unique('outlive');
    const topic = unique('outlive');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const first = await theme.broker.client({ clientId, cleanSession: false });
    await first.subscribe([`${topic}/a`, 1], [`${topic}/+/b`, 2], [`${topic}/c`, 2]);
    await first.unsubscribe(`${topic}/c`);
    await first.disconnect();
    for (let n = 0; n < theme.workers * 2; n++) {
      const next = await theme.broker.client({ clientId, cleanSession: false });
      assert.equal(next.sessionPresent, true);
      await publisher.publish(`${topic}/c`, 'no', { qos: 2 });
      await publisher.publish(`${topic}/a`, 'a', { qos: 2 });
      await publisher.publish(`${topic}/x/b`, 'b', { qos: 2 });
      const messages = await next.nextMessages(2);
      assert.deepEqual(
        messages.map(({ payload, qos }) => [payload, qos]),
        [
          ['a', 1],
          ['b', 2],
        ],
      );
      await (n % 2 === 0 ? next.cut() : next.disconnect());
    }
  });

  // [MQTT-4.6.0-1], and section 4.6 for what happened one after another.
  test('what a session waits for comes before what is published behind its CONNECT', async () => {
    const clientId = unique('before');
    const topic = unique('before');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const first = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
    await first.subscribe([topic, 2]);
    await publisher.publish(topic, 'sent', { qos: 1 });
    await first.nextMessage();
    await first.cut();
    for (const payload of ['two', 'one', 'x'.repeat(100_000)]) {
      await publisher.publish(topic, payload, { qos: payload === 'two' ? 2 : 1 });
    }
    const again = await theme.broker.raw();
    const behind = publish({ topic, payload: 'zero' });
    again.send(connect({ clientId, cleanSession: false }), behind);
    await again.expect(connack(true, 0));
    const got: string[] = [];
    while (got.length < 5) got.push(parsePublish(await again.readPacket()).payload.slice(0, 4));
    assert.deepEqual(got, ['sent', 'two', 'one', 'xxxx', 'zero']);
  });

  // [MQTT-3.1.2-6]
  test('a clean session leaves nothing behind and takes over nothing', async () => {
    const clientId = unique('clean');
    const topic = unique('clean');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const old = await theme.broker.client({ clientId, cleanSession: false });
    await old.subscribe([topic, 1]);
    await old.disconnect();
    await publisher.publish(topic, 'for the old one', { qos: 1 });
    const clean = await theme.broker.client({ clientId, cleanSession: true });
    await publisher.publish(topic, 'not subscribed', { qos: 1 });
    await clean.subscribe([`${topic}/end`, 1]);
    await publisher.publish(`${topic}/end`, 'end', { qos: 1 });
    assert.deepEqual(await clean.messagesUntil('end'), []);
    await clean.disconnect();
    const next = await theme.broker.client({ clientId, cleanSession: false });
    assert.equal(next.sessionPresent, false);
    await publisher.publish(`${topic}/end`, 'not subscribed either', { qos: 1 });
    await next.subscribe([`${topic}/last`, 1]);
    await publisher.publish(`${topic}/last`, 'last', { qos: 1 });
    assert.deepEqual(await next.messagesUntil('last'), []);
  });

  // [MQTT-3.1.2-5] [MQTT-4.5.0-1]
  test('QoS 1 and 2 messages for an absent client wait for it, in order', async () => {
    const clientId = unique('absent');
    const topic = unique('absent');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const first = await theme.broker.client({ clientId, cleanSession: false });
    await first.subscribe([`${topic}/1`, 1], [`${topic}/2`, 2]);
    await first.disconnect();
    await publisher.publishAll(`${topic}/1`, numbers(1, 500), { qos: 1 });
    await publisher.publishAll(`${topic}/2`, numbers(501, 1_000), { qos: 2 });
    await publisher.publishAll(`${topic}/1`, numbers(1_001, 1_500), { qos: 2 });
    const next = await theme.broker.client({ clientId, cleanSession: false });
    assert.equal(next.sessionPresent, true);
    const messages = await next.nextMessages(1_500);
    assert.ok(messages.every(({ dup }) => !dup));
    for (const qos of [1, 2]) {
      const received = messages.filter((message) => message.qos === qos);
      const expected =
        qos === 1 ? [...numbers(1, 500), ...numbers(1_001, 1_500)] : numbers(501, 1_000);
      assert.deepEqual(
        received.map(({ payload }) => payload),
        expected,
      );
    }
    await publisher.publish(`${topic}/1`, 'live', { qos: 1 });
    assert.equal((await next.nextMessage()).payload, 'live');
  });

  // [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-2.3.1-3] [MQTT-4.6.0-1] [MQTT-4.3.2-1]
  test('unacknowledged messages are sent again with DUP, old packet ids, old order', async () => {
    const clientId = unique('again');
    const topic = unique('again');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const first = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
    await first.subscribe([topic, 2]);
    for (let n = 0; n < 10; n++) {
      await publisher.publishAll(topic, numbers(n * 10 + 1, n * 10 + 10), {
        qos: n % 2 === 0 ? 1 : 2,
      });
    }
    const sent = await first.nextMessages(100);
    await first.cut();
    for (let round = 0; round < theme.workers + 1; round++) {
      const next = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
      const again = await next.nextMessages(100);
      assert.deepEqual(
        again.map(({ packetId, payload, qos, dup }) => [packetId, payload, qos, dup]),
        sent.map(({ packetId, payload, qos }) => [packetId, payload, qos, true]),
      );
      // New ones follow them, with ids of their own and without DUP.
      await publisher.publish(topic, 'new', { qos: 1 });
      const fresh = await next.nextMessage();
      assert.deepEqual([fresh.payload, fresh.dup], ['new', false]);
      assert.ok(!sent.some(({ packetId }) => packetId === fresh.packetId));
      next.raw.send(puback(fresh.packetId));
      await next.ping();
      await next.cut();
    }
    const last = await theme.broker.client({ clientId, cleanSession: false });
    await last.nextMessages(100);
    await last.until(() => last.acks.length === 50, '50 PUBRELs');
    await last.ping();
    await last.disconnect();
    const empty = await theme.broker.client({ clientId, cleanSession: false });
    await publisher.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await empty.messagesUntil('end'), []);
  });

  // [MQTT-4.4.0-1]
  test('only what is still unacknowledged is sent again', async () => {
    const clientId = unique('rest');
    const topic = unique('rest');
    const first = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
    await first.subscribe([topic, 1]);
    await first.publishAll(topic, numbers(1, 20), { qos: 1 });
    const sent = await first.nextMessages(20);
    // In no particular order.
    for (const at of [0, 7, 3, 19, 18, 4]) first.raw.send(puback(sent[at].packetId));
    await first.ping();
    await first.cut();
    const next = await theme.broker.client({ clientId, cleanSession: false });
    await next.nextMessages(14);
    await next.publish(topic, 'end', { qos: 1 });
    await next.messagesUntil('end');
    assert.deepEqual(next.payloads, [
      ...numbers(1, 20).filter((n) => !['1', '8', '4', '20', '19', '5'].includes(n)),
      'end',
    ]);
  });

  // [MQTT-4.3.3-1] [MQTT-4.4.0-1]
  test('after PUBREC it is PUBREL that is sent again, not the message', async () => {
    const clientId = unique('pubrel');
    const topic = unique('pubrel');
    const first = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
    await first.subscribe([topic, 2]);
    await first.publishAll(topic, numbers(1, 6), { qos: 2 });
    const ids = (await first.nextMessages(6)).map(({ packetId }) => packetId);
    for (const at of [0, 1, 3]) {
      first.raw.send(pubrec(ids[at]));
      await first.takeAck(Type.pubrel, ids[at]);
    }
    first.raw.send(pubcomp(ids[1]));
    await first.ping();
    await first.cut();
    for (let round = 0; round < 3; round++) {
      const next = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
      await next.until(() => next.acks.length >= 2 && next.messages.length >= 3, 'all of it');
      await next.ping();
      const { acks, messages } = next;
      assert.deepEqual(
        acks.map(({ type, packetId }) => [type, packetId]),
        [ids[0], ids[3]].map((id) => [Type.pubrel, id]),
      );
      assert.deepEqual(
        messages.map(({ packetId, dup }) => [packetId, dup]),
        [ids[2], ids[4], ids[5]].map((id) => [id, true]),
      );
      await next.cut();
    }
    const last = await theme.broker.client({ clientId, cleanSession: false });
    await last.until(() => last.acks.length === 5, 'five PUBRELs');
    await last.ping();
    await last.disconnect();
    const empty = await theme.broker.client({ clientId, cleanSession: false });
    await empty.ping();
    assert.deepEqual([empty.acks.length, empty.messages.length], [0, 0]);
  });

  // [MQTT-4.3.3-2] [MQTT-4.1.0-1]
  test('a QoS 2 message sent again over new connections is delivered once', async () => {
    const clientId = unique('incoming');
    const topic = unique('incoming');
    const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
    await subscriber.subscribe([topic, 2]);
    const first = await theme.broker.client({ clientId, cleanSession: false });
    first.raw.send(publish({ topic, payload: 'm', qos: 2, packetId: 7 }));
    await first.takeAck(Type.pubrec, 7);
    await first.cut();
    for (let round = 0; round < theme.workers; round++) {
      const next = await theme.broker.client({ clientId, cleanSession: false });
      next.raw.send(publish({ topic, payload: 'm', qos: 2, packetId: 7, dup: true }));
      await next.takeAck(Type.pubrec, 7);
      await next.cut();
    }
    const last = await theme.broker.client({ clientId, cleanSession: false });
    last.raw.send(pubrel(7));
    await last.takeAck(Type.pubcomp, 7);
    await last.cut();
    // PUBREL whose PUBCOMP was lost; then the id stands for a new message.
    const again = await theme.broker.client({ clientId, cleanSession: false });
    again.raw.send(pubrel(7));
    await again.takeAck(Type.pubcomp, 7);
    again.raw.send(publish({ topic, payload: 'new', qos: 2, packetId: 7 }));
    await again.complete(7, 2);
    await subscriber.messagesUntil('new');
    assert.deepEqual(subscriber.payloads, ['m', 'new']);
  });

  // [MQTT-3.1.2-6]
  test('a clean session forgets the QoS 2 packet ids it had received', async () => {
    const clientId = unique('forget');
    const topic = unique('forget');
    const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
    await subscriber.subscribe([topic, 2]);
    for (const payload of ['one', 'two']) {
      const client = await theme.broker.client({ clientId, cleanSession: true });
      client.raw.send(publish({ topic, payload, qos: 2, packetId: 7, dup: payload === 'two' }));
      await client.takeAck(Type.pubrec, 7);
      client.raw.send(pubrel(7));
      await client.takeAck(Type.pubcomp, 7);
      client.raw.send(publish({ topic: `${topic}/x`, payload, qos: 2, packetId: 9 }));
      await client.takeAck(Type.pubrec, 9);
      await client.cut();
      // Two connections, on two shards, have no order between them.
      assert.equal((await subscriber.nextMessage()).payload, payload);
    }
    assert.deepEqual(subscriber.payloads, ['one', 'two']);
  });

  // [MQTT-3.1.2-6]: a message kept back by QoS 2 is not confused with one of the next clean
  // session.
  test('a packet id that a clean session did not release is new in the next', async () => {
    const clientId = unique('left');
    const topic = unique('left');
    const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
    await subscriber.subscribe([topic, 2]);
    const first = await theme.broker.client({ clientId });
    first.raw.send(publish({ topic, payload: 'one', qos: 2, packetId: 7 }));
    await first.takeAck(Type.pubrec, 7);
    await first.cut();
    const second = await theme.broker.client({ clientId });
    second.raw.send(publish({ topic, payload: 'two', qos: 2, packetId: 7 }));
    await second.complete(7, 2);
    await subscriber.messagesUntil('two');
    const payloads = subscriber.payloads.filter((payload) => payload === 'two');
    assert.equal(payloads.length, 1);
  });

  // [MQTT-3.10.4-3] [MQTT-4.4.0-1]
  test('what is in flight when a filter is unsubscribed is still sent again', async () => {
    const clientId = unique('unsubscribed');
    const topic = unique('unsubscribed');
    const first = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
    await first.subscribe([topic, 2]);
    await first.publishAll(topic, ['1', '2'], { qos: 2 });
    const sent = await first.nextMessages(2);
    await first.unsubscribe(topic);
    await first.cut();
    const next = await theme.broker.client({ clientId, cleanSession: false });
    const again = await next.nextMessages(2);
    assert.deepEqual(
      again.map(({ packetId, dup }) => [packetId, dup]),
      sent.map(({ packetId }) => [packetId, true]),
    );
    await next.until(() => next.acks.length === 2, 'two PUBRELs');
  });

  // [MQTT-3.1.2-5]: with what the client had subscribed to, and at what QoS.
  test('messages wait at the lower of their QoS and the granted one', async () => {
    const clientId = unique('min');
    const topic = unique('min');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const first = await theme.broker.client({ clientId, cleanSession: false });
    await first.subscribe([`${topic}/1`, 1], [`${topic}/2`, 2], [`${topic}/0`, 0]);
    await first.disconnect();
    for (const granted of [1, 2]) {
      for (const qos of [1, 2] as const) {
        await publisher.publish(`${topic}/${granted}`, `${qos}${granted}`, { qos });
      }
    }
    const next = await theme.broker.client({ clientId, cleanSession: false });
    for (const message of await next.nextMessages(4)) {
      assert.equal(message.qos, Math.min(Number(message.payload[0]), Number(message.payload[1])));
    }
  });

  // Section 3.1.4: the resumed messages do not hold up what the client has pipelined.
  test('a resumed client may pipeline packets behind its CONNECT', async () => {
    const clientId = unique('pipelined');
    const topic = unique('pipelined');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const first = await theme.broker.client({ clientId, cleanSession: false });
    await first.subscribe([topic, 1]);
    await first.disconnect();
    await publisher.publishAll(topic, numbers(1, 50), { qos: 1 });
    const next = await theme.broker.client({
      clientId,
      cleanSession: false,
      pipelined: [
        publish({ topic, payload: '51', qos: 1, packetId: 1 }),
        publish({ topic, payload: '52', qos: 1, packetId: 2 }),
      ],
    });
    await next.takeAck(Type.puback, 2);
    await next.nextMessages(52);
    assert.deepEqual(next.payloads, numbers(1, 52));
  });
});
