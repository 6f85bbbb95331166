/** Messages of MQTT 5.0: between versions, with their properties, aliases and limits. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import {
  connack,
  connect,
  type Message,
  PINGREQ,
  PINGRESP,
  parsePublish,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  type QoS,
  suback,
  subscribe,
} from '../support/packets.js';
import {
  ack5,
  connect5,
  filterAck5,
  parsePublish5,
  parseSaid,
  prop,
  publish5,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import { eventually } from '../support/waiting.js';

const QOS = [0, 1, 2] as const;
const PUBREL = 0x62;
const VERSIONS = [4, 5] as const;
type Version = (typeof VERSIONS)[number];

/** Payload format, content type, response topic, correlation data, and user properties in order. */
const BLOCK = Buffer.concat([
  prop.byte(0x01, 1),
  prop.pair('b', '1'),
  prop.text(0x03, 'text/plain'),
  prop.text(0x08, 'answers'),
  prop.pair('a', '2'),
  prop.text(0x09, Buffer.from([0, 255, 1])),
  prop.pair('b', '1'),
]);

for (const workers of [1, 3]) {
  describe(`messages with ${workers} workers`, () => {
    let broker: Broker;
    before(async () => {
      broker = await startBroker({ workers });
    });
    after(() => broker.close());

    async function open(
      version: Version,
      properties: Buffer = Buffer.alloc(0),
    ): Promise<RawClient> {
      const client = await broker.raw();
      const clientId = unique('p');
      if (version === 4) {
        client.send(connect({ clientId }));
        await client.expect(connack(false, 0));
      } else {
        client.send(connect5({ clientId, properties }));
        assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
      }
      return client;
    }

    async function subscribed(
      version: Version,
      filter: string,
      qos: QoS,
      properties?: Buffer,
    ): Promise<RawClient> {
      const client = await open(version, properties);
      client.send(version === 4 ? subscribe(1, [filter, qos]) : subscribe5(1, [[filter, qos]]));
      await client.expect(version === 4 ? suback(1, qos) : filterAck5(0x90, 1, [qos]));
      return client;
    }

    /** Sends a message, and goes through its acks. @returns the reason code of the first. */
    async function send(
      client: RawClient,
      version: Version,
      fields: Parameters<typeof publish5>[0] & { readonly qos: QoS },
    ): Promise<number> {
      const message = fields.qos === 0 ? fields : { ...fields, packetId: 9 };
      client.send(version === 4 ? publish(message as never) : publish5(message));
      if (fields.qos === 0) {
        client.send(PINGREQ);
        await client.expect(PINGRESP);
        return 0;
      }
      const ack = await client.readPacket('an ack');
      assert.equal(ack[0] >> 4, fields.qos === 1 ? 4 : 5);
      if (fields.qos === 2) {
        client.send(pubrel(9));
        await client.expect(pubcomp(9));
      }
      return ack.length > 4 ? ack[4] : 0;
    }

    /** The next message, which is acknowledged as its QoS asks for. */
    async function receive(
      client: RawClient,
      version: Version,
    ): Promise<Message & { block?: string }> {
      let packet = await client.readPacket('PUBLISH');
      while (packet[0] === PUBREL) {
        client.send(pubcomp(packet.readUInt16BE(2)));
        packet = await client.readPacket('PUBLISH');
      }
      const message = version === 4 ? parsePublish(packet) : { ...parsePublish5(packet) };
      const id = message.packetId ?? 0;
      if (message.qos === 1) client.send(puback(id));
      if (message.qos === 2) client.send(pubrec(id));
      return message as Message & { block?: string };
    }

    // [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18]
    // [MQTT-3.3.2-20]
    test('reach subscribers of both versions, with their properties as they came', async () => {
      for (const from of VERSIONS) {
        for (const published of QOS) {
          const topic = unique('matrix');
          const readers: [RawClient, Version, QoS][] = [];
          for (const version of VERSIONS) {
            for (const qos of QOS) {
              readers.push([await subscribed(version, topic, qos), version, qos]);
            }
          }
          const publisher = await open(from);
          const payload = 'x'.repeat(200);
          await send(publisher, from, { topic, payload, qos: published, properties: BLOCK });
          await send(publisher, from, { topic, payload: 'second', qos: published });
          for (const [reader, version, granted] of readers) {
            const first = await receive(reader, version);
            const second = await receive(reader, version);
            assert.deepEqual(
              [String(first.topic), String(first.payload), first.qos, first.retain],
              [topic, payload, Math.min(published, granted), false],
            );
            assert.equal(String(second.payload), 'second');
            if (version === 4) continue;
            assert.equal(first.block, from === 5 ? BLOCK.toString('hex') : '');
            assert.equal(second.block, '');
          }
        }
      }
    });

    // [MQTT-3.3.1-5] [MQTT-3.3.1-6]
    test('are retained for subscribers of both versions', async () => {
      for (const from of VERSIONS) {
        for (const qos of QOS) {
          const topic = unique('kept');
          const publisher = await open(from);
          await send(publisher, from, {
            topic,
            payload: 'kept',
            qos,
            retain: true,
            properties: BLOCK,
          });
          for (const version of VERSIONS) {
            for (const granted of QOS) {
              const reader = await subscribed(version, topic, granted);
              const message = await receive(reader, version);
              assert.deepEqual(
                [String(message.payload), message.qos, message.retain],
                ['kept', Math.min(qos, granted), true],
              );
              if (version === 5) {
                assert.equal(message.block, from === 5 ? BLOCK.toString('hex') : '');
              }
            }
          }
        }
      }
    });

    // [MQTT-3.3.2-6]
    test('say what is left of their expiry, retained ones too', async () => {
      const topic = unique('expiring');
      const live = await subscribed(5, topic, 1);
      const publisher = await open(5);
      const properties = Buffer.concat([prop.pair('k', 'v'), prop.uint32(0x02, 4_294_967_295)]);
      await send(publisher, 5, { topic, payload: 'long', qos: 1, retain: true, properties });
      const late = await subscribed(5, topic, 1);
      for (const reader of [live, late]) {
        const { block = '' } = await receive(reader, 5);
        const at = block.startsWith('02') ? 2 : block.indexOf('02ffffff') + 2;
        const left = Number.parseInt(block.slice(at, at + 8), 16);
        assert.ok(left <= 4_294_967_295 && left > 4_294_967_200, block);
        assert.ok(block.includes(prop.pair('k', 'v').toString('hex')));
      }
    });

    // [MQTT-3.3.2-5]
    test('that have expired are not delivered', async () => {
      const topic = unique('expired');
      const reader = await subscribed(5, topic, 1);
      const publisher = await open(5);
      const properties = prop.uint32(0x02, 0);
      await send(publisher, 5, { topic, payload: 'over', qos: 1, retain: true, properties });
      await send(publisher, 5, { topic, payload: 'next', qos: 1 });
      assert.equal(String((await receive(reader, 5)).payload), 'next');
      const late = await subscribed(4, topic, 1);
      late.send(PINGREQ);
      await late.expect(PINGRESP);
    });

    // [MQTT-3.3.2-12]
    test('may have an alias for their topic, for as long as their connection', async () => {
      const topic = unique('aliased');
      const reader = await subscribed(4, `${topic}/+`, 1);
      const publisher = await open(5);
      const alias = (value: number) => prop.uint16(0x23, value);
      await send(publisher, 5, { topic: `${topic}/a`, payload: '1', qos: 1, properties: alias(1) });
      await send(publisher, 5, { topic: '', payload: '2', qos: 0, properties: alias(1) });
      await send(publisher, 5, { topic: `${topic}/b`, payload: '3', qos: 2, properties: alias(1) });
      await send(publisher, 5, { topic: '', payload: '4', qos: 1, properties: alias(1) });
      for (const [name, payload] of ['a1', 'a2', 'b3', 'b4']) {
        const message = await receive(reader, 4);
        assert.deepEqual(
          [String(message.topic), String(message.payload)],
          [`${topic}/${name}`, payload],
        );
      }
      const other = await open(5);
      other.send(publish5({ topic: '', payload: 'x', properties: alias(1) }));
      assert.equal(parseSaid(await other.readPacket('DISCONNECT')).code, 0x82);
      await other.expectClose();
    });

    // [MQTT-3.3.2-9]
    test('with an alias above the maximum close with 0x94', async () => {
      const publisher = await open(5);
      publisher.send(publish5({ topic: 't', payload: 'x', properties: prop.uint16(0x23, 17) }));
      assert.equal(parseSaid(await publisher.readPacket('DISCONNECT')).code, 0x94);
      await publisher.expectClose();
    });

    // [MQTT-3.1.2-26]
    test('go without the topic to a subscriber that knows its alias', async () => {
      const topic = unique('known');
      const reader = await subscribed(5, topic, 2, prop.uint16(0x22, 1));
      const publisher = await open(4);
      const seen = [];
      for (const qos of [0, 1, 2, 0] as const) {
        await send(publisher, 4, { topic, payload: 'x', qos });
        const message = await receive(reader, 5);
        seen.push([String(message.topic), message.block]);
      }
      assert.deepEqual(seen, [
        [topic, ''],
        [topic, '230001'],
        ['', '230001'],
        ['', '230001'],
      ]);
    });

    // [MQTT-3.1.2-24] [MQTT-3.1.2-25]
    test('too long for a subscriber are left out for it, and acknowledged', async () => {
      const topic = unique('long');
      for (const granted of QOS) {
        const small = await subscribed(5, topic, granted, prop.uint32(0x27, 100));
        const publisher = await open(5);
        for (const qos of QOS) {
          await send(publisher, 5, { topic, payload: 'y'.repeat(100), qos });
          await send(publisher, 5, { topic, payload: 'fits', qos });
          assert.equal(String((await receive(small, 5)).payload), 'fits');
        }
      }
    });

    // [MQTT-3.3.4-9]
    test('are not sent ahead of their acks beyond the Receive Maximum', async () => {
      const topic = unique('few');
      const reader = await subscribed(5, topic, 1, prop.uint16(0x21, 2));
      const publisher = await open(5);
      for (let at = 0; at < 5; at++) {
        await send(publisher, 5, { topic, payload: String(at), qos: 1 });
      }
      const ids = [];
      for (let at = 0; at < 2; at++) {
        ids.push(parsePublish5(await reader.readPacket('PUBLISH')).packetId);
      }
      reader.send(PINGREQ);
      await reader.expect(PINGRESP);
      for (const id of ids) reader.send(puback(id));
      for (const payload of ['2', '3', '4']) {
        assert.equal(String((await receive(reader, 5)).payload), payload);
      }
    });

    // 3.4.2.1: 0x10.
    test('that nobody has subscribed to are acknowledged with 0x10', async () => {
      const publisher = await open(5);
      for (const qos of [1, 2] as const) {
        assert.equal(await send(publisher, 5, { topic: unique('none'), payload: 'x', qos }), 0x10);
      }
      const topic = unique('some');
      await subscribed(4, topic, 0);
      assert.equal(await send(publisher, 5, { topic, payload: 'x', qos: 1 }), 0);
      assert.equal(await send(publisher, 5, { topic: '$SYS/x', payload: 'x', qos: 1 }), 0x87);
    });

    // [MQTT-4.3.3-10]
    test('of QoS 2 that come again before PUBREL are delivered once', async () => {
      const topic = unique('twice');
      const reader = await subscribed(5, topic, 2);
      const publisher = await open(5);
      const one = publish5({ topic, payload: 'one', qos: 2, packetId: 5, properties: BLOCK });
      const two = publish5({ topic, payload: 'two', qos: 2, packetId: 6, properties: BLOCK });
      publisher.send(one);
      await publisher.expect(pubrec(5));
      publisher.send(Buffer.concat([one, two]));
      await publisher.expect(pubrec(5));
      await publisher.expect(pubrec(6));
      assert.equal(String((await receive(reader, 5)).payload), 'one');
      assert.equal(String((await receive(reader, 5)).payload), 'two');
      publisher.send(Buffer.concat([pubrel(5), pubrel(6)]));
      await publisher.expect(pubcomp(5));
      await publisher.expect(pubcomp(6));
      publisher.send(pubrel(7));
      await publisher.expect(ack5(0x70, 7, 0x92));
    });
  });
}

// 3.3.2.3.2
test('payloads said to be UTF-8 are checked where that is wanted', async () => {
  await using broker = await startBroker({ workers: 1, checkPayloadFormat: true });
  const client = await broker.raw();
  client.send(connect5({ clientId: unique('checked') }));
  await client.readPacket('CONNACK');
  const properties = prop.byte(0x01, 1);
  const wrong = Buffer.from([0xc3, 0x28]);
  client.send(publish5({ topic: 't', payload: wrong, qos: 1, packetId: 1 }));
  assert.equal((await client.readPacket('PUBACK'))[0], 0x40);
  client.send(publish5({ topic: 't', payload: 'ä', qos: 1, packetId: 2, properties }));
  assert.equal((await client.readPacket('PUBACK'))[0], 0x40);
  client.send(publish5({ topic: 't', payload: wrong, qos: 1, packetId: 3, properties }));
  assert.equal(parseSaid(await client.readPacket('DISCONNECT')).code, 0x99);
  await client.expectClose();
});

// [MQTT-3.3.2-5] [MQTT-3.1.2-25]
test('what expired or was too long is counted', async () => {
  await using broker = await startBroker({ workers: 1 });
  const client = await broker.raw();
  client.send(connect5({ clientId: 'kept', properties: prop.uint32(0x27, 60) }));
  await client.readPacket('CONNACK');
  client.send(subscribe5(1, [['t', 1]]));
  await client.readPacket('SUBACK');
  const expired = { topic: 't', payload: 'x', qos: 1, properties: prop.uint32(0x02, 0) };
  client.send(publish5({ ...expired, packetId: 1 }));
  client.send(publish5({ topic: 't', payload: 'x'.repeat(60), qos: 1, packetId: 2 }));
  client.send(publish5({ topic: 't', payload: 'x'.repeat(60), qos: 0 }));
  await eventually(() => {
    const { droppedMessageExpired, droppedOversize } = broker.server.stats();
    return droppedMessageExpired === 1 && droppedOversize === 2;
  }, 'both to be counted');
});
