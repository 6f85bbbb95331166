/** SUBSCRIBE of MQTT 5.0: its options, and what it is answered. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect, PINGREQ, packetEnd, publish, subscribe } from '../support/packets.js';
import {
  type Block,
  connect5,
  filterAck5,
  parseSaid,
  prop,
  properties,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';

/** Bits of the Subscription Options. */
const NO_LOCAL = 4;
const RETAIN_AS_PUBLISHED = 8;
const IF_NEW = 0x10;
const NEVER = 0x20;

async function open(broker: Broker, block: Block = ''): Promise<RawClient> {
  const client = await broker.raw();
  client.send(connect5({ clientId: unique('v5'), properties: block }));
  assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
  return client;
}

/** First bytes of all packets that come before the answer to a ping. */
async function headersUntilPing(client: RawClient): Promise<number[]> {
  client.send(PINGREQ);
  const headers: number[] = [];
  for (;;) {
    const packet = await client.readPacket();
    if (packet[0] === 0xd0) return headers;
    assert.equal(packetEnd(packet), packet.length);
    headers.push(packet[0]);
  }
}

for (const workers of [1, 3]) {
  describe(`a 5.0 client that subscribes, ${workers} workers`, () => {
    let broker: Broker;
    before(async () => {
      broker = await startBroker({ workers });
    });
    after(() => broker.close());

    // [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]
    test('says when it is sent what is retained', async () => {
      const topic = unique('retained');
      const publisher = await broker.client();
      await publisher.publish(topic, 'x', { qos: 1, retain: true });
      const client = await open(broker);
      /** Messages sent for a filter with these options. */
      async function sent(options: number): Promise<number[]> {
        client.send(subscribe5(1, [[topic, options]]));
        await client.expect(filterAck5(0x90, 1, [0]));
        // A message that is published behind the SUBACK comes behind what is retained.
        await publisher.publish(topic, 'mark', { qos: 1 });
        const headers: number[] = [];
        for (;;) {
          const packet = await client.readPacket();
          if (packet.subarray(-4).toString() === 'mark') return headers;
          headers.push(packet[0]);
        }
      }
      assert.deepEqual(await sent(NEVER), []);
      assert.deepEqual(await sent(IF_NEW), []);
      assert.deepEqual(await sent(0), [0x31]);
      assert.deepEqual(await sent(IF_NEW), []);
      const other = await open(broker);
      other.send(subscribe5(1, [[topic, IF_NEW]]));
      await other.expect(filterAck5(0x90, 1, [0]));
      assert.equal((await other.readPacket())[0], 0x31);
    });

    // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
    test('may keep RETAIN as it was published', async () => {
      const topic = unique('as-published');
      const [plain, keeping] = [await open(broker), await open(broker)];
      plain.send(subscribe5(1, [[topic, 0]]));
      await plain.expect(filterAck5(0x90, 1, [0]));
      keeping.send(subscribe5(1, [[topic, RETAIN_AS_PUBLISHED]]));
      await keeping.expect(filterAck5(0x90, 1, [0]));
      const publisher = await broker.client();
      await publisher.publish(topic, 'x', { retain: true });
      assert.equal((await plain.readPacket())[0], 0x30);
      assert.equal((await keeping.readPacket())[0], 0x31);
    });

    // [MQTT-3.3.4-3], [MQTT-3.3.4-5]
    test('is told by which subscriptions a message comes', async () => {
      const topic = unique('identified');
      const client = await open(broker);
      client.send(subscribe5(1, [[topic, 0]], prop.varint(0x0b, 300)));
      client.send(subscribe5(2, [[`${topic}/#`, 0]], prop.varint(0x0b, 7)));
      await client.expect(filterAck5(0x90, 1, [0]));
      await client.expect(filterAck5(0x90, 2, [0]));
      const publisher = await broker.client();
      await publisher.publish(topic, 'x');
      const packet = await client.readPacket();
      const block = packet.subarray(4 + topic.length, -1);
      const either = ['0b ac02 0b 07', '0b 07 0b ac02'].map((hex) => properties(hex));
      assert.ok(
        either.some((one) => one.equals(block)),
        block.toString('hex'),
      );
    });

    // [MQTT-3.1.2-29]
    test('is told why a filter is refused, unless it does not want to be', async () => {
      for (const [block, isTold] of [
        ['', true],
        [prop.byte(0x17, 0), false],
      ] as const) {
        const client = await open(broker, block);
        client.send(
          subscribe5(3, [
            ['a/#/b', 1],
            ['b', 1],
          ]),
        );
        const suback = await client.readPacket();
        assert.deepEqual([...suback.subarray(-2)], [0x8f, 1]);
        assert.equal(suback.includes('a filter is none'), isTold);
      }
    });
  });
}

// [MQTT-3.1.2-24]
test('a client that takes no SUBACK so long is closed', async () => {
  await using broker = await startBroker({ workers: 1 });
  const client = await open(broker, prop.uint32(0x27, 16));
  client.send(
    subscribe5(
      1,
      Array.from({ length: 20 }, () => ['a', 0] as const),
    ),
  );
  const said = parseSaid(await client.readPacket());
  assert.deepEqual([said.type, said.code], [14, 0x95]);
  await client.expectClose();
});

test('a client may have no more subscriptions than are allowed', async () => {
  await using broker = await startBroker({ workers: 1, maxSubscriptions: 1 });
  const client = await open(broker, prop.byte(0x17, 0));
  client.send(
    subscribe5(1, [
      ['a', 1],
      ['b', 1],
      ['a', 0],
    ]),
  );
  await client.expect(filterAck5(0x90, 1, [1, 0x97, 0]));
});

// Mosquitto's bridges, by default.
test('a bridge is not sent what it brings, and all others with RETAIN as published', async () => {
  await using broker = await startBroker({ workers: 1 });
  for (const level of [0x83, 0x84]) {
    const bridge = await broker.raw();
    const protocolName = level === 0x83 ? 'MQIsdp' : 'MQTT';
    bridge.send(connect({ level, protocolName, clientId: `bridge-${level}` }));
    await bridge.expect('20 02 00 00');
    bridge.send(subscribe(1, ['#', 1]));
    await bridge.expect('90 03 0001 01');
    bridge.send(publish({ topic: 'own', payload: 'x', retain: true }));
    assert.deepEqual(await headersUntilPing(bridge), []);
    const other = await broker.client();
    await other.publish('other', 'x', { retain: true, qos: 1 });
    assert.equal((await bridge.readPacket())[0], 0x33);
    await other.publish('own', '', { retain: true, qos: 1 });
    await other.publish('other', '', { retain: true, qos: 1 });
    await bridge.end();
  }
  // Another client is sent its own messages, as 3.1.1 has it.
  const plain = await broker.raw();
  plain.send(connect({ clientId: 'plain' }), subscribe(1, ['#', 0]));
  await plain.expect('20 02 00 00');
  await plain.expect('90 03 0001 00');
  plain.send(publish({ topic: 'own', payload: 'x' }));
  assert.deepEqual(await headersUntilPing(plain), [0x30]);
});

test('No Local and other options are for 5.0 alone', async () => {
  await using broker = await startBroker({ workers: 1 });
  const old = await broker.raw();
  old.send(connect({ clientId: 'old' }), subscribe(1, ['a', NO_LOCAL]));
  await old.expect('20 02 00 00');
  await old.expectClose();
});
