/** What the server states of itself in CONNACK, and holds 5.0 clients and those of 3.x to. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connack, connect, publish, subscribe } from '../support/packets.js';
import {
  type ConnectFields5,
  connect5,
  parseSaid,
  prop,
  publish5,
  type Said,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';

async function begin(broker: Broker, fields: ConnectFields5 = {}): Promise<[RawClient, Said]> {
  const client = await broker.raw();
  client.send(connect5({ clientId: unique('v5'), ...fields }));
  const said = parseSaid(await client.readPacket('CONNACK'));
  assert.equal(said.type, 2);
  return [client, said];
}

/** What a CONNACK or DISCONNECT says, by property identifiers in hex. */
function saidOf({ properties }: Said): Record<string, string | number> {
  const named = [...properties].map(([id, value]) => [id.toString(16), value] as const);
  return Object.fromEntries(named);
}

async function expectDisconnect(client: RawClient, code: number): Promise<Said> {
  const said = parseSaid(await client.readPacket('DISCONNECT'));
  assert.equal(said.type, 14);
  assert.equal(said.code, code);
  await client.expectClose();
  return said;
}

function brokerWith(options: ServerOptions): Promise<Broker> {
  return startBroker({ workers: 1, ...options });
}

describe('a CONNACK', () => {
  // 3.2.2.3
  test('states what differs from what clients take for granted', async () => {
    await using plain = await brokerWith({ maxPacketBytes: 4_096 });
    assert.deepEqual(saidOf((await begin(plain))[1]), { 22: 16, 27: 4_096 });
    await using set = await brokerWith({
      maxPacketBytes: 4_096,
      receiveMaximum: 20,
      topicAliasMaximum: 0,
      maxQos: 1,
      retainAvailable: false,
      maxKeepAlive: 30,
      maxSessionExpiry: '1h',
    });
    const properties = prop.uint32(0x11, 7_200);
    const stated = { 11: 3_600, 13: 30, 21: 20, 24: 1, 25: 0, 27: 4_096 };
    assert.deepEqual(saidOf((await begin(set, { keepAlive: 31, properties }))[1]), stated);
    // No keep alive is longer than any [MQTT-3.2.2-21].
    assert.equal(saidOf((await begin(set))[1])['13'], 30);
    const modest = { keepAlive: 30, properties: prop.uint32(0x11, 3_600) };
    const { 11: expiry, 13: keepAlive, ...others } = stated;
    assert.deepEqual(saidOf((await begin(set, modest))[1]), others);
    assert.deepEqual([expiry, keepAlive], [3_600, 30]);
  });

  // 3.2.2.3.15
  test('has Response Information for who asks, where there is any', async () => {
    const asking = { properties: prop.byte(0x19, 1) };
    await using set = await brokerWith({ responseInformation: 'responses/' });
    assert.equal(saidOf((await begin(set, asking))[1])['1a'], 'responses/');
    assert.equal(saidOf((await begin(set))[1])['1a'], undefined);
    await using plain = await brokerWith({});
    assert.equal(saidOf((await begin(plain, asking))[1])['1a'], undefined);
  });
});

describe('a maximum QoS', () => {
  // [MQTT-3.2.2-9], [MQTT-3.2.2-11], [MQTT-3.2.2-12]
  test('holds for what is published, subscribed to, and left as a will', async () => {
    await using broker = await brokerWith({ maxQos: 0 });
    const [client] = await begin(broker);
    client.send(subscribe5(1, [['a', 2]]));
    assert.equal((await client.readPacket()).at(-1), 0);
    client.send(publish5({ topic: 'a', qos: 1, packetId: 1 }));
    await expectDisconnect(client, 0x9b);
    const [refused, said] = await begin(broker, { will: { topic: 'a', qos: 1 } });
    assert.equal(said.code, 0x9b);
    await refused.expectClose();
  });

  test('closes a 3.1.1 client that publishes at a higher one', async () => {
    await using broker = await brokerWith({ maxQos: 1 });
    const client = await broker.raw();
    client.send(connect({ clientId: 'c' }), subscribe(1, ['a', 2]));
    await client.expect(connack(false, 0));
    assert.equal((await client.readPacket()).at(-1), 1);
    client.send(publish({ topic: 'a', qos: 1, packetId: 1 }));
    const answers = [await client.readPacket(), await client.readPacket()];
    assert.deepEqual(answers.map((packet) => packet[0] >> 4).sort(), [3, 4]);
    client.send(publish({ topic: 'a', qos: 2, packetId: 2 }));
    await client.expectClose();
  });
});

describe('a server without retained messages', () => {
  // [MQTT-3.2.2-13], [MQTT-3.2.2-14]
  test('closes who publishes one, and takes no will to be retained', async () => {
    await using broker = await brokerWith({ retainAvailable: false });
    const [client] = await begin(broker);
    client.send(publish5({ topic: 'a', retain: true }));
    await expectDisconnect(client, 0x9a);
    const [refused, said] = await begin(broker, { will: { topic: 'a', retain: true } });
    assert.equal(said.code, 0x9a);
    await refused.expectClose();
    const old = await broker.raw();
    old.send(connect({ clientId: 'c' }));
    await old.expect(connack(false, 0));
    old.send(publish({ topic: 'a', retain: true }));
    await old.expectClose();
  });
});

// [MQTT-3.2.2-21]
test('a 3.1.1 client that asks for a longer keep alive than there is is refused', async () => {
  await using broker = await brokerWith({ maxKeepAlive: 30 });
  for (const keepAlive of [0, 31]) {
    const client = await broker.raw();
    client.send(connect({ clientId: 'c', keepAlive }));
    await client.expect(connack(false, 2));
    await client.expectClose();
  }
  const client = await broker.raw();
  client.send(connect({ clientId: 'c', keepAlive: 30 }));
  await client.expect(connack(false, 0));
});

// 4.11
test('clients are told of another server where there is one, when this one stops', async () => {
  const broker = await brokerWith({ serverReference: 'b.example:1883' });
  const [client] = await begin(broker);
  const ended = broker.server.close();
  assert.equal((await expectDisconnect(client, 0x9c)).properties.get(0x1c), 'b.example:1883');
  await ended;
  await broker.close();
});
