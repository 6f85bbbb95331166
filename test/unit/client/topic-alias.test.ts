/** Topic aliases that the client gives to its topics [MQTT 5.0, 3.3.2.3.4]. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientOptions, PublishRefusedError } from '../../../src/client/index.js';
import { withAlias, withoutAlias } from '../../../src/client/outgoing-aliases.js';
import {
  type PublishPacket5 as Publish,
  parsePacket5,
  Sender,
} from '../../../src/protocol/v5/index.js';
import { hex } from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import type { FakeConnection } from './fake-server.js';
import { outcome } from './harness.js';
import { accept5, ack5, connected5, publish5 } from './harness5.js';

/** Properties of a CONNACK whose server takes two aliases. */
const TWO = '22 0002';
const KEPT: ClientOptions = { cleanSession: false, properties: { sessionExpiryInterval: 60 } };

function expectAll(connection: FakeConnection, packets: readonly Buffer[]): Promise<void> {
  return connection.expect(Buffer.concat(packets));
}

test('a topic gets an alias with its second message, which then stands for it', async (t) => {
  // [MQTT-3.3.2-9]: no more of them than the server takes.
  const { client, connection } = await connected5(t, {}, TWO);
  for (const topic of ['a', 'a', 'a', 'b', 'a', 'b', 'b', 'c', 'c', 'c']) {
    await client.publish(topic, 'x');
  }
  await expectAll(connection, [
    publish5('a', 'x'),
    publish5('a', 'x', { block: '23 0001' }),
    publish5('', 'x', { block: '23 0001' }),
    publish5('b', 'x'),
    publish5('', 'x', { block: '23 0001' }),
    publish5('b', 'x', { block: '23 0002' }),
    publish5('', 'x', { block: '23 0002' }),
    publish5('c', 'x'),
    publish5('c', 'x'),
    publish5('c', 'x'),
  ]);
});

test('an alias goes before the properties of the message', async (t) => {
  const { client, connection } = await connected5(t, {}, TWO);
  const properties = { contentType: 't' };
  for (let n = 0; n < 3; n++) await client.publish('a', 'x', { properties });
  await expectAll(connection, [
    publish5('a', 'x', { block: '03 0001 74' }),
    publish5('a', 'x', { block: '23 0001 03 0001 74' }),
    publish5('', 'x', { block: '23 0001 03 0001 74' }),
  ]);
});

test('maxTopicAliases bounds them, and 0 is none', async (t) => {
  const one = await connected5(t, { maxTopicAliases: 1 }, TWO);
  for (const topic of ['a', 'a', 'b', 'b']) await one.client.publish(topic, '');
  const named = publish5('a', '', { block: '23 0001' });
  await expectAll(one.connection, [publish5('a', ''), named, publish5('b', ''), publish5('b', '')]);
  const none = await connected5(t, { maxTopicAliases: 0 }, TWO);
  for (let n = 0; n < 3; n++) await none.client.publish('a', '');
  await expectAll(none.connection, [publish5('a', ''), publish5('a', ''), publish5('a', '')]);
});

test('a packet that an alias would make too large for the server has none', async (t) => {
  // [MQTT-3.2.2-15]: 12 bytes with the name alone, at most 14.
  const { client, connection } = await connected5(t, {}, `${TWO} 27 0000000e`);
  for (let n = 0; n < 2; n++) await client.publish('topic', 'xx');
  await expectAll(connection, [publish5('topic', 'xx'), publish5('topic', 'xx')]);
});

test('what waited in the queue goes by its alias as well', async (t) => {
  const { client, connection } = await connected5(t, {}, `${TWO} 21 0001`);
  const properties = { contentType: 't' };
  const all = [1, 2, 3].map((n) => client.publish('a', `${n}`, { qos: 1, properties }));
  const blocks = ['03 0001 74', '23 0001 03 0001 74', '23 0001 03 0001 74'];
  for (const [index, block] of blocks.entries()) {
    const packetId = index + 1;
    const name = index < 2 ? 'a' : '';
    await connection.expect(publish5(name, `${packetId}`, { qos: 1, packetId, block }));
    connection.send(ack5(0x40, packetId, 0));
  }
  await Promise.all(all);
});

for (const isSessionKept of [true, false]) {
  const kind = isSessionKept ? 'that has the session' : 'that has lost the session';
  test(`what is sent again to a server ${kind} has its topic, and no alias`, async (t) => {
    const { server, client, connection } = await connected5(t, KEPT, TWO);
    await client.publish('a', '0');
    await client.publish('a', '0');
    const properties = { contentType: 't' };
    const first = client.publish('a', '1', { qos: 1, properties });
    const second = client.publish('a', '2', { qos: 2, retain: true });
    await expectAll(connection, [
      publish5('a', '0'),
      publish5('a', '0', { block: '23 0001' }),
      publish5('', '1', { qos: 1, packetId: 1, block: '23 0001 03 0001 74' }),
      publish5('', '2', { qos: 2, packetId: 2, flags: 1, block: '23 0001' }),
    ]);
    connection.cut();
    const { connection: next } = await accept5(server, TWO, isSessionKept);
    const flags = isSessionKept ? 8 : 0;
    await expectAll(next, [
      publish5('a', '1', { qos: 1, packetId: 1, flags, block: '03 0001 74' }),
      publish5('a', '2', { qos: 2, packetId: 2, flags: flags | 1 }),
    ]);
    next.send(hex('40 02 0001'), hex('50 02 0002'));
    await next.expect('62 02 0002');
    next.send(hex('70 02 0002'));
    await Promise.all([first, second]);
    // The aliases of a connection begin anew.
    for (let n = 0; n < 3; n++) await client.publish('a', '');
    await expectAll(next, [
      publish5('a', ''),
      publish5('a', '', { block: '23 0001' }),
      publish5('', '', { block: '23 0001' }),
    ]);
    assert.equal(client.queuedMessages, 0);
    assert.equal(client.inflight, 0);
  });
}

test('a QoS 0 message that the socket had not taken is sent again with its topic', async (t) => {
  const { server, client, connection } = await connected5(t, { ...KEPT, resendQos0: true }, TWO);
  for (let n = 0; n < 2; n++) await client.publish('a', '');
  await expectAll(connection, [publish5('a', ''), publish5('a', '', { block: '23 0001' })]);
  // More than the kernel takes of a server that does not read.
  connection.socket.pause();
  const payload = Buffer.alloc(1 << 20);
  const sent = Array.from({ length: 24 }, () => client.publish('a', payload));
  const last = client.publish('a', 'last');
  connection.cut();
  const { connection: next } = await accept5(server, TWO, true);
  const forms = ['name', 'name and alias', 'alias'];
  for (let index = 0; ; index++) {
    const packet = await next.readPacket();
    const { topic, properties } = parsePacket5(packet, 0, packet.length, Sender.client) as Publish;
    const form = topic === '' ? 'alias' : properties.topicAlias ? 'name and alias' : 'name';
    assert.equal(form, forms[Math.min(index, 2)]);
    if (packet.length < payload.length) break;
  }
  await Promise.all([...sent, last]);
});

test('a refused message is named by its topic, though an alias stood for it', async (t) => {
  const { client, connection } = await connected5(t, {}, TWO);
  for (let n = 0; n < 2; n++) await client.publish('a', '');
  const refused = outcome(client.publish('a', '', { qos: 1 }));
  await connection.readPacket();
  await connection.readPacket();
  await connection.expect(publish5('', '', { qos: 1, packetId: 1, block: '23 0001' }));
  connection.send(ack5(0x40, 1, 0x87));
  await eventually(() => refused.state !== 'pending', 'the refusal');
  assert(refused.state instanceof PublishRefusedError);
  assert.match(refused.state.message, /PUBLISH to 'a'/);
});

test('an alias is put into a block of any length, and taken out again', () => {
  for (const length of [0, 1, 124, 125, 127, 128, 16_380, 16_383, 16_384]) {
    const head = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
    const bytes = length < 16_384 ? head : [128, 128, 1];
    const block = Buffer.concat([Buffer.from(bytes), Buffer.alloc(length, 7)]);
    const with1 = withAlias(block, 258);
    assert.equal(with1.length - block.length >= 3, true);
    assert.deepEqual(withoutAlias(with1), block);
  }
});
