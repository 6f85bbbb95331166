/** Acks that do not fit their delivery, and the longest and deepest topics there may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { puback, pubcomp, publish, pubrec, subscribe, unsubscribe } from '../support/packets.js';
import { connectEverywhere, describeTheme, type Theme } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';

const SLASHES_MAX = 200;
const BYTES_MAX = 65_535;

/** A client that has been sent a message and has not answered. @returns it and the packet id. */
async function withDelivery(theme: Theme, qos: 1 | 2): Promise<[TestClient, number]> {
  const topic = unique('delivery');
  const client = await theme.broker.client({ acknowledge: false });
  await client.subscribe([topic, qos]);
  const publisher = await theme.broker.client();
  await publisher.publish(topic, 'x', { qos });
  const { packetId } = await client.nextMessage();
  return [client, packetId];
}

const PUBREC_DONE = 'pubrec';
/** By the QoS of the delivery: what may not answer it, and what was answered before. */
const MISFITS = [
  ['PUBREC for a QoS 1 delivery', 1, pubrec, ''],
  ['PUBCOMP for a QoS 1 delivery', 1, pubcomp, ''],
  ['PUBACK for a QoS 2 delivery', 2, puback, ''],
  ['PUBCOMP before PUBREL was sent', 2, pubcomp, ''],
  ['PUBACK when PUBREL was sent', 2, puback, PUBREC_DONE],
] as const;

describeTheme('acks that do not fit', (theme) => {
  for (const [what, qos, ack, before] of MISFITS) {
    // [MQTT-4.8.0-1]: a protocol violation.
    test(`${what} closes the connection`, async () => {
      const [client, packetId] = await withDelivery(theme, qos);
      if (before === PUBREC_DONE) {
        client.raw.send(pubrec(packetId));
        await client.until(() => client.acks.length > 0, 'PUBREL');
      }
      client.raw.send(ack(packetId));
      await client.untilClosed();
    });
  }

  // It may come late, or twice.
  test('an ack of an id that is not in use is harmless', async () => {
    const [client, packetId] = await withDelivery(theme, 1);
    client.raw.send(puback(packetId), puback(packetId), pubcomp(packetId), pubrec(packetId));
    client.raw.send(puback(999), pubrec(999), pubcomp(999));
    await client.ping();
  });

  // [MQTT-4.4.0-1]: it answers what the connection before was sent.
  test('an ack may come on the next connection of its session', async () => {
    const topic = unique('late');
    const session = { clientId: unique('late'), cleanSession: false, acknowledge: false };
    const before = await theme.broker.client(session);
    await before.subscribe([topic, 2]);
    const publisher = await theme.broker.client();
    await publisher.publish(topic, 'x', { qos: 2 });
    const { packetId } = await before.nextMessage();
    await before.cut();
    const after = await theme.broker.client(session);
    after.raw.send(pubrec(packetId), pubrec(packetId));
    await after.until(() => after.acks.length >= 2, 'PUBREL, twice');
    after.raw.send(pubcomp(packetId), pubcomp(packetId));
    await after.ping();
  });
});

/** Topics at the edge of what may be, each once more with another end. */
const EDGES: readonly (readonly [what: string, topicOf: (end: string) => string])[] = [
  [`${SLASHES_MAX} slashes`, (end) => `${unique('deep')}${'/'.repeat(SLASHES_MAX)}${end}`],
  [
    `${SLASHES_MAX} slashes and ${BYTES_MAX} bytes`,
    (end) => `${unique('both')}${'/xyz'.repeat(SLASHES_MAX)}${end}`.padEnd(BYTES_MAX, end),
  ],
  [`${BYTES_MAX} bytes`, (end) => unique('long').padEnd(BYTES_MAX, end)],
];

describeTheme('topics at their limits', (theme) => {
  for (const [what, topicOf] of EDGES) {
    test(`${what}: SUBSCRIBE, PUBLISH and UNSUBSCRIBE, on every shard`, async () => {
      const topic = topicOf('x');
      const other = topicOf('y');
      const clients = await connectEverywhere(theme, topic);
      for (const client of clients) await client.subscribe([topic, 2]);
      const publisher = await theme.broker.client();
      for (const qos of [0, 1, 2] as const) {
        await publisher.publish(other, 'not for them', { qos });
        await publisher.publish(topic, `QoS ${qos}`, { qos });
      }
      for (const client of clients) {
        const received = await client.messagesUntil('QoS 2');
        assert.deepEqual(
          received.map(({ payload }) => payload),
          ['QoS 0', 'QoS 1'],
        );
        assert.ok(client.messages.every((message) => message.topic === topic));
      }
      for (const client of clients) await client.unsubscribe(topic);
      await publisher.publish(topic, 'nobody', { qos: 2 });
      for (const client of clients) await client.ping();
      assert.ok(clients.every((client) => !client.payloads.includes('nobody')));
    });

    test(`${what}: retained, and cleared`, async () => {
      const topic = topicOf('x');
      const publisher = await theme.broker.client();
      await publisher.publish(topic, 'kept', { qos: 1, retain: true });
      for (const client of await connectEverywhere(theme, topic)) {
        const { payload, retain } = await client.nextMessage();
        assert.deepEqual([payload, retain], ['kept', true]);
      }
      await publisher.publish(topic, '', { qos: 1, retain: true });
      const late = await theme.broker.client();
      await late.subscribe([topic, 0]);
      await late.ping();
      assert.deepEqual(late.messages, []);
    });

    test(`${what}: a will`, async () => {
      const topic = topicOf('x');
      const clients = await connectEverywhere(theme, topic);
      const mortal = await theme.broker.client({ will: { topic, payload: 'gone', qos: 1 } });
      await mortal.cut();
      for (const client of clients) assert.equal((await client.nextMessage()).payload, 'gone');
    });
  }

  test(`a filter with wildcards and ${SLASHES_MAX} slashes`, async () => {
    const first = unique('deep');
    const topic = `${first}${'/x'.repeat(SLASHES_MAX)}`;
    const filter = `${first}${'/+'.repeat(SLASHES_MAX - 1)}/#`;
    const clients = await connectEverywhere(theme, filter);
    await clients[0].publish(topic, 'through', { retain: true, qos: 1 });
    for (const client of clients) assert.equal((await client.nextMessage()).payload, 'through');
    const late = await theme.broker.client();
    await late.subscribe([filter, 0]);
    assert.equal((await late.nextMessage()).retain, true);
    await late.unsubscribe(filter);
    await clients[0].publish(topic, '', { retain: true, qos: 1 });
  });

  test(`with ${SLASHES_MAX + 1} slashes a filter is refused and a topic closes`, async () => {
    const topic = '/'.repeat(SLASHES_MAX + 1);
    const client = await theme.broker.client();
    assert.deepEqual(await client.subscribe([topic, 0]), [0x80]);
    client.raw.send(publish({ topic, payload: 'x' }));
    await client.untilClosed();
  });

  // [MQTT-4.7.3-1], [MQTT-4.8.0-1]
  test('a topic or filter of no bytes closes the connection', async () => {
    for (const packet of [publish({ topic: '' }), subscribe(1, ['', 0]), unsubscribe(1, 'a', '')]) {
      const client = await theme.broker.client();
      client.raw.send(packet);
      await client.untilClosed();
      assert.deepEqual(client.acks, []);
    }
  });
});
