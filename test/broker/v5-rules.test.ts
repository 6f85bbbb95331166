/** Rules of MQTT 5.0 that single packets cannot show: exchanges over a connection or several. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import {
  DISCONNECT,
  PINGREQ,
  PINGRESP,
  puback,
  pubcomp,
  pubrec,
  pubrel,
} from '../support/packets.js';
import {
  ack5,
  type ConnectFields5,
  connect5,
  filterAck5,
  type Published5,
  parsePublish5,
  parseSaid,
  prop,
  publish5,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';

const NO_LOCAL = 4;
const KEPT = prop.uint32(0x11, 60);

for (const workers of [1, 3]) {
  describe(`5.0 clients, ${workers} workers`, () => {
    let broker: Broker;
    before(async () => {
      broker = await startBroker({ workers });
    });
    after(() => broker.close());

    async function open(fields: ConnectFields5 = {}): Promise<[RawClient, boolean]> {
      const client = await broker.raw();
      client.send(connect5({ clientId: unique('rules'), ...fields }));
      const said = parseSaid(await client.readPacket('CONNACK'));
      assert.equal(said.code, 0);
      return [client, said.sessionPresent];
    }

    async function subscribed(
      topic: string,
      options: number,
      fields: ConnectFields5 = {},
    ): Promise<RawClient> {
      const [client] = await open(fields);
      client.send(subscribe5(1, [[topic, options]]));
      await client.expect(filterAck5(0x90, 1, [options & 3]));
      return client;
    }

    async function next(client: RawClient): Promise<Published5> {
      return parsePublish5(await client.readPacket('PUBLISH'));
    }

    /** Publishes at QoS 1 and takes the ack. */
    async function publish(client: RawClient, topic: string, payload: string): Promise<void> {
      client.send(publish5({ topic, payload, qos: 1, packetId: 1 }));
      assert.equal((await client.readPacket('PUBACK'))[0], 0x40);
    }

    // [MQTT-3.8.3-3]
    test('are not sent their own messages by a filter with No Local', async () => {
      const topic = unique('local');
      const client = await subscribed(topic, NO_LOCAL | 1);
      await publish(client, topic, 'own');
      const [other] = await open();
      await publish(other, topic, 'foreign');
      assert.equal((await next(client)).payload, 'foreign');
      const plain = await subscribed(topic, 1);
      plain.send(publish5({ topic, payload: 'own too', qos: 0 }));
      assert.equal((await next(plain)).payload, 'own too');
    });

    // [MQTT-3.3.4-3] [MQTT-3.3.4-4]: the others do not match what the client publishes itself.
    test('are told of their own messages by the filters without No Local', async () => {
      const topic = unique('own');
      const [client] = await open();
      client.send(
        subscribe5(1, [[topic, NO_LOCAL | 1]], prop.varint(0x0b, 7)),
        subscribe5(2, [[`${topic}/#`, 1]], prop.varint(0x0b, 8)),
      );
      for (const packetId of [1, 2]) assert.equal((await client.readPacket())[3], packetId);
      client.send(publish5({ topic, payload: 'own', qos: 0 }), PINGREQ);
      const own = await next(client);
      await client.expect(PINGRESP);
      const [other] = await open();
      await publish(other, topic, 'foreign');
      const foreign = await next(client);
      assert.deepEqual([own.payload, own.block], ['own', '0b08']);
      assert.equal(foreign.payload, 'foreign');
      assert.ok(['0b070b08', '0b080b07'].includes(foreign.block), foreign.block);
    });

    // [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.2.2-2] [MQTT-3.2.2-3]
    test('are told whether there is a session, by Clean Start', async () => {
      const clientId = unique('session');
      for (const [cleanStart, isPresent] of [
        [false, false],
        [false, true],
        [true, false],
        [false, true],
      ] as const) {
        const [client, sessionPresent] = await open({ clientId, cleanStart, properties: KEPT });
        assert.equal(sessionPresent, isPresent);
        client.send(DISCONNECT);
        await client.expectClose();
      }
    });

    // [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-2.2.1-4] [MQTT-4.6.0-1] [MQTT-4.3.3-6] [MQTT-3.1.2-23]
    test('are sent what they have not acknowledged again when they come back', async () => {
      const topic = unique('again');
      const clientId = unique('again');
      const fields = { clientId, cleanStart: false, properties: KEPT };
      const first = await subscribed(topic, 2, fields);
      const [publisher] = await open();
      await publish(publisher, topic, 'one');
      const one = await next(first);
      publisher.send(publish5({ topic, payload: 'two', qos: 2, packetId: 2 }));
      await publisher.expect(pubrec(2));
      const two = await next(first);
      publisher.send(publish5({ topic, payload: 'three', qos: 2, packetId: 3 }));
      await publisher.expect(pubrec(3));
      const three = await next(first);
      first.send(pubrec(two.packetId));
      await first.expect(pubrel(two.packetId));
      first.send(PINGREQ);
      await first.expect(PINGRESP);
      await first.cut();
      const [second] = await open(fields);
      assert.deepEqual(await next(second), { ...one, dup: true });
      // Either may come first: section 4.6 orders those of one QoS and type.
      const rest = [await second.readPacket(), await second.readPacket()];
      const release = rest.find(([header]) => header === 0x62);
      assert.deepEqual(release, pubrel(two.packetId));
      const again = rest.find(([header]) => header !== 0x62);
      assert.deepEqual(again && parsePublish5(again), { ...three, dup: true });
    });

    // [MQTT-4.4.0-2] [MQTT-4.3.3-4]
    test('that say that a delivery failed are not sent it again', async () => {
      const topic = unique('failed');
      const clientId = unique('failed');
      const fields = { clientId, cleanStart: false, properties: KEPT };
      const first = await subscribed(topic, 2, fields);
      const [publisher] = await open();
      await publish(publisher, topic, 'one');
      first.send(ack5(0x40, (await next(first)).packetId, 0x80));
      publisher.send(publish5({ topic, payload: 'two', qos: 2, packetId: 2 }));
      await publisher.expect(pubrec(2));
      first.send(ack5(0x50, (await next(first)).packetId, 0x97, prop.text(0x1f, 'full')), PINGREQ);
      await first.expect(PINGRESP);
      await first.cut();
      const [second] = await open(fields);
      second.send(PINGREQ);
      await second.expect(PINGRESP);
      await publish(publisher, topic, 'three');
      assert.equal((await next(second)).payload, 'three');
    });

    // [MQTT-4.3.3-9]
    test('may use a packet id anew after a PUBREC that says that it failed', async () => {
      const topic = unique('anew');
      const reader = await subscribed(topic, 2);
      const [publisher] = await open();
      publisher.send(publish5({ topic: '$SYS/x', payload: 'x', qos: 2, packetId: 7 }));
      await publisher.expect(ack5(0x50, 7, 0x87));
      publisher.send(publish5({ topic, payload: 'new', qos: 2, packetId: 7 }));
      await publisher.expect(pubrec(7));
      assert.equal((await next(reader)).payload, 'new');
      publisher.send(pubrel(7));
      await publisher.expect(pubcomp(7));
    });

    // [MQTT-4.3.2-5] [MQTT-4.3.3-12]
    test('may use a packet id anew behind PUBACK and PUBCOMP', async () => {
      const topic = unique('reused');
      const reader = await subscribed(topic, 0);
      const [publisher] = await open();
      for (const payload of ['a', 'b']) {
        publisher.send(publish5({ topic, payload, qos: 1, packetId: 7 }));
        await publisher.expect(puback(7));
        assert.equal((await next(reader)).payload, payload);
      }
      for (const payload of ['c', 'd']) {
        publisher.send(publish5({ topic, payload, qos: 2, packetId: 7 }));
        await publisher.expect(pubrec(7));
        publisher.send(pubrel(7));
        await publisher.expect(pubcomp(7));
        assert.equal((await next(reader)).payload, payload);
      }
    });

    // [MQTT-4.8.2-3]
    test('of a shared group are sent messages at the QoS that each was granted', async () => {
      const topic = unique('granted');
      const member = await subscribed(`$share/g/${topic}`, 0);
      const [publisher] = await open();
      await publish(publisher, topic, 'x');
      assert.equal((await next(member)).qos, 0);
    });

    // [MQTT-4.8.2-6] [MQTT-4.4.0-2]
    test('of a shared group are not sent what another has refused', async () => {
      const topic = unique('refused');
      const filter = `$share/g/${topic}`;
      const first = await subscribed(filter, 2);
      const [publisher] = await open();
      await publish(publisher, topic, 'one');
      publisher.send(publish5({ topic, payload: 'two', qos: 2, packetId: 2 }));
      await publisher.expect(pubrec(2));
      const [one, two] = [await next(first), await next(first)];
      const second = await subscribed(filter, 2);
      first.send(ack5(0x40, one.packetId, 0x80), ack5(0x50, two.packetId, 0x80), DISCONNECT);
      await first.expectClose();
      await publish(publisher, topic, 'three');
      assert.equal((await next(second)).payload, 'three');
    });

    // [MQTT-4.8.2-4]
    test('of a shared group complete what they have received when they are back', async () => {
      const topic = unique('completed');
      const filter = `$share/g/${topic}`;
      const fields = { clientId: unique('member'), cleanStart: false, properties: KEPT };
      const first = await subscribed(filter, 2, fields);
      const [publisher] = await open();
      publisher.send(publish5({ topic, payload: 'x', qos: 2, packetId: 2 }));
      await publisher.expect(pubrec(2));
      const { packetId } = await next(first);
      first.send(pubrec(packetId));
      await first.expect(pubrel(packetId));
      const other = await subscribed(filter, 2);
      await first.cut();
      const [second] = await open(fields);
      await second.expect(pubrel(packetId));
      other.send(PINGREQ);
      await other.expect(PINGRESP);
    });

    // [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8]
    test('set and clear what is retained', async () => {
      const topic = unique('kept');
      const [publisher] = await open();
      const send = async (payload: string, retain: boolean): Promise<void> => {
        publisher.send(publish5({ topic, payload, retain, qos: 1, packetId: 1 }));
        assert.equal((await publisher.readPacket())[0], 0x40);
      };
      await send('old', true);
      await send('new', true);
      await send('live', false);
      const reader = await subscribed(topic, 1);
      const { payload, retain } = await next(reader);
      assert.deepEqual([payload, retain], ['new', true]);
      await send('', true);
      assert.equal((await next(reader)).retain, false);
      const late = await subscribed(topic, 1);
      await send('live', false);
      assert.equal((await next(late)).payload, 'live');
    });

    // [MQTT-3.8.4-3] [MQTT-3.8.4-4] [MQTT-3.3.4-2]
    test('that subscribe again have their subscription replaced', async () => {
      const topic = unique('replaced');
      const client = await subscribed(topic, 2);
      client.send(subscribe5(2, [[topic, 0]], prop.varint(0x0b, 5)));
      await client.expect(filterAck5(0x90, 2, [0]));
      const [publisher] = await open();
      await publish(publisher, topic, 'x');
      const { qos, block } = await next(client);
      assert.deepEqual([qos, block], [0, '0b05']);
      client.send(PINGREQ);
      await client.expect(PINGRESP);
    });
  });
}

// [MQTT-3.1.2-22] [MQTT-3.2.2-22]
test('a silent client of 5.0 is told that its Keep Alive is over', async () => {
  await using broker = await startBroker({ workers: 1 });
  const client = await broker.raw();
  client.send(connect5({ clientId: 'silent', keepAlive: 1 }));
  assert.equal(parseSaid(await client.readPacket()).code, 0);
  const said = parseSaid(await client.readPacket('DISCONNECT'));
  assert.deepEqual([said.type, said.code], [14, 0x8d]);
  await client.expectClose();
});

// [MQTT-3.3.4-7]
test('a client of 5.0 that publishes too far ahead of its acks is told so', async () => {
  await using broker = await startBroker({ workers: 1, receiveMaximum: 2 });
  const client = await broker.raw();
  client.send(connect5({ clientId: 'ahead' }));
  assert.equal(parseSaid(await client.readPacket()).properties.get(0x21), 2);
  for (const packetId of [1, 2, 3]) {
    client.send(publish5({ topic: 't', payload: 'x', qos: 2, packetId }));
  }
  for (let packet = await client.readPacket(); ; packet = await client.readPacket()) {
    if (packet[0] >> 4 === 5) continue;
    assert.equal(parseSaid(packet).code, 0x93);
    break;
  }
  await client.expectClose();
});
