/** `for await` over a filter: queue, backpressure, acks and ends; against a scripted server. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CLIENT_OVERFLOW_FACTOR } from '../../../src/base/limits.js';
import {
  ArgumentError,
  type ClientOptions,
  type MessagesOptions,
  SubscribeRefusedError,
  TimeoutError,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { eventually, within } from '../../support/waiting.js';
import { connected, outcome } from './harness.js';

/** A stream that the server has granted. */
async function streaming(t: TestContext, options: MessagesOptions, clientOptions?: ClientOptions) {
  const harness = await connected(t, clientOptions);
  const stream = harness.client.messages('t/#', options);
  await harness.connection.expect(packets.subscribe(1, ['t/#', options.qos ?? 0]));
  harness.connection.send(packets.suback(1, options.qos ?? 0));
  await stream.ready;
  return { ...harness, stream };
}

const numbered = (count: number, from = 0): Buffer[] =>
  Array.from({ length: count }, (_, i) =>
    packets.publish({ topic: 't/x', payload: `${from + i}` }),
  );

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}

test('the loop gets the messages in order and unsubscribes when it is left by break', async (t) => {
  const { connection, stream } = await streaming(t, {});
  connection.send(...numbered(10));
  const seen: string[] = [];
  for await (const { topic, payload } of stream) {
    seen.push(`${topic} ${payload}`);
    if (seen.length === 5) break;
  }
  assert.deepEqual(seen, ['t/x 0', 't/x 1', 't/x 2', 't/x 3', 't/x 4']);
  await connection.expect(packets.unsubscribe(2, 't/#'));
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test('a loop left by return or by an exception unsubscribes too', async (t) => {
  const { connection, stream } = await streaming(t, {});
  connection.send(...numbered(1));
  await assert.rejects(async () => {
    for await (const message of stream) throw new Error(`left at ${message.payload}`);
  }, /left at 0/);
  await connection.expect(packets.unsubscribe(2, 't/#'));
});

test('a loop that is quicker than the messages waits for them', async (t) => {
  const { connection, stream } = await streaming(t, {});
  const first = stream.next();
  const second = stream.next();
  connection.send(...numbered(2));
  assert.equal(`${(await first).value?.payload}`, '0');
  assert.equal(`${(await second).value?.payload}`, '1');
});

test('a full queue stops the reading, and it goes on when there is room', async (t) => {
  const { connection, stream } = await streaming(t, { highWaterMark: 10 });
  connection.send(...numbered(1_000));
  await eventually(() => stream.queuedMessages >= 10, 'a full queue');
  await turns(20);
  assert.equal(stream.queuedMessages, 10);
  for (let i = 0; i < 1_000; i++) {
    const { value } = await stream.next();
    assert.equal(`${value?.payload}`, `${i}`);
    assert(stream.queuedMessages <= 10, `${stream.queuedMessages} in the queue`);
  }
  assert.equal(stream.droppedMessages, 0);
});

test('the server sees the backpressure: it cannot write on', async (t) => {
  const { connection, stream } = await streaming(t, { highWaterMark: 10 });
  const frames = Buffer.concat(
    Array.from({ length: 100 }, () =>
      packets.publish({ topic: 't/x', payload: 'x'.repeat(10_000) }),
    ),
  );
  let sent = 0;
  while (connection.socket.writableLength < 4 * frames.length) {
    connection.socket.write(frames);
    sent += 100;
    await turns(2);
    assert(sent < 10_000, 'a hundred MB were taken');
  }
  assert.equal(stream.queuedMessages, 10);
  for (let i = 0; i < sent; i++) await within(stream.next(), `message ${i}`);
});

test('a full stream does not keep an ack from a call of the loop', async (t) => {
  const { client, connection, stream } = await streaming(t, { highWaterMark: 2 });
  connection.send(...numbered(100));
  await eventually(() => stream.queuedMessages === 2, 'a full queue');
  const published = client.publish('answer', '', { qos: 1 });
  await connection.expect(packets.publish({ topic: 'answer', qos: 1, packetId: 2 }));
  connection.send(packets.puback(2));
  await within(published, 'PUBACK behind a hundred messages');
  // The queue grew for it, to its outer bound; what did not fit is counted.
  assert.equal(stream.queuedMessages, 2 * CLIENT_OVERFLOW_FACTOR);
  assert.equal(stream.droppedMessages, 100 - 2 * CLIENT_OVERFLOW_FACTOR);
  await stream.return();
  assert.equal(client.droppedMessages, 100 - 2 * CLIENT_OVERFLOW_FACTOR);
});

test('a full stream keeps PINGRESP from nobody, and keep alive is patient', async (t) => {
  const options = { keepAlive: 1, ackTimeout: '200ms' };
  const limits = { highWaterMark: 2, timeoutMs: 10_000 };
  const { client, connection, stream } = await streaming(t, limits, options);
  connection.send(...numbered(50));
  await eventually(() => stream.queuedMessages === 2, 'a full queue');
  // Keep alive pings, gets no answer that it could read, and must not take the server for dead.
  await connection.expect(packets.PINGREQ);
  await new Promise((resolve) => setTimeout(resolve, 450));
  assert(client.isConnected);
  connection.send(packets.PINGRESP);
  const pinged = client.ping({ timeoutMs: 10_000 });
  await connection.expect(packets.PINGREQ);
  connection.send(packets.PINGRESP);
  await pinged;
});

test('a QoS 1 message is acknowledged when the loop asks for the next', async (t) => {
  const { connection, stream } = await streaming(t, { qos: 1 });
  for (const packetId of [1, 2]) {
    connection.send(packets.publish({ topic: 't/x', qos: 1, packetId }));
  }
  await stream.next();
  await turns(5);
  assert.equal(connection.unread, 0);
  const second = stream.next();
  await connection.expect(packets.puback(1));
  await second;
  await turns(5);
  assert.equal(connection.unread, 0);
  await stream.return();
  await connection.expect(packets.puback(2));
  await connection.expect(packets.unsubscribe(2, 't/#'));
});

test('messages left in the queue of a loop that ends are acknowledged', async (t) => {
  const { connection, stream } = await streaming(t, { qos: 2 });
  connection.send(
    ...[1, 2, 3].map((packetId) => packets.publish({ topic: 't/x', qos: 2, packetId })),
  );
  await eventually(() => stream.queuedMessages === 3, 'three messages');
  await stream.return();
  await connection.expect(Buffer.concat([1, 2, 3].map(packets.pubrec)));
});

test('a refused filter rejects the loop and `ready`, naming the filter', async (t) => {
  const { client, connection } = await connected(t);
  const stream = client.messages('secret');
  const ready = outcome(stream.ready);
  await connection.readPacket();
  connection.send(packets.suback(1, 0x80));
  await assert.rejects(
    async () => {
      for await (const message of stream) assert.fail(`got ${message.topic}`);
    },
    (error) => error instanceof SubscribeRefusedError && error.filters[0] === 'secret',
  );
  assert(ready.state instanceof SubscribeRefusedError);
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test('a SUBACK that does not come in time rejects the loop', async (t) => {
  const { client } = await connected(t);
  await assert.rejects(client.messages('t', { timeoutMs: 5 }).next(), TimeoutError);
});

test('a signal ends the loop with its reason behind what is queued', async (t) => {
  const controller = new AbortController();
  const { connection, stream } = await streaming(t, { signal: controller.signal });
  connection.send(...numbered(1));
  await eventually(() => stream.queuedMessages === 1, 'a message');
  const reason = new Error('enough');
  controller.abort(reason);
  assert.equal((await stream.next()).done, false);
  await assert.rejects(stream.next(), reason);
  await connection.expect(packets.unsubscribe(2, 't/#'));
});

test('disconnect() ends the loop in order', async (t) => {
  const { client, stream } = await streaming(t, {});
  const waiting = stream.next();
  await client.disconnect({ drain: false });
  assert.deepEqual(await waiting, { done: true, value: undefined });
});

test('a connection that does not come back ends the loop with the error', async (t) => {
  const { connection, stream } = await streaming(t, {}, { reconnect: false });
  const waiting = stream.next();
  connection.cut();
  await assert.rejects(waiting, /connection to .* lost/);
});

test('a loop goes on across a reconnect', async (t) => {
  const { server, connection, stream } = await streaming(t, { qos: 1 });
  connection.cut();
  const next = await server.acceptClient();
  await next.expect(packets.subscribe(2, ['t/#', 1]));
  next.send(packets.suback(2, 1), ...numbered(1));
  assert.equal(`${(await stream.next()).value?.payload}`, '0');
});

test('streams and handler share a filter; UNSUBSCRIBE waits for the last', async (t) => {
  const { client, connection, stream } = await streaming(t, {});
  const other = client.messages('t/#', { qos: 2 });
  const seen: string[] = [];
  const handled = client.subscribe('t/#', ({ payload }) => seen.push(`${payload}`), { qos: 1 });
  // The server keeps one subscription a filter: it is asked for the highest QoS that anybody wants.
  await connection.expect(packets.subscribe(2, ['t/#', 2]));
  await connection.expect(packets.subscribe(3, ['t/#', 2]));
  connection.send(packets.suback(2, 2), packets.suback(3, 2), ...numbered(1));
  await Promise.all([other.ready, handled]);
  assert.equal(`${(await stream.next()).value?.payload}`, '0');
  assert.equal(`${(await other.next()).value?.payload}`, '0');
  assert.deepEqual(seen, ['0']);
  await stream.return();
  await client.unsubscribe('t/#');
  assert.equal(connection.unread, 0);
  await other.return();
  await connection.expect(packets.unsubscribe(4, 't/#'));
});

test('a high-water mark must be a number of messages', async (t) => {
  const { client } = await connected(t);
  for (const highWaterMark of [0, 1.5, Number.NaN, 1e9]) {
    assert.throws(() => client.messages('t', { highWaterMark }), ArgumentError);
  }
});
