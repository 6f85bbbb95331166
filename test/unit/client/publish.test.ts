/** Publishing: promises, acks, batches, bounds; against a scripted server. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CLIENT_TURN_BYTES } from '../../../src/base/limits.js';
import {
  ArgumentError,
  CapacityError,
  ConnectionLostError,
  ProtocolError,
  TimeoutError,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import { connected, event, outcome, start } from './harness.js';

const qos1 = { qos: 1 } as const;
const qos2 = { qos: 2 } as const;

test('PUBLISH carries topic, payload, QoS and RETAIN', async (t) => {
  const { client, connection } = await connected(t);
  await client.publish('größe', 'ä', { retain: true });
  await connection.expect(packets.publish({ topic: 'größe', payload: 'ä', retain: true }));
  await client.publish('b', Buffer.from([0, 255]));
  await connection.expect(packets.publish({ topic: 'b', payload: Buffer.from([0, 255]) }));
  await client.publish('b', '');
  await connection.expect(packets.publish({ topic: 'b' }));
});

test('a payload may be changed as soon as publish() has returned', async (t) => {
  const { client, connection } = await connected(t);
  const payload = Buffer.from('before');
  void client.publish('a', payload);
  const acked = client.publish('a', payload, qos1);
  payload.write('AFTER!');
  await connection.expect(packets.publish({ topic: 'a', payload: 'before' }));
  await connection.expect(packets.publish({ topic: 'a', payload: 'before', qos: 1, packetId: 1 }));
  connection.send(packets.puback(1));
  await acked;
});

test('what is published in one turn leaves in one write', async (t) => {
  const { client, connection } = await connected(t);
  await nextTurn();
  connection.reads.length = 0;
  const frame = packets.publish({ topic: 't', payload: 'x'.repeat(50) });
  for (let i = 0; i < 50; i++) await client.publish('t', 'x'.repeat(50));
  await eventually(() => connection.unread >= 50, '50 messages');
  assert.deepEqual(connection.reads, [50 * frame.length]);
});

test('a QoS 1 promise settles on its PUBACK, whatever the order of the acks', async (t) => {
  const { client, connection } = await connected(t);
  const calls = [1, 2, 3].map((n) => outcome(client.publish('t', String(n), qos1)));
  for (const n of [1, 2, 3]) {
    const fields = { topic: 't', payload: String(n), qos: 1, packetId: n };
    await connection.expect(packets.publish(fields));
  }
  assert.equal(client.inflight, 3);
  connection.send(packets.puback(3), packets.puback(1));
  await eventually(() => calls[0].state === 'resolved', 'the first PUBACK');
  assert.deepEqual(
    calls.map(({ state }) => state),
    ['resolved', 'pending', 'resolved'],
  );
  connection.send(packets.puback(2));
  await eventually(() => calls[1].state === 'resolved', 'the last PUBACK');
  assert.equal(client.inflight, 0);
});

test('a QoS 2 message goes PUBLISH, PUBREC, PUBREL, PUBCOMP, then settles', async (t) => {
  // [MQTT-4.3.3-1]
  const { client, connection } = await connected(t);
  const call = outcome(client.publish('t', 'x', qos2));
  await connection.expect(packets.publish({ topic: 't', payload: 'x', qos: 2, packetId: 1 }));
  connection.send(packets.pubrec(1));
  await connection.expect(packets.pubrel(1));
  // A server that repeats PUBREC gets PUBREL again.
  connection.send(packets.pubrec(1));
  await connection.expect(packets.pubrel(1));
  assert.equal(call.state, 'pending');
  connection.send(packets.pubcomp(1));
  await eventually(() => call.state === 'resolved', 'PUBCOMP');
});

test('PUBREL packets go in the order of the PUBREC packets', async (t) => {
  // [MQTT-4.6.0-4]
  const { client, connection } = await connected(t);
  for (let i = 0; i < 3; i++) client.publish('t', 'x', qos2).catch(() => {});
  for (let i = 0; i < 3; i++) await connection.readPacket();
  connection.send(packets.pubrec(2), packets.pubrec(3), packets.pubrec(1));
  await connection.expect(Buffer.concat([2, 3, 1].map(packets.pubrel)));
});

test('acks that nothing waits for do no harm, and a stray PUBREC is released', async (t) => {
  const { client, connection } = await connected(t);
  connection.send(packets.puback(9), packets.pubcomp(9), packets.pubrec(9));
  await connection.expect(packets.pubrel(9));
  assert(client.isConnected);
});

for (const [name, qos, ack] of [
  ['PUBACK for QoS 2', 2, packets.puback(1)],
  ['PUBREC for QoS 1', 1, packets.pubrec(1)],
  ['PUBCOMP for QoS 1', 1, packets.pubcomp(1)],
  ['PUBCOMP before PUBREC', 2, packets.pubcomp(1)],
  ['SUBACK for a PUBLISH', 1, packets.suback(1, 0)],
] as const) {
  test(`${name} closes the connection`, async (t) => {
    const { client, connection } = await connected(t, { reconnect: false });
    const call = outcome(client.publish('t', 'x', { qos }));
    await connection.readPacket();
    const error = event(client, 'error');
    connection.send(ack);
    assert((await error) instanceof ProtocolError);
    assert.equal(call.state, await error);
  });
}

test('what cannot be published rejects, and nothing is sent', async (t) => {
  const { client, connection } = await connected(t);
  await assert.rejects(client.publish('a/+', 'x'), ArgumentError);
  await assert.rejects(client.publish('', 'x'), ArgumentError);
  await assert.rejects(client.publish('a', 3 as unknown as string), ArgumentError);
  await assert.rejects(client.publish('a', 'x', { qos: 3 as unknown as 2 }), ArgumentError);
  const reason = new Error('no');
  await assert.rejects(client.publish('a', 'x', { signal: AbortSignal.abort(reason) }), reason);
  await client.publish('a', 'last');
  await connection.expect(packets.publish({ topic: 'a', payload: 'last' }));
});

test('the window holds messages back until others are acknowledged, in order', async (t) => {
  const { client, connection } = await connected(t, { maxInflight: 2 });
  const calls = [1, 2, 3].map((n) => client.publish('t', String(n), qos1));
  // QoS 0 does not overtake: the order of the calls is kept.
  const fourth = client.publish('t', '4');
  const fields = (n: number) => ({ topic: 't', payload: String(n), qos: 1, packetId: n });
  await connection.expect(packets.publish(fields(1)));
  await connection.expect(packets.publish(fields(2)));
  assert.equal(client.queuedMessages, 2);
  await nextTurn();
  assert.equal(connection.unread, 0);
  connection.send(packets.puback(1));
  await connection.expect(packets.publish(fields(3)));
  await connection.expect(packets.publish({ topic: 't', payload: '4' }));
  connection.send(packets.puback(2), packets.puback(3));
  await Promise.all([...calls, fourth]);
});

test('QoS 2 messages have a window of their own', async (t) => {
  const { client, connection } = await connected(t, { maxInflightQos2: 1 });
  const calls = [client.publish('t', '1', qos2), client.publish('t', '2', qos2)];
  await connection.expect(packets.publish({ topic: 't', payload: '1', qos: 2, packetId: 1 }));
  connection.send(packets.pubrec(1));
  await connection.expect(packets.pubrel(1));
  assert.equal(client.queuedMessages, 1);
  connection.send(packets.pubcomp(1));
  await connection.expect(packets.publish({ topic: 't', payload: '2', qos: 2, packetId: 2 }));
  connection.send(packets.pubrec(2));
  await connection.expect(packets.pubrel(2));
  connection.send(packets.pubcomp(2));
  await Promise.all(calls);
});

test('messages published while offline are sent in order later', async (t) => {
  const { server, client } = await start(t);
  const calls = [
    client.publish('t', '1'),
    client.publish('t', '2', qos1),
    client.publish('t', '3'),
  ];
  assert.equal(client.queuedMessages, 3);
  const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
  await connection.expect(packets.publish({ topic: 't', payload: '1' }));
  await connection.expect(packets.publish({ topic: 't', payload: '2', qos: 1, packetId: 1 }));
  await connection.expect(packets.publish({ topic: 't', payload: '3' }));
  connection.send(packets.puback(1));
  await Promise.all(calls);
});

test('a first attempt that fails rejects what was queued, the next goes on', async (t) => {
  const { server, client } = await start(t);
  const queued = outcome(client.publish('t', '1', qos1));
  const connecting = client.connect();
  (await server.accept()).cut();
  await assert.rejects(connecting);
  assert(queued.state instanceof Error);
  const again = client.publish('t', '2');
  const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
  await again;
  await connection.expect(packets.publish({ topic: 't', payload: '2' }));
});

test('the offline queue is bounded in messages and in bytes', async (t) => {
  const { client } = await start(t, { maxQueuedMessages: 2, maxQueuedBytes: 100 });
  const kept = [client.publish('t', 'a'), client.publish('t', 'b', qos1)];
  await assert.rejects(
    client.publish('t', 'c'),
    (error) =>
      error instanceof CapacityError && /2 messages wait.*raise maxQueued/.test(error.message),
  );
  const { client: other } = await start(t, { maxQueuedBytes: 100 });
  const large = other.publish('t', 'x'.repeat(80));
  await assert.rejects(other.publish('t', 'x'.repeat(20)), CapacityError);
  void Promise.allSettled([...kept, large]);
});

test('messages in flight count for the bound in bytes', async (t) => {
  const { client, connection } = await connected(t, { maxQueuedBytes: 100 });
  const first = client.publish('t', 'x'.repeat(80), qos1);
  await assert.rejects(client.publish('t', 'x'.repeat(20), qos1), CapacityError);
  connection.send(packets.puback(1));
  await first;
  const second = client.publish('t', 'x'.repeat(20), qos1);
  connection.send(packets.puback(2));
  await second;
});

test('with queueQos0 false a QoS 0 message without connection rejects', async (t) => {
  const { client } = await start(t, { queueQos0: false });
  await assert.rejects(client.publish('t', 'x'), ConnectionLostError);
  void Promise.allSettled([client.publish('t', 'x', qos1)]);
  assert.equal(client.queuedMessages, 1);
});

test('a queued message that is given up is never sent', async (t) => {
  const { server, client } = await start(t);
  const reason = new Error('too late');
  const controller = new AbortController();
  const first = client.publish('t', '1', { ...qos1, signal: controller.signal });
  const second = client.publish('t', '2', { timeoutMs: 1 });
  const third = client.publish('t', '3');
  controller.abort(reason);
  await assert.rejects(first, reason);
  await assert.rejects(second, TimeoutError);
  assert.equal(client.queuedMessages, 1);
  const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
  await third;
  await connection.expect(packets.publish({ topic: 't', payload: '3' }));
});

test('a message in flight that is given up keeps its packet id until its ack', async (t) => {
  // [MQTT-2.3.1-2]: the id is in use, whether anybody waits or not.
  const { client, connection } = await connected(t);
  await assert.rejects(
    client.publish('t', '1', { ...qos1, timeoutMs: 1 }),
    (error) => error instanceof TimeoutError && /PUBLISH to 't' within 1 ms/.test(error.message),
  );
  assert.equal(client.inflight, 1);
  const second = client.publish('t', '2', qos1);
  await connection.expect(packets.publish({ topic: 't', payload: '1', qos: 1, packetId: 1 }));
  await connection.expect(packets.publish({ topic: 't', payload: '2', qos: 1, packetId: 2 }));
  connection.send(packets.puback(1), packets.puback(2));
  await second;
  assert.equal(client.inflight, 0);
});

test('QoS 0 promises wait while the server does not read, and go on when it does', async (t) => {
  const { client, connection } = await connected(t);
  connection.socket.pause();
  const payload = Buffer.alloc(64 * 1024);
  let sent = 0;
  let isWaiting = false;
  while (!isWaiting) {
    const call = outcome(client.publish('t', payload));
    sent++;
    // The kernel's buffers take some MiB; a promise that is pending after some turns is
    // backpressure.
    for (let turn = 0; turn < 20 && call.state === 'pending'; turn++) await nextTurn();
    isWaiting = call.state === 'pending';
    assert(sent < 2_000, 'no backpressure after 125 MiB');
  }
  const limited = client.publish('t', payload, { timeoutMs: 5 });
  await assert.rejects(limited, TimeoutError);
  const waiting = client.publish('t', payload);
  connection.socket.resume();
  await waiting;
  await eventually(() => connection.unread >= sent + 2, 'all messages');
});

test('a sync loop of QoS 0 publishes cannot fill the memory', async (t) => {
  const { client, connection } = await connected(t, { maxQueuedBytes: '1MiB' });
  connection.socket.pause();
  const payload = Buffer.alloc(64 * 1024);
  const calls = Array.from({ length: 300 }, () => client.publish('t', payload));
  const results = await Promise.race([
    Promise.allSettled(calls.slice(-10)),
    nextTurn([] as PromiseSettledResult<void>[]),
  ]);
  assert(results.length > 0);
  for (const result of results) {
    assert(result.status === 'rejected' && result.reason instanceof CapacityError);
  }
  void Promise.allSettled(calls);
});

test('a loop that awaits each publish lets the event loop turn', async (t) => {
  const { client, connection } = await connected(t);
  const payload = Buffer.alloc(1_000);
  const frameBytes = packets.publish({ topic: 't', payload }).length;
  const count = Math.ceil(CLIENT_TURN_BYTES / frameBytes);
  // The socket takes that much at once; the promise of the last waits all the same, for the turn.
  let hasTurned = false;
  setImmediate(() => {
    hasTurned = true;
  });
  for (let i = 1; i < count; i++) await client.publish('t', payload);
  assert(!hasTurned, 'messages of one turn go together');
  await client.publish('t', payload);
  assert(hasTurned);
  await eventually(() => connection.unread >= count, 'all messages');
});

test('a call that has settled listens to its signal no more', async (t) => {
  const { client, connection } = await connected(t);
  const { signal } = new AbortController();
  const call = client.publish('t', 'x', { qos: 1, signal, timeoutMs: 60_000 });
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  connection.send(packets.puback(1));
  await call;
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});
