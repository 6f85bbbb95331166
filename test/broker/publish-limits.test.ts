/** Payloads, topics and filters within MQTT's bounds and beyond those of the operator. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { connack, connect, publish, suback, subscribe } from '../support/packets.js';
import { connect5, parseSaid, prop, publish5, type Said, subscribe5 } from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import { describeTheme, type Theme } from '../support/suite.js';

const PAYLOAD_MAX = 100;
const TOPIC_MAX = 40;
const LEVELS_MAX = 4;
const LIMITS = {
  maxPayloadBytes: PAYLOAD_MAX,
  maxTopicBytes: TOPIC_MAX,
  maxTopicLevels: LEVELS_MAX,
  maxFiltersPerSubscribe: 3,
};

function payload(bytes: number): string {
  return 'x'.repeat(bytes);
}

async function open3(theme: Theme): Promise<RawClient> {
  const client = await theme.broker.raw();
  client.send(connect({ clientId: unique('v3') }));
  await client.expect(connack(false, 0));
  return client;
}

async function open5(theme: Theme): Promise<RawClient> {
  const client = await theme.broker.raw();
  client.send(connect5({ clientId: unique('v5') }));
  assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
  return client;
}

async function said(client: RawClient, type: number): Promise<Said> {
  const packet = parseSaid(await client.readPacket());
  assert.equal(packet.type, type);
  return packet;
}

/** The reason code of the next packet, a PUBACK or PUBREC. */
async function ackCode(client: RawClient): Promise<number> {
  const packet = await client.readPacket('an ack');
  assert.ok(packet[0] === 0x40 || packet[0] === 0x50);
  return packet[4] ?? 0;
}

describeTheme(
  'the operator bounds',
  (theme) => {
    const counted = (name: 'refusedPayloads' | 'refusedTopics' | 'refusedSubscriptions') =>
      theme.broker.server.stats()[name];

    test('payloads: what came before is delivered, then a 3.x client is closed', async () => {
      const before = counted('refusedPayloads');
      const topic = unique('t');
      const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
      await subscriber.subscribe([topic, 0]);
      for (const qos of [0, 1, 2]) {
        const client = await open3(theme);
        const sent = [payload(1), payload(PAYLOAD_MAX), payload(PAYLOAD_MAX + 1), payload(2)];
        const packets = sent.map((text, at) => {
          return publish({ topic, qos, payload: text, ...(qos > 0 ? { packetId: at + 1 } : {}) });
        });
        client.send(...packets);
        await client.untilClosed();
      }
      await subscriber.nextMessages(6);
      const lengths = subscriber.payloads.map((text) => text.length);
      assert.deepEqual(lengths, [1, PAYLOAD_MAX, 1, PAYLOAD_MAX, 1, PAYLOAD_MAX]);
      assert.equal(counted('refusedPayloads') - before, 3);
      assert.ok(theme.broker.logs.some(({ message }) => /maxPayloadBytes/.test(message)));
    });

    // 3.4.2.1, 3.5.2.1, 3.14.2.1
    test('payloads: 5.0 is told in the ack and goes on, or why it is closed', async () => {
      const before = counted('refusedPayloads');
      const topic = unique('t');
      const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
      await subscriber.subscribe([topic, 2]);
      const client = await open5(theme);
      for (const qos of [1, 2] as const) {
        client.send(
          publish5({ topic, qos, packetId: 1, payload: payload(PAYLOAD_MAX) }),
          publish5({ topic, qos, packetId: 2, payload: payload(PAYLOAD_MAX + 1) }),
          publish5({ topic, qos, packetId: 3, payload: payload(3) }),
        );
        const codes = [];
        for (let n = 0; n < 3; n++) codes.push(await ackCode(client));
        assert.deepEqual(codes, [0, 0x97, 0]);
      }
      // What was refused has not begun: its packet id is free for another message [MQTT-4.3.3-9].
      client.send(publish5({ topic, qos: 2, packetId: 2, payload: 'other' }));
      assert.equal(await ackCode(client), 0);
      client.send(publish5({ topic, payload: payload(PAYLOAD_MAX + 1) }));
      assert.equal((await said(client, 14)).code, 0x97);
      await client.expectClose();
      await subscriber.nextMessages(5);
      const lengths = subscriber.payloads.map((text) => text.length);
      assert.deepEqual(lengths, [PAYLOAD_MAX, 3, PAYLOAD_MAX, 3, 5]);
      assert.equal(counted('refusedPayloads') - before, 3);
    });

    test('payloads of 5.0 alone, not what properties and topics take beside them', async () => {
      const client = await open5(theme);
      const properties = prop.pair(payload(100), payload(100));
      const topic = payload(TOPIC_MAX);
      client.send(
        publish5({ topic, qos: 1, packetId: 1, properties, payload: payload(PAYLOAD_MAX) }),
      );
      assert.ok((await ackCode(client)) < 0x80);
    });

    test('topics: one of more bytes or levels closes, a 5.0 client is told', async () => {
      const before = counted('refusedTopics');
      const fine = [payload(TOPIC_MAX), 'a/b/c/d'];
      const bad = [payload(TOPIC_MAX + 1), 'a/b/c/d/e', '////', 'ä'.repeat(TOPIC_MAX / 2 + 1)];
      for (const topic of fine) {
        const client = await open5(theme);
        client.send(publish5({ topic, qos: 1, packetId: 1 }));
        assert.ok((await ackCode(client)) < 0x80);
      }
      for (const topic of bad) {
        const client = await open5(theme);
        client.send(publish5({ topic, qos: 1, packetId: 1 }));
        assert.equal((await said(client, 14)).code, 0x90);
        await client.expectClose();
        const old = await open3(theme);
        old.send(publish({ topic }));
        await old.expectClose();
      }
      assert.equal(counted('refusedTopics') - before, 2 * bad.length);
      assert.ok(theme.broker.logs.some(({ message }) => /maxTopicLevels/.test(message)));
    });

    test('filters in the same way, those of shared subscriptions too', async () => {
      const filters = ['a/b/c/#', 'a/b/c/d/#', payload(TOPIC_MAX + 1)];
      const client = await open3(theme);
      client.send(subscribe(1, ...filters.map((filter) => [filter, 0] as [string, number])));
      await client.expect(suback(1, 0, 0x80, 0x80));
      const client5 = await open5(theme);
      const shared = filters.map((filter) => [`$share/group/${filter}`, 0] as [string, number]);
      client5.send(subscribe5(1, shared));
      const answer = await client5.readPacket('SUBACK');
      assert.deepEqual([...answer.subarray(-3)], [0, 0x8f, 0x8f]);
    });

    test('filters of one SUBSCRIBE: those beyond are refused, not so in the next one', async () => {
      const before = counted('refusedSubscriptions');
      const client = await open3(theme);
      const names = ['a', 'b', 'c', 'd', 'e'].map((filter) => [filter, 0] as [string, number]);
      client.send(subscribe(1, ...names));
      await client.expect(suback(1, 0, 0, 0, 0x80, 0x80));
      client.send(subscribe(2, ...names.slice(3)));
      await client.expect(suback(2, 0, 0));
      const client5 = await open5(theme);
      client5.send(subscribe5(1, names));
      const answer = await client5.readPacket('SUBACK');
      assert.deepEqual([...answer.subarray(-5)], [0, 0, 0, 0x97, 0x97]);
      assert.equal(counted('refusedSubscriptions') - before, 4);
      assert.ok(theme.broker.logs.some(({ message }) => /maxFiltersPerSubscribe/.test(message)));
    });

    // [MQTT-3.2.2-5]
    test('wills, which are refused with their CONNECT', async () => {
      const wills = [
        [{ topic: 'a/b/c/d/e' }, 0x90],
        [{ topic: payload(TOPIC_MAX + 1) }, 0x90],
        [{ topic: 'a', payload: payload(PAYLOAD_MAX + 1) }, 0x97],
      ] as const;
      for (const [will, code] of wills) {
        const client = await theme.broker.raw();
        client.send(connect({ clientId: unique('will'), will }));
        await client.expect(connack(false, 3));
        await client.expectClose();
        const client5 = await theme.broker.raw();
        client5.send(connect5({ clientId: unique('will'), will }));
        assert.equal((await said(client5, 2)).code, code);
        await client5.expectClose();
      }
      const client = await theme.broker.raw();
      const will = { topic: payload(TOPIC_MAX), payload: payload(PAYLOAD_MAX) };
      client.send(connect({ clientId: unique('will'), will }));
      await client.expect(connack(false, 0));
    });
  },
  LIMITS,
);
