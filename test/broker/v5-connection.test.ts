/** A connection of MQTT 5.0: how it begins, is answered, and ends. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect, DISCONNECT, hex, PINGREQ, PINGRESP } from '../support/packets.js';
import {
  ack5,
  type ConnectFields5,
  connect5,
  filterAck5,
  parseSaid,
  prop,
  reasoned5,
  type Said,
  subscribe5,
  unsubscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';

describe('a 5.0 client', () => {
  let broker: Broker;
  before(async () => {
    broker = await startBroker({ workers: 1 });
  });
  after(() => broker.close());

  async function open(fields: ConnectFields5 = {}): Promise<{ client: RawClient; connack: Said }> {
    const client = await broker.raw();
    client.send(connect5({ clientId: unique('v5'), ...fields }));
    const connack = parseSaid(await client.readPacket('CONNACK'));
    assert.equal(connack.type, 2);
    assert.equal(connack.code, 0);
    return { client, connack };
  }

  /** The last packet before the close. */
  async function farewell(client: RawClient): Promise<Said> {
    const said = parseSaid(await client.readPacket('the last packet'));
    await client.expectClose();
    return said;
  }

  // [MQTT-3.1.4-5], [MQTT-3.12.4-1], [MQTT-3.14.4-2]
  test('connects, pings and disconnects', async () => {
    const { client, connack } = await open();
    assert.equal(connack.sessionPresent, false);
    client.send(PINGREQ);
    await client.expect(PINGRESP);
    client.send(DISCONNECT);
    await client.expectClose();
  });

  // [MQTT-3.1.3-6], [MQTT-3.1.3-7]
  test('with an empty client id is told the one that it gets', async () => {
    const { connack } = await open({ clientId: '' });
    assert.match(String(connack.properties.get(0x12)), /^surgemq-/);
    const named = await open();
    assert.equal(named.connack.properties.has(0x12), false);
  });

  // [MQTT-3.9.3-1], [MQTT-3.11.3-1]
  test('is told of each filter whether it is subscribed, and whether it was', async () => {
    const { client } = await open();
    client.send(
      subscribe5(7, [
        ['a/#', 1],
        ['b', 2],
      ]),
    );
    await client.expect(filterAck5(0x90, 7, [1, 2]));
    client.send(unsubscribe5(8, ['b', 'never', 'b', 'a/#']));
    await client.expect(filterAck5(0xb0, 8, [0x00, 0x11, 0x11, 0x00]));
  });

  // [MQTT-1.5.5-1]
  test('may not pad the remaining length of CONNECT', async () => {
    const packet = connect5({ clientId: 'padded' });
    const client = await broker.raw();
    client.send(Buffer.concat([Buffer.from([0x10, packet[1] | 0x80, 0]), packet.subarray(2)]));
    assert.equal((await farewell(client)).code, 0x81);
  });

  // [MQTT-3.1.4-2]
  test('is told what is wrong with its CONNECT', async () => {
    const twice = Buffer.concat([prop.uint16(0x21, 5), prop.uint16(0x21, 5)]);
    const client = await broker.raw();
    client.send(connect5({ properties: twice }));
    const said = await farewell(client);
    assert.equal(said.type, 2);
    assert.equal(said.code, 0x82);
    assert.match(String(said.properties.get(0x1f)), /Receive Maximum/);
  });

  // [MQTT-4.13.1-1], [MQTT-3.14.4-1]
  test('is told what is wrong with a later packet', async () => {
    const { client } = await open();
    client.send(hex('82 04 0001 00 00'));
    const said = await farewell(client);
    assert.equal(said.type, 14);
    assert.equal(said.code, 0x81);
  });

  // [MQTT-3.1.0-2]
  test('may not send CONNECT twice', async () => {
    const { client } = await open();
    client.send(connect5({ clientId: 'again' }));
    assert.equal((await farewell(client)).code, 0x82);
  });

  // [MQTT-3.1.4-3]
  test('is told that another has taken its client id', async () => {
    const clientId = unique('taken');
    const { client } = await open({ clientId });
    await open({ clientId });
    assert.equal((await farewell(client)).code, 0x8e);
  });

  // [MQTT-3.1.2-24], [MQTT-3.2.2-19]
  test('is sent no Reason String that is longer than it takes', async () => {
    const client = await broker.raw();
    const second = connect5({ clientId: 'second' });
    const properties = prop.uint32(0x27, 20);
    client.send(connect5({ clientId: unique('small'), properties }), second);
    assert.equal(parseSaid(await client.readPacket()).code, 0);
    assert.deepEqual(await client.readPacket(), reasoned5(0xe0, 0x82));
    await client.expectClose();
  });

  // [MQTT-3.1.2-24]
  test('that takes no CONNACK is closed', async () => {
    const client = await broker.raw();
    client.send(connect5({ clientId: unique('tiny'), properties: prop.uint32(0x27, 2) }));
    await client.expectClose();
  });

  // 3.5.2.1, 3.6.2.1
  test('is told of packet ids that are unknown', async () => {
    const { client } = await open();
    client.send(hex('50 02 0009'), hex('62 02 0008'), ack5(0x50, 7, 0x10, prop.text(0x1f, 'why')));
    await client.expect(ack5(0x62, 9, 0x92));
    await client.expect(ack5(0x70, 8, 0x92));
    await client.expect(ack5(0x62, 7, 0x92));
    // One that says that it failed is answered by nothing [MQTT-4.3.3-4].
    client.send(ack5(0x50, 6, 0x80), ack5(0x40, 5, 0x80), PINGREQ);
    await client.expect(PINGRESP);
  });

  // [MQTT-3.14.4-3], 3.14.2.1
  test('may ask for its will at the end', async () => {
    const topic = unique('will');
    const watcher = await broker.client();
    await watcher.subscribe([topic, 0]);
    const will = { topic, payload: 'last' };
    for (const [last, isPublished] of [
      [DISCONNECT, false],
      [reasoned5(0xe0, 0x04), true],
      [reasoned5(0xe0, 0x80), true],
    ] as const) {
      const { client } = await open({ will });
      client.send(last);
      await client.expectClose();
      await watcher.publish(topic, 'end');
      const messages = await watcher.messagesUntil('end');
      assert.deepEqual(
        messages.map(({ payload }) => payload),
        isPublished ? ['last'] : [],
      );
    }
  });
});

test('a 5.0 client that is not let in is told why', async () => {
  await using broker = await startBroker({ workers: 1, authenticator: 'mockFailure' });
  for (const [fields, code] of [
    [{ clientId: 'a' }, 0x87],
    [{ clientId: 'a', username: 'u' }, 0x86],
    // Allowed without a user name [MQTT 5.0, 3.1.2.9].
    [{ clientId: 'a', password: 'p' }, 0x86],
  ] as const) {
    const client = await broker.raw();
    client.send(connect5(fields));
    assert.equal(parseSaid(await client.readPacket()).code, code);
    await client.expectClose();
  }
});

test('clients of 5.0 are told that the server stops', async () => {
  const broker = await startBroker({ workers: 1 });
  const client = await broker.raw();
  client.send(connect5({ clientId: 'v5' }));
  assert.equal(parseSaid(await client.readPacket()).code, 0);
  const old = await broker.raw();
  old.send(connect({ clientId: 'old' }));
  await old.readPacket();
  const ended = broker.server.close();
  assert.equal(parseSaid(await client.readPacket()).code, 0x8b);
  await client.expectClose();
  await old.expectClose();
  await ended;
  await broker.close();
});
