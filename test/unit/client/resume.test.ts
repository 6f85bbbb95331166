/** A connection is lost and comes back: what is sent again, how, and in which order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ClientOptions,
  ConnectionLostError,
  ConnectRefusedError,
  SubscribeRefusedError,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import { connected, event, outcome } from './harness.js';

const KEPT: ClientOptions = { cleanSession: false };
const fields = (payload: string, qos: number, packetId: number) => ({
  topic: 't',
  payload,
  qos,
  packetId,
});

test('session present: all in flight again, DUP, old ids, old order', async (t) => {
  // [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-3.3.1-1]
  const { server, client, connection } = await connected(t, KEPT);
  const calls = [
    client.publish('t', 'a', { qos: 1 }),
    client.publish('t', 'b', { qos: 2 }),
    client.publish('t', 'c', { qos: 1 }),
    client.publish('t', 'd', { qos: 2 }),
    client.publish('t', 'e', { qos: 1, retain: true }),
  ];
  for (let i = 0; i < 5; i++) await connection.readPacket();
  connection.send(packets.puback(3), packets.pubrec(2));
  await connection.expect(packets.pubrel(2));
  connection.cut();
  const next = await server.acceptClient(true);
  await next.expect(packets.publish({ ...fields('a', 1, 1), dup: true }));
  await next.expect(packets.pubrel(2));
  await next.expect(packets.publish({ ...fields('d', 2, 4), dup: true }));
  await next.expect(packets.publish({ ...fields('e', 1, 5), dup: true, retain: true }));
  next.send(packets.puback(1), packets.pubcomp(2), packets.pubrec(4), packets.puback(5));
  await next.expect(packets.pubrel(4));
  next.send(packets.pubcomp(4));
  await Promise.all(calls);
  assert.equal(next.unread, 0);
});

test('the order is kept when packet ids have wrapped and one is stuck', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  connection.socket.removeAllListeners('data');
  const FRAME_BYTES = packets.publish(fields('x', 1, 1)).length;
  const ids: number[] = [];
  let received = Buffer.alloc(0);
  let acknowledges = true;
  connection.socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    const acks: Buffer[] = [];
    let at = 0;
    for (; at + FRAME_BYTES <= received.length; at += FRAME_BYTES) {
      ids.push(received.readUInt16BE(at + FRAME_BYTES - 3));
      if (ids.length > 1 && acknowledges) acks.push(packets.puback(ids[ids.length - 1]));
    }
    received = received.subarray(at);
    if (acks.length > 0) connection.send(...acks);
  });
  const stuck = outcome(client.publish('t', 'x', { qos: 1 }));
  await eventually(() => ids.length === 1, 'the message that is never acknowledged');
  // Round the ids once.
  for (let sent = 0; sent < 66_000; sent += 1_000) {
    await Promise.all(Array.from({ length: 1_000 }, () => client.publish('t', 'x', { qos: 1 })));
  }
  assert.equal(ids.lastIndexOf(1), 0, 'an id in use was used again');
  acknowledges = false;
  const before = ids.length;
  const last = [client.publish('t', 'y', { qos: 1 }), client.publish('t', 'z', { qos: 1 })];
  await eventually(() => ids.length === before + 2, 'the last two');
  connection.cut();
  const next = await server.acceptClient(true);
  await next.expect(packets.publish({ ...fields('x', 1, 1), dup: true }));
  await next.expect(packets.publish({ ...fields('y', 1, ids[before]), dup: true }));
  await next.expect(packets.publish({ ...fields('z', 1, ids[before + 1]), dup: true }));
  next.send(packets.puback(1), packets.puback(ids[before]), packets.puback(ids[before + 1]));
  await Promise.all(last);
  assert.equal(stuck.state, 'resolved');
});

test('session not present: subscriptions again, messages as new ones', async (t) => {
  const { server, client, connection } = await connected(t);
  const subscribed = client.subscribe(['a/#', { filter: 'b', qos: 2 }], () => {}, { qos: 1 });
  await connection.readPacket();
  connection.send(packets.suback(1, 1, 2));
  await subscribed;
  const calls = [client.publish('t', 'a', { qos: 1 }), client.publish('t', 'b', { qos: 2 })];
  const done = outcome(client.publish('t', 'c', { qos: 2 }));
  for (let i = 0; i < 3; i++) await connection.readPacket();
  connection.send(packets.pubrec(4));
  await connection.expect(packets.pubrel(4));
  connection.cut();
  const next = await server.acceptClient(false);
  await next.expect(packets.subscribe(5, ['a/#', 1], ['b', 2]));
  await next.expect(packets.publish(fields('a', 1, 2)));
  await next.expect(packets.publish(fields('b', 2, 3)));
  // The third had reached the server, which has nothing left to complete.
  await eventually(() => done.state === 'resolved', 'the message that was received');
  next.send(packets.suback(5, 1, 2), packets.puback(2), packets.pubrec(3));
  await next.expect(packets.pubrel(3));
  next.send(packets.pubcomp(3));
  await Promise.all(calls);
});

test('session present: no subscription is made again', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const subscribed = client.subscribe('a', () => {});
  await connection.readPacket();
  connection.send(packets.suback(1, 0));
  await subscribed;
  connection.cut();
  const next = await server.acceptClient(true);
  await client.publish('end', '');
  await next.expect(packets.publish({ topic: 'end' }));
});

test('MQTT 3.1 cannot tell: messages go with DUP and subscriptions are made again', async (t) => {
  const { server, client, connection } = await connected(t, { ...KEPT, protocolVersion: 3 });
  const subscribed = client.subscribe('a', () => {});
  // The session may be of an earlier process, so ids begin anywhere.
  const first = (await connection.readPacket()).readUInt16BE(2);
  const [second, third] = [(first % 65_535) + 1, ((first + 1) % 65_535) + 1];
  connection.send(packets.suback(first, 0));
  await subscribed;
  const call = client.publish('t', 'a', { qos: 1 });
  await connection.expect(packets.publish(fields('a', 1, second)));
  connection.cut();
  const next = await server.acceptClient(false);
  await next.expect(packets.subscribe(third, ['a', 0]));
  await next.expect(packets.publish({ ...fields('a', 1, second), dup: true }));
  next.send(packets.suback(third, 0), packets.puback(second));
  await call;
});

test('SUBSCRIBE and UNSUBSCRIBE that were not answered are sent again as they were', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const subscribed = client.subscribe('a', () => {}, { qos: 1 });
  const unsubscribed = client.unsubscribe('b');
  await connection.readPacket();
  await connection.readPacket();
  connection.cut();
  const next = await server.acceptClient(true);
  await next.expect(packets.subscribe(1, ['a', 1]));
  await next.expect(packets.unsubscribe(2, 'b'));
  next.send(packets.suback(1, 1), packets.unsuback(2));
  await Promise.all([subscribed, unsubscribed]);
});

test('subscriptions whose making again was cut short are made again after that', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const subscribed = client.subscribe('a', () => {});
  await connection.readPacket();
  connection.send(packets.suback(1, 0));
  await subscribed;
  connection.cut();
  const second = await server.acceptClient(false);
  await second.expect(packets.subscribe(2, ['a', 0]));
  second.cut();
  // Now the server has a session, but nobody knows whether it has the subscription.
  const third = await server.acceptClient(true);
  await third.expect(packets.subscribe(3, ['a', 0]));
  third.send(packets.suback(3, 0));
  await client.publish('end', '');
  await third.expect(packets.publish({ topic: 'end' }));
});

test('a subscription the server does not make again is an error event', async (t) => {
  const { server, client, connection } = await connected(t);
  const seen: string[] = [];
  const subscribed = client.subscribe(['a', 'b'], ({ topic }) => seen.push(topic));
  await connection.readPacket();
  connection.send(packets.suback(1, 0, 0));
  await subscribed;
  connection.cut();
  const next = await server.acceptClient();
  await next.readPacket();
  const reported = event(client, 'error');
  next.send(packets.suback(2, 0x80, 0));
  const error = await reported;
  assert(error instanceof SubscribeRefusedError);
  assert.deepEqual(error.filters, ['a']);
  next.send(packets.publish({ topic: 'a' }), packets.publish({ topic: 'b' }));
  await eventually(() => seen.length > 0, 'a message');
  assert.deepEqual(seen, ['b']);
});

test('a hundred filters go in one SUBSCRIBE made again, more in several', async (t) => {
  const { server, client, connection } = await connected(t);
  const filters = Array.from({ length: 250 }, (_, i) => `f/${i}`);
  const subscribed = client.subscribe(filters, () => {});
  await connection.readPacket();
  connection.send(packets.suback(1, ...filters.map(() => 0)));
  await subscribed;
  connection.cut();
  const next = await server.acceptClient();
  for (const [packetId, from, to] of [
    [2, 0, 100],
    [3, 100, 200],
    [4, 200, 250],
  ]) {
    const group = filters.slice(from, to).map((filter): [string, number] => [filter, 0]);
    await next.expect(packets.subscribe(packetId, ...group));
  }
});

test('events tell of the loss, of the attempts, and of the connection', async (t) => {
  const { server, client, connection } = await connected(t);
  const lost = event(client, 'disconnect');
  const waiting = event(client, 'reconnecting');
  connection.end();
  const { error, willReconnect } = await lost;
  assert(error instanceof ConnectionLostError);
  assert.match(error.message, new RegExp(`connection to ${server.uri} lost: closed by the server`));
  assert.equal(willReconnect, true);
  const { attempt, delayMs, error: cause } = await waiting;
  assert.equal(attempt, 1);
  assert(delayMs >= 1 && delayMs <= 2);
  assert.equal(cause, error);
  assert.equal(client.state, 'reconnecting');
  const back = event(client, 'connect');
  await server.acceptClient();
  assert.deepEqual(await back, { sessionPresent: false });
  assert.equal(client.state, 'connected');
});

test('a refusal while reconnecting is not the end: the next attempt may be accepted', async (t) => {
  const { server, client, connection } = await connected(t);
  const errors: unknown[] = [];
  client.on('reconnecting', ({ error }) => errors.push(error));
  connection.cut();
  for (let i = 0; i < 3; i++) {
    const refused = await server.accept();
    await refused.readPacket();
    refused.send(packets.connack(false, 3));
  }
  await server.acceptClient();
  assert.equal(errors.length, 4);
  assert(errors.slice(1).every((error) => error instanceof ConnectRefusedError));
});

test('after the last attempt allowed every call rejects, and the client says so', async (t) => {
  const { server, client, connection } = await connected(t, {
    ...KEPT,
    reconnect: { minDelay: '1ms', maxDelay: '1ms', attempts: 2 },
  });
  const inflight = outcome(client.publish('t', 'a', { qos: 1 }));
  await connection.readPacket();
  const reported = event(client, 'error');
  await server.stop();
  const queued = outcome(client.publish('t', 'b', { qos: 1 }));
  const error = await reported;
  assert(error instanceof Error);
  assert.equal(client.state, 'closed');
  assert.equal(inflight.state, error);
  assert.equal(queued.state, error);
  await assert.rejects(client.publish('t', 'c'), error);
});

test('without reconnect a lost connection rejects what is in flight', async (t) => {
  const { client, connection } = await connected(t, { reconnect: false });
  const call = client.publish('t', 'a', { qos: 1 });
  await connection.readPacket();
  connection.cut();
  await assert.rejects(call, ConnectionLostError);
  assert.equal(client.state, 'closed');
});

test('disconnect() while waiting for an attempt ends it', async (t) => {
  const { client, connection } = await connected(t, {
    reconnect: { minDelay: 60, maxDelay: 60 },
  });
  const waiting = event(client, 'reconnecting');
  connection.cut();
  await waiting;
  const queued = outcome(client.publish('t', 'a'));
  await client.disconnect();
  assert.equal(client.state, 'closed');
  assert(queued.state instanceof Error);
});

test('a kept session goes on with the next connect() after disconnect()', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const call = outcome(client.publish('t', 'a', { qos: 2 }));
  await connection.readPacket();
  await client.disconnect({ drain: false });
  assert.notEqual(call.state, 'pending');
  const [next] = await Promise.all([server.acceptClient(true), client.connect()]);
  await next.expect(packets.publish({ ...fields('a', 2, 1), dup: true }));
  next.send(packets.pubrec(1));
  await next.expect(packets.pubrel(1));
});

test('a session of an earlier process: packet ids do not begin at 1', async (t) => {
  // Ids that the server still holds for the earlier process must not be taken for duplicates.
  const ids = new Set<number>();
  for (let i = 0; i < 3; i++) {
    const { client, connection } = await connected(t, KEPT, true);
    client.publish('t', '', { qos: 2 }).catch(() => {});
    ids.add((await connection.readPacket()).readUInt16BE(5));
  }
  assert(ids.size > 1, 'three times the same id');
});

test('messages cut off in the middle are sent again whole', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  connection.socket.pause();
  const payload = 'x'.repeat(200_000);
  const calls = Array.from({ length: 40 }, () => client.publish('t', payload, { qos: 1 }));
  connection.cut();
  const next = await server.acceptClient(true);
  for (let id = 1; id <= 40; id++) {
    const publish = packets.parsePublish(await next.readPacket());
    assert.equal(publish.packetId, id);
    assert.equal(publish.payload, payload);
    next.send(packets.puback(id));
  }
  await Promise.all(calls);
});
