/** Publishing: the acknowledgements of each QoS in both directions, packet ids, duplicates. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import {
  connack,
  connect,
  PINGREQ,
  PINGRESP,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
} from '../support/packets.js';
import { describeTheme, numbers } from '../support/suite.js';
import { Type } from '../support/test-client.js';

describeTheme('publish', (theme) => {
  // [MQTT-3.3.4-1] [MQTT-4.3.1-1] [MQTT-2.3.1-5]
  test('a QoS 0 message is delivered without packet id and without acknowledgement', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('qos0') });
    const publisher = await theme.broker.raw();
    const topic = unique('qos0');
    await subscriber.subscribe([topic, 2]);
    publisher.send(connect({ clientId: unique('qos0') }));
    await publisher.expect(connack(false, 0));
    publisher.send(publish({ topic, payload: 'm' }), PINGREQ);
    await publisher.expect(PINGRESP);
    const message = await subscriber.nextMessage();
    assert.deepEqual(
      [message.qos, message.dup, message.retain, message.packetId, message.payload],
      [0, false, false, 0, 'm'],
    );
  });

  // [MQTT-3.3.1-3]: DUP of the publisher is not passed on.
  test('DUP is not propagated to subscribers', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('dup') });
    const publisher = await theme.broker.client({ clientId: unique('dup') });
    const topic = unique('dup');
    for (const granted of [0, 1, 2]) {
      await subscriber.subscribe([topic, granted]);
      for (const qos of [1, 2] as const) {
        const packetId = publisher.nextPacketId();
        publisher.raw.send(publish({ topic, payload: 'm', qos, dup: true, packetId }));
        await publisher.complete(packetId, qos);
        assert.equal((await subscriber.nextMessage()).dup, false);
      }
    }
  });

  // [MQTT-3.3.1-3]: neither in a run of messages of which some have it.
  test('DUP of some messages of a run reaches nobody', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('dup') });
    const publisher = await theme.broker.client({ clientId: unique('dup') });
    const topic = unique('dup');
    await subscriber.subscribe([topic, 1]);
    const packets = numbers(1, 100).map((payload) =>
      publish({
        topic,
        payload,
        qos: 1,
        dup: Number(payload) % 3 === 0,
        packetId: Number(payload),
      }),
    );
    publisher.raw.send(...packets);
    const messages = await subscriber.nextMessages(100);
    assert.deepEqual(
      messages.map((message) => message.payload),
      numbers(1, 100),
    );
    assert.ok(messages.every((message) => !message.dup));
  });

  // Section 3.3.3
  test('payloads of any bytes and sizes arrive unchanged in every QoS', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('payload') });
    const publisher = await theme.broker.client({ clientId: unique('payload') });
    const topic = unique('payload');
    await subscriber.subscribe([topic, 2]);
    const sizes = [0, 1, 114, 115, 116, 1_000, 16_368, 16_369, 65_536, 200_000, 900_000];
    for (const qos of [0, 1, 2] as const) {
      for (const size of sizes) {
        const payload = Buffer.from(
          Array.from({ length: size }, (_, at) => (at * 31 + size) & 0xff),
        );
        await publisher.publish(topic, payload, { qos });
        const message = await subscriber.nextMessage();
        assert.equal(message.payloadBytes.length, size);
        assert.ok(message.payloadBytes.equals(payload), `${size} bytes at QoS ${qos}`);
        assert.equal(message.topic, topic);
      }
    }
  });

  // [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-2.3.1-6]
  test('acknowledgements come in the order of the packets they answer', async () => {
    const publisher = await theme.broker.client({ clientId: unique('order') });
    const topic = unique('order');
    const ids = [500, 3, 65_535, 1, 17, 16, 15, 900];
    const packets = ids.flatMap((id, at) => [
      publish({ topic: `${topic}/${at % 3}`, payload: 'm', qos: 1, packetId: id }),
      publish({
        topic: `${topic}/${at % 2}`,
        payload: 'm',
        qos: 2,
        packetId: id + (id % 2 ? -1 : 1) || 2,
      }),
    ]);
    publisher.raw.send(...packets);
    await publisher.until(() => publisher.acks.length === 2 * ids.length, 'all acknowledgements');
    const idsOf = (type: number) =>
      publisher.acks.filter((ack) => ack.type === type).map((ack) => ack.packetId);
    assert.deepEqual(idsOf(Type.puback), ids);
    assert.deepEqual(
      idsOf(Type.pubrec),
      ids.map((id) => id + (id % 2 ? -1 : 1) || 2),
    );
  });

  // [MQTT-4.3.3-2]
  test('a QoS 2 message sent again before PUBREL is delivered once', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('once') });
    const publisher = await theme.broker.client({ clientId: unique('once') });
    const topic = unique('once');
    await subscriber.subscribe([topic, 2], [`${topic}/end`, 2]);
    for (let n = 0; n < 3; n++) {
      publisher.raw.send(publish({ topic, payload: 'm', qos: 2, packetId: 7, dup: n > 0 }));
      await publisher.takeAck(Type.pubrec, 7);
    }
    // The same in one write, with another id in between.
    publisher.raw.send(
      publish({ topic, payload: 'm', qos: 2, packetId: 7, dup: true }),
      publish({ topic, payload: 'n', qos: 2, packetId: 8 }),
      publish({ topic, payload: 'n', qos: 2, packetId: 8, dup: true }),
      publish({ topic, payload: 'm', qos: 2, packetId: 7, dup: true }),
    );
    await publisher.until(() => publisher.acks.length === 4, 'four PUBRECs');
    publisher.raw.send(pubrel(7), pubrel(8));
    await publisher.takeAck(Type.pubcomp, 7);
    await publisher.takeAck(Type.pubcomp, 8);
    await publisher.publish(`${topic}/end`, 'end', { qos: 2 });
    const payloads = (await subscriber.messagesUntil('end')).map((message) => message.payload);
    assert.deepEqual(payloads, ['m', 'n']);
  });

  // [MQTT-4.3.3-2]
  test('after PUBCOMP the packet id stands for a new message, with DUP or without', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('new') });
    const publisher = await theme.broker.client({ clientId: unique('new') });
    const topic = unique('new');
    await subscriber.subscribe([topic, 2]);
    for (let n = 0; n < 3; n++) {
      publisher.raw.send(publish({ topic, payload: String(n), qos: 2, packetId: 7, dup: n > 1 }));
      await publisher.complete(7, 2);
    }
    const payloads = (await subscriber.nextMessages(3)).map((message) => message.payload);
    assert.deepEqual(payloads, ['0', '1', '2']);
  });

  // [MQTT-4.3.2-2]
  test('after PUBACK the packet id stands for a new message, with DUP or without', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('new') });
    const publisher = await theme.broker.client({ clientId: unique('new') });
    const topic = unique('new');
    await subscriber.subscribe([topic, 1]);
    for (let n = 0; n < 4; n++) {
      publisher.raw.send(
        publish({ topic, payload: String(n), qos: 1, packetId: 7, dup: n % 2 === 1 }),
      );
      await publisher.complete(7, 1);
    }
    const payloads = (await subscriber.nextMessages(4)).map((message) => message.payload);
    assert.deepEqual(payloads, ['0', '1', '2', '3']);
  });

  // [MQTT-4.3.2-2]: where a run is handled as one, too.
  test('a packet id again and again in one write is a message and a PUBACK each time', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('again') });
    const publisher = await theme.broker.client({ clientId: unique('again') });
    const topic = unique('again');
    await subscriber.subscribe([topic, 1]);
    const count = 200;
    publisher.raw.send(
      ...numbers(1, count).map((payload, n) =>
        publish({ topic, payload, qos: 1, packetId: 7 + (n % 2), dup: n % 3 === 0 }),
      ),
    );
    await publisher.until(() => publisher.acks.length >= count, 'all PUBACKs');
    assert.deepEqual(
      publisher.acks.map(({ packetId }) => packetId),
      numbers(1, count).map((_, n) => 7 + (n % 2)),
    );
    const received = (await subscriber.nextMessages(count)).map((message) => message.payload);
    assert.deepEqual(received, numbers(1, count));
  });

  // [MQTT-4.3.3-2]
  test('PUBREL for an unknown packet id is answered by PUBCOMP', async () => {
    const publisher = await theme.broker.client({ clientId: unique('pubrel') });
    publisher.raw.send(pubrel(4_711), pubrel(4_711));
    await publisher.takeAck(Type.pubcomp, 4_711);
    await publisher.takeAck(Type.pubcomp, 4_711);
  });

  // [MQTT-3.3.5-2]: clients may not publish to $SYS/; the acknowledgement is all they see.
  test('a message to $SYS is acknowledged and reaches nobody', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('sys') });
    const publisher = await theme.broker.client({ clientId: unique('sys') });
    const topic = `$SYS/${unique('mine')}`;
    await subscriber.subscribe([`${topic}/#`, 2], ['$SYS/#', 2], ['end', 2]);
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish(`${topic}/t`, 'no', { qos, retain: true });
    }
    await publisher.publish('end', 'end', { qos: 2 });
    const topics = (await subscriber.messagesUntil('end')).map((message) => message.topic);
    assert.ok(!topics.some((name) => name.startsWith(topic)), 'nothing live');
    await subscriber.subscribe([`${topic}/#`, 2]);
    await publisher.publish('end', 'end again', { qos: 2 });
    const again = (await subscriber.messagesUntil('end again')).map((message) => message.topic);
    assert.ok(!again.some((name) => name.startsWith(topic)), 'nothing retained');
  });

  // [MQTT-2.3.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]
  test('packet ids of unacknowledged deliveries are all different and never 0', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('ids'), acknowledge: false });
    const publisher = await theme.broker.client({ clientId: unique('ids') });
    const topic = unique('ids');
    await subscriber.subscribe([`${topic}/1`, 1], [`${topic}/2`, 2], [`${topic}/3`, 2]);
    for (let n = 0; n < 5; n++) {
      await publisher.publishAll(`${topic}/1`, numbers(1, 50), { qos: 1 });
      await publisher.publishAll(`${topic}/2`, numbers(1, 50), { qos: 2 });
      await publisher.publishAll(`${topic}/3`, numbers(1, 50), { qos: 1 });
    }
    const messages = await subscriber.nextMessages(750);
    const ids = new Set(messages.map((message) => message.packetId));
    assert.equal(ids.size, 750);
    assert.ok(!ids.has(0));
    assert.ok(messages.every((message) => !message.dup));
  });

  // [MQTT-2.3.1-4]: ids begin anew after 65,535, and those still in use are passed over.
  test('packet ids begin anew after 65,535 and none is given twice at a time', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('wrap'), acknowledge: false });
    const publisher = await theme.broker.client({ clientId: unique('wrap') });
    const topic = unique('wrap');
    await subscriber.subscribe([topic, 1]);
    const inUse = new Set<number>();
    const faults: number[] = [];
    subscriber.onMessage = ({ packetId }) => {
      if (packetId === 0 || inUse.has(packetId)) faults.push(packetId);
      inUse.add(packetId);
      if (inUse.size <= 200) return;
      const [oldest] = inUse;
      inUse.delete(oldest);
      subscriber.raw.send(puback(oldest));
    };
    const payloads = numbers(1, 700);
    for (let n = 0; n < 96; n++) {
      await publisher.publishAll(topic, payloads, { qos: 1 });
      await subscriber.nextMessages(payloads.length);
    }
    assert.deepEqual(faults, []);
  });

  // [MQTT-4.6.0-4] [MQTT-2.3.1-6]
  test('PUBREL goes out in the order in which PUBREC came in', async () => {
    const subscriber = await theme.broker.client({
      clientId: unique('pubrel'),
      acknowledge: false,
    });
    const publisher = await theme.broker.client({ clientId: unique('pubrel') });
    const topic = unique('pubrel');
    await subscriber.subscribe([topic, 2]);
    await publisher.publishAll(topic, numbers(1, 20), { qos: 2 });
    const ids = (await subscriber.nextMessages(20)).map((message) => message.packetId);
    subscriber.raw.send(...ids.map(pubrec));
    await subscriber.until(() => subscriber.acks.length === 20, '20 PUBRELs');
    assert.deepEqual(
      subscriber.acks.map((ack) => ack.packetId),
      ids,
    );
    assert.ok(subscriber.acks.every((ack) => ack.type === Type.pubrel));
    subscriber.raw.send(...ids.map(pubcomp));
    await subscriber.ping();
  });

  // [MQTT-4.4.0-1]: PUBREC that comes again is answered again.
  test('a PUBREC sent twice gets its PUBREL twice', async () => {
    const subscriber = await theme.broker.client({
      clientId: unique('pubrec'),
      acknowledge: false,
    });
    const topic = unique('pubrec');
    await subscriber.subscribe([topic, 2]);
    await subscriber.publish(topic, 'm', { qos: 2 });
    const { packetId } = await subscriber.nextMessage();
    for (let n = 0; n < 2; n++) {
      subscriber.raw.send(pubrec(packetId));
      await subscriber.takeAck(Type.pubrel, packetId);
    }
  });

  // [MQTT-4.5.0-1]
  test('a message reaches every subscriber of every shard', async () => {
    const topic = unique('all');
    const subscribers = [];
    for (let n = 0; n < 9; n++) {
      const subscriber = await theme.broker.client({ clientId: unique('all') });
      await subscriber.subscribe([topic, n % 3]);
      subscribers.push(subscriber);
    }
    for (const publisher of subscribers) {
      for (const qos of [0, 1, 2] as const) await publisher.publish(topic, 'm', { qos });
    }
    for (const subscriber of subscribers) {
      await subscriber.nextMessages(27);
      assert.equal(subscriber.messages.length, 27);
    }
  });

  // [MQTT-4.8.0-1]: nobody else notices.
  test('what stands before a malformed packet is delivered, what follows it is not', async () => {
    const subscriber = await theme.broker.client({ clientId: unique('bad') });
    const publisher = await theme.broker.client({ clientId: unique('bad') });
    const topic = unique('bad');
    await subscriber.subscribe([topic, 1]);
    publisher.raw.send(
      publish({ topic, payload: 'before', qos: 1, packetId: 1 }),
      publish({ topic, payload: 'bad', qos: 3, packetId: 2 }),
      publish({ topic, payload: 'behind', qos: 1, packetId: 3 }),
    );
    await publisher.untilClosed();
    assert.equal((await subscriber.nextMessage()).payload, 'before');
    await subscriber.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await subscriber.messagesUntil('end'), []);
  });
});
