/** MQTT 5.0 in the client: the version that is agreed on, CONNECT, CONNACK and its limits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Client,
  ConfigError,
  ConnectRefusedError,
  PublishRefusedError,
  ServerDisconnectedError,
  ServerLimitError,
} from '../../../src/client/index.js';
import { connack, frame, hex, lengthPrefixed, publish } from '../../support/packets.js';
import { event, outcome, start } from './harness.js';
import { accept5, ack5, connack5, connected5, publish5 } from './harness5.js';

const KEPT = { cleanSession: false, properties: { sessionExpiryInterval: 60 } } as const;
const LEVEL_AT = 8;

test('a server that refuses 5.0 in the words of 3.x is asked for 3.1.1, once', async (t) => {
  // [MQTT-3.1.2-2]: one connection more, and only when the first one is made.
  const { server, client } = await start(t, { protocolVersion: 5 });
  const queued = client.publish('a', 'x', { qos: 1 });
  const subscribed = client.subscribe('b', () => {});
  const done = client.connect();
  const first = await server.accept();
  assert.equal((await first.readPacket())[LEVEL_AT], 5);
  first.send(connack(false, 1));
  const second = await server.accept();
  assert.equal((await second.readPacket())[LEVEL_AT], 4);
  second.send(connack(false, 0));
  await done;
  assert.equal(client.protocolVersion, 4);
  // What waited has become 3.1.1's.
  await second.expect(publish({ topic: 'a', payload: 'x', qos: 1, packetId: 1 }));
  await second.expect('82 06 0002 0001 62 00');
  second.send(hex('40 02 0001'), hex('90 03 0002 00'));
  await Promise.all([queued, subscribed]);
  second.cut();
  const third = await server.accept();
  assert.equal((await third.readPacket())[LEVEL_AT], 4);
});

test('a server that refuses with 0x84 is asked for 3.1.1', async (t) => {
  const { server, client } = await start(t, { protocolVersion: 5 });
  const done = client.connect();
  const first = await server.accept();
  await first.readPacket();
  first.send(connack5('', { code: 0x84 }));
  await server.acceptClient();
  await done;
  assert.equal(client.protocolVersion, 4);
});

test('protocolFallback false takes the refusal of 5.0 as one', async (t) => {
  const { server, client } = await start(t, { protocolVersion: 5, protocolFallback: false });
  const done = outcome(client.connect());
  const first = await server.accept();
  await first.readPacket();
  first.send(connack(false, 1));
  await first.untilClosed();
  assert(done.state instanceof ConnectRefusedError);
  assert.equal(done.state.returnCode, 1);
});

test('a password goes without a user name, in 5.0 alone', async (t) => {
  // [MQTT 5.0, 3.1.2.9]; in 3.1.1 it cannot [MQTT-3.1.2-22].
  const { server, client } = await start(t, { protocolVersion: 5, password: 'p' });
  const done = outcome(client.connect());
  const first = await server.accept();
  const connect = await first.readPacket();
  assert.equal(connect[LEVEL_AT + 1], 0x42);
  assert.equal(connect.subarray(-3).toString('hex'), hex('0001 70').toString('hex'));
  first.send(connack(false, 1));
  await first.untilClosed();
  assert(done.state instanceof ConnectRefusedError);
  assert.throws(() => new Client('mqtt://h', { protocolVersion: 4, password: 'p' }), ConfigError);
});

test('a queued message with properties rejects when the server speaks 3.1.1', async (t) => {
  const { server, client } = await start(t, { protocolVersion: 5 });
  const rich = outcome(client.publish('a', 'x', { properties: { contentType: 'text' } }));
  const plain = client.publish('b', 'y');
  const done = client.connect();
  const first = await server.accept();
  await first.readPacket();
  first.send(connack(false, 1));
  const second = await server.acceptClient();
  await Promise.all([done, plain]);
  assert.match(String(rich.state), /only MQTT 5\.0 has them/);
  await second.expect(publish({ topic: 'b', payload: 'y' }));
});

test('CONNECT says what the options ask for, and what this client bounds', async (t) => {
  // [MQTT 5.0, 3.1.2.11] and the Will Properties, 3.1.3.2.
  const { connect } = await connected5(t, {
    ...KEPT,
    maxPacketBytes: 1_000,
    properties: { sessionExpiryInterval: 60, receiveMaximum: 7, userProperties: [['k', 'v']] },
    will: { topic: 'w', payload: 'gone', properties: { willDelayInterval: 5 } },
  });
  const text = connect.toString('hex');
  const block = '11 0000003c 21 0007 22 0040 27 000003e8 26 0001 6b 0001 76';
  const head = `0004 4d515454 05 04 003c 17 ${block} 0004 74657374`;
  assert(text.includes(hex(head).toString('hex')), text);
  assert(text.includes(hex('05 18 00000005 0001 77 0004 676f6e65').toString('hex')), text);
});

test('a CONNECT or will property that may not be is a fault of the options', () => {
  const make = (options: object): Client => new Client('mqtt://h', options);
  assert.throws(() => make({ properties: { receiveMaximum: 0 } }), ConfigError);
  assert.throws(() => make({ properties: { maximumPacketSize: 9 } }), /client's to say/);
  assert.throws(() => make({ will: { topic: 'a', properties: { topicAlias: 1 } } }), ConfigError);
});

test('no more messages are unacknowledged than the Receive Maximum of the server', async (t) => {
  // [MQTT-3.3.4-9]; a QoS 2 message counts until PUBCOMP.
  const { client, connection } = await connected5(t, {}, '21 0002');
  const all = [1, 2, 3].map((n) => client.publish('a', `${n}`, { qos: n === 2 ? 2 : 1 }));
  await connection.expect(publish5('a', '1', { qos: 1, packetId: 1 }));
  await connection.expect(publish5('a', '2', { qos: 2, packetId: 2 }));
  await client.ping({ timeoutMs: 1 }).catch(() => {});
  await connection.expect('c0 00');
  assert.equal(client.queuedMessages, 1);
  connection.send(ack5(0x50, 2, 0));
  await connection.expect('62 02 0002');
  assert.equal(client.queuedMessages, 1);
  connection.send(hex('70 02 0002'));
  await connection.expect(publish5('a', '3', { qos: 1, packetId: 3 }));
  connection.send(hex('40 02 0001'), hex('40 02 0003'));
  await Promise.all(all);
});

test('what is sent again keeps to the Receive Maximum of the new connection', async (t) => {
  const { server, client, connection } = await connected5(t, KEPT);
  const all = ['1', '2', '3'].map((text) => client.publish('a', text, { qos: 1 }));
  for (const id of [1, 2, 3]) {
    await connection.expect(publish5('a', `${id}`, { qos: 1, packetId: id }));
  }
  connection.cut();
  const { connection: second } = await accept5(server, '21 0001', true);
  for (const id of [1, 2, 3]) {
    await second.expect(publish5('a', `${id}`, { qos: 1, packetId: id, flags: 8 }));
    assert.equal(second.unread, 0);
    second.send(Buffer.concat([hex('40 02'), Buffer.from([0, id])]));
  }
  await Promise.all(all);
});

test('what is over a limit of the server rejects by itself, and the others go on', async (t) => {
  // [MQTT-3.2.2-15] Maximum Packet Size 20, [MQTT-3.2.2-11] Maximum QoS 1, [MQTT-3.2.2-14] Retain.
  const { server, client } = await start(t, { protocolVersion: 5 });
  const early = outcome(client.publish('a', 'x'.repeat(30)));
  const kept = outcome(client.publish('a', 'r', { retain: true }));
  const fits = client.publish('a', 'x');
  const [{ connection }] = await Promise.all([
    accept5(server, '27 00000014 24 01 25 00'),
    client.connect(),
    fits,
  ]);
  await connection.expect(publish5('a', 'x'));
  assert(early.state instanceof ServerLimitError && early.state.reasonCode === 0x95);
  assert(kept.state instanceof ServerLimitError && kept.state.reasonCode === 0x9a);
  for (const [options, reasonCode] of [
    [{ qos: 2 }, 0x9b],
    [{ retain: true }, 0x9a],
  ] as const) {
    await assert.rejects(client.publish('a', '', options), {
      name: 'ServerLimitError',
      reasonCode,
    });
  }
  await assert.rejects(client.publish('a', 'x'.repeat(16)), { reasonCode: 0x95 });
  await assert.rejects(
    client.subscribe('f'.repeat(20), () => {}),
    { reasonCode: 0x95 },
  );
  await client.publish('a', 'x'.repeat(14));
  await connection.expect(publish5('a', 'x'.repeat(14)));
});

test('the keep alive, client id and properties of CONNACK count', async (t) => {
  // [MQTT-3.2.2-21] Server Keep Alive, [MQTT-3.2.2-16] Assigned Client Identifier.
  const options = { clientId: '', keepAlive: 0 };
  const id = Buffer.concat([hex('12'), lengthPrefixed('from-server')]);
  const { server, client, connection } = await connected5(
    t,
    options,
    Buffer.concat([hex('13 0001'), id]),
  );
  assert.equal(client.clientId, 'from-server');
  assert.equal(client.serverProperties.serverKeepAlive, 1);
  await connection.expect('c0 00');
  connection.cut();
  const { connect } = await accept5(server);
  assert(connect.includes(lengthPrefixed('from-server')));
});

test('a session that outlives connections is begun once, and gone on with', async (t) => {
  const options = { properties: { sessionExpiryInterval: 60 } };
  const { server, connection, connect } = await connected5(t, options);
  assert.equal(connect[LEVEL_AT + 1] & 2, 2);
  connection.cut();
  const { connect: second } = await accept5(server, '', true);
  assert.equal(second[LEVEL_AT + 1] & 2, 0);
});

test('a refusal has the reason code, the words and the other server', async (t) => {
  const { server, client } = await start(t, { protocolVersion: 5 });
  const done = outcome(client.connect());
  const connection = await server.accept();
  await connection.readPacket();
  const words = Buffer.concat([hex('1f'), lengthPrefixed('no'), hex('1c'), lengthPrefixed('h2')]);
  connection.send(connack5(words, { code: 0x9d }));
  await connection.untilClosed();
  const { state } = done;
  assert(state instanceof ConnectRefusedError);
  const { reasonCode, reasonString, serverReference, returnCode } = state;
  assert.deepEqual([reasonCode, reasonString, serverReference, returnCode], [0x9d, 'no', 'h2', 3]);
});

test('the server has its DISCONNECT told, with its reason', async (t) => {
  const { client, connection } = await connected5(t);
  const ended = event(client, 'disconnect');
  connection.send(frame(0xe0, hex('8e 09 1f'), lengthPrefixed('twice!')));
  const { error, willReconnect } = await ended;
  assert(error instanceof ServerDisconnectedError);
  assert.equal(error.reasonCode, 0x8e);
  assert.equal(error.reasonString, 'twice!');
  assert.match(error.message, /Session taken over, 'twice!' \(0x8e\)/);
  assert(willReconnect);
});

test('DISCONNECT has the reason code and the session expiry of the call', async (t) => {
  const { client, connection } = await connected5(t, KEPT);
  const done = client.disconnect({ reasonCode: 4, properties: { sessionExpiryInterval: 9 } });
  await connection.expect('e0 07 04 05 11 00000009');
  connection.end();
  await done;
});

test('a session that ends with its connection is given no expiry at its end', async (t) => {
  // [MQTT 5.0, 3.14.2.2.2]: it would be a Protocol Error. The client stays connected.
  const { client } = await connected5(t);
  const wrong = client.disconnect({ properties: { sessionExpiryInterval: 9 } });
  await assert.rejects(wrong, { name: 'ArgumentError' });
  assert.equal(client.state, 'connected');
});

test('what the server breaks is told to it in a DISCONNECT', async (t) => {
  // [MQTT-4.13.1-1]
  const { client, connection } = await connected5(t);
  client.on('error', () => {});
  connection.send(hex('90 04 0009 00 00'));
  await connection.expect('e0 01 81');
  await connection.untilClosed();
});

test('a message that the server refuses rejects with the reason', async (t) => {
  // [MQTT 5.0, 3.4.2.1] PUBACK, 3.5.2.1 PUBREC: no PUBREL follows, the packet id is free.
  const { client, connection } = await connected5(t, {}, '21 0001');
  const first = outcome(client.publish('a', '', { qos: 1 }));
  await connection.expect(publish5('a', '', { qos: 1, packetId: 1 }));
  connection.send(ack5(0x40, 1, 0x87, 'read only'));
  const second = outcome(client.publish('b', '', { qos: 2 }));
  await connection.expect(publish5('b', '', { qos: 2, packetId: 2 }));
  connection.send(ack5(0x50, 2, 0x97));
  const third = client.publish('c', '', { qos: 1 });
  await connection.expect(publish5('c', '', { qos: 1, packetId: 3 }));
  connection.send(ack5(0x40, 3, 0x10));
  await third;
  assert(first.state instanceof PublishRefusedError);
  assert.equal(first.state.reasonString, 'read only');
  assert.match(first.state.message, /PUBLISH to 'a'.*Not authorized, 'read only' \(0x87\)/);
  assert(second.state instanceof PublishRefusedError);
  assert.equal(second.state.reasonCode, 0x97);
  assert.equal(client.inflight, 0);
});

test('SUBACK and UNSUBACK reject with the codes of the filters', async (t) => {
  // [MQTT-3.9.3-1] [MQTT-3.11.3-1]
  const { client, connection } = await connected5(t);
  const subscribed = outcome(client.subscribe(['a', 'b', 'c'], () => {}));
  await connection.expect('82 0f 0001 00 0001 61 00 0001 62 00 0001 63 00');
  connection.send(hex('90 06 0001 00 00 87 9e'));
  const unsubscribed = outcome(client.unsubscribe(['a', 'x']));
  await connection.expect('a2 09 0002 00 0001 61 0001 78');
  connection.send(hex('b0 05 0002 00 00 83'));
  await client.publish('z', '');
  await connection.readPacket();
  const { state } = subscribed;
  assert(state instanceof Error && 'filters' in state && 'reasonCodes' in state);
  assert.deepEqual(
    [state.filters, state.reasonCodes],
    [
      ['b', 'c'],
      [0x87, 0x9e],
    ],
  );
  const gone = unsubscribed.state;
  assert(gone instanceof Error && 'filters' in gone && 'reasonCode' in gone);
  assert.deepEqual([gone.filters, gone.reasonCode], [['x'], 0x83]);
});

test('a message comes with its properties, whose alias is resolved', async (t) => {
  // [MQTT 5.0, 3.3.2.3]
  const { client, connection } = await connected5(t);
  const seen: unknown[] = [];
  client.on('message', ({ topic, payload, properties }) =>
    seen.push([topic, `${payload}`, properties]),
  );
  connection.send(
    publish5('a/b', '1', { block: '23 0005 03 0001 74 26 0001 6b 0001 76' }),
    publish5('', '2', { block: '23 0005' }),
    publish5('', '3', { block: '23 0005' }),
    publish5('a/b', '4'),
    publish5('c', '5', { block: '23 0005 0b 07 0b 80 01', qos: 1, packetId: 9 }),
    publish5('', '6', { block: '23 0005' }),
  );
  await connection.expect('40 02 0009');
  assert.deepEqual(seen.slice(0, 5), [
    ['a/b', '1', { contentType: 't', userProperties: [['k', 'v']] }],
    ['a/b', '2', {}],
    ['a/b', '3', {}],
    ['a/b', '4', {}],
    ['c', '5', { subscriptionIdentifiers: [7, 128] }],
  ]);
});

test('an alias of no topic, or beyond the maximum, ends the connection', async (t) => {
  // [MQTT-3.1.2-26]: 0x94 Topic Alias invalid. Aliases end with their connection.
  const { server, client, connection } = await connected5(t);
  client.on('error', () => {});
  connection.send(publish5('a', '', { block: '23 0001' }), publish5('b', '', { block: '23 0041' }));
  await connection.expect('e0 01 94');
  const { connection: second } = await accept5(server);
  second.send(publish5('', '', { block: '23 0001' }));
  await second.expect('e0 01 94');
});

test('a message is published with the properties of the call', async (t) => {
  const { client, connection } = await connected5(t);
  await client.publish('a', 'x', {
    properties: { contentType: 't', messageExpiryInterval: 3, userProperties: [['k', 'v']] },
  });
  await connection.expect(
    publish5('a', 'x', { block: '02 00000003 03 0001 74 26 0001 6b 0001 76' }),
  );
  for (const properties of [{ topicAlias: 1 }, { responseTopic: 'a/#' }, { maximumQos: 1 }]) {
    await assert.rejects(client.publish('a', 'x', { properties }), /TypeError|ArgumentError/);
  }
});
