/**
 * QoS 1 and 2 messages from the server: acks, their order, exactly once; against a scripted server.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CLIENT_HANDLERS_PENDING_MAX } from '../../../src/base/limits.js';
import {
  type ClientOptions,
  type MessageHandler,
  ProtocolError,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import { connected, event } from './harness.js';

const message = (payload: string, qos: number, packetId: number, dup = false): Buffer =>
  packets.publish({ topic: 't', payload, qos, packetId, dup });

/** A client whose handler is in place, and what the handler got. */
async function receiver(t: TestContext, handler?: MessageHandler, options: ClientOptions = {}) {
  const harness = await connected(t, options);
  const seen: string[] = [];
  const subscribed = harness.client.subscribe(
    't',
    (received) => {
      seen.push(`${received.payload}`);
      return handler?.(received);
    },
    { qos: 2 },
  );
  await harness.connection.readPacket('SUBSCRIBE');
  harness.connection.send(packets.suback(1, 2));
  await subscribed;
  return { ...harness, seen };
}

/** Promises that the test settles, in the order the handler made them. */
function gates() {
  const open: (() => void)[] = [];
  const fail: ((error: Error) => void)[] = [];
  const handler = (): Promise<void> =>
    new Promise((resolve, reject) => {
      open.push(resolve);
      fail.push(reject);
    });
  return { open, fail, handler };
}

test('a QoS 1 message is acknowledged after its handler has returned', async (t) => {
  // [MQTT-4.3.2-2]
  let reads = -1;
  const { connection, seen } = await receiver(t, () => {
    reads = connection.unread;
  });
  connection.send(message('x', 1, 65_535));
  await connection.expect(packets.puback(65_535));
  assert.deepEqual(seen, ['x']);
  assert.equal(reads, 0);
});

test('a QoS 2 message is handled once: PUBREC, PUBREL, PUBCOMP', async (t) => {
  // [MQTT-4.3.3-2]
  const { connection, seen } = await receiver(t);
  connection.send(message('x', 2, 7));
  await connection.expect(packets.pubrec(7));
  // The server has not had our PUBREC, and says it again.
  connection.send(message('x', 2, 7, true));
  await connection.expect(packets.pubrec(7));
  connection.send(packets.pubrel(7));
  await connection.expect(packets.pubcomp(7));
  assert.deepEqual(seen, ['x']);
  // The id is free again: the same message is a new one.
  connection.send(message('y', 2, 7));
  await connection.expect(packets.pubrec(7));
  assert.deepEqual(seen, ['x', 'y']);
});

test('PUBREL for an id nobody knows is answered', async (t) => {
  const { connection } = await receiver(t);
  connection.send(packets.pubrel(99));
  await connection.expect(packets.pubcomp(99));
});

test('messages that nobody handles are acknowledged', async (t) => {
  const { connection } = await connected(t);
  connection.send(message('x', 1, 1), message('x', 2, 2));
  await connection.expect(packets.puback(1));
  await connection.expect(packets.pubrec(2));
});

test('the ack waits for the promise of a handler', async (t) => {
  const { open, handler } = gates();
  const { connection } = await receiver(t, handler);
  connection.send(message('x', 1, 1));
  await eventually(() => open.length === 1, 'the handler');
  await nextTurn();
  assert.equal(connection.unread, 0);
  open[0]();
  await connection.expect(packets.puback(1));
});

test('acks leave in the order of the messages, whichever handler is done first', async (t) => {
  // [MQTT-4.6.0-2] [MQTT-4.6.0-3]
  const { open, handler } = gates();
  const { connection } = await receiver(t, ({ qos, payload }) =>
    payload.toString() === 'sync' ? null : qos > 0 && handler(),
  );
  connection.send(
    message('slow', 1, 1),
    message('slow', 2, 2),
    message('sync', 1, 3),
    message('slow', 2, 4),
    message('sync', 2, 5),
  );
  await eventually(() => open.length === 3, 'three slow handlers');
  open[2]();
  open[1]();
  await nextTurn();
  assert.equal(connection.unread, 0);
  open[0]();
  await connection.expect(packets.puback(1));
  await connection.expect(packets.pubrec(2));
  await connection.expect(packets.puback(3));
  await connection.expect(packets.pubrec(4));
  await connection.expect(packets.pubrec(5));
});

test('the ack of a message for several handlers waits for all of them', async (t) => {
  const { open, handler } = gates();
  const { client, connection } = await receiver(t, handler);
  const subscribed = client.subscribe('#', handler);
  await connection.readPacket();
  connection.send(packets.suback(2, 0));
  await subscribed;
  connection.send(message('x', 1, 1));
  await eventually(() => open.length === 2, 'both handlers');
  open[0]();
  await nextTurn();
  assert.equal(connection.unread, 0);
  open[1]();
  await connection.expect(packets.puback(1));
});

test('an ack that was held is not sent on the next connection', async (t) => {
  const { open, handler } = gates();
  const kept = { cleanSession: false };
  const { server, client, connection, seen } = await receiver(t, handler, kept);
  connection.send(message('one', 1, 1), message('two', 2, 2));
  await eventually(() => open.length === 2, 'the handlers');
  connection.cut();
  const back = event(client, 'connect');
  const next = await server.acceptClient(true);
  await back;
  open[0]();
  open[1]();
  // The server sends both again. QoS 1 is handled again, QoS 2 is not.
  next.send(message('one', 1, 1, true), message('two', 2, 2, true));
  await eventually(() => open.length === 3, 'the handler of the QoS 1 message');
  assert.equal(next.unread, 0);
  open[2]();
  await next.expect(packets.puback(1));
  await next.expect(packets.pubrec(2));
  next.send(packets.pubrel(2));
  await next.expect(packets.pubcomp(2));
  assert.deepEqual(seen, ['one', 'two', 'one']);
});

test('a QoS 2 message is handled once across a reconnect with the session', async (t) => {
  const { server, connection, seen } = await receiver(t, () => null, { cleanSession: false });
  connection.send(message('x', 2, 7));
  await connection.expect(packets.pubrec(7));
  connection.cut();
  const next = await server.acceptClient(true);
  next.send(message('x', 2, 7, true));
  await next.expect(packets.pubrec(7));
  next.send(packets.pubrel(7));
  await next.expect(packets.pubcomp(7));
  assert.deepEqual(seen, ['x']);
});

test('a server that has lost the session uses the packet ids anew', async (t) => {
  const { server, connection, seen } = await receiver(t, () => null, { cleanSession: false });
  connection.send(message('x', 2, 7));
  await connection.expect(packets.pubrec(7));
  connection.cut();
  const next = await server.acceptClient(false);
  await next.expect(packets.subscribe(2, ['t', 2]));
  next.send(packets.suback(2, 2), message('y', 2, 7));
  await next.expect(packets.pubrec(7));
  assert.deepEqual(seen, ['x', 'y']);
});

test('reading stops while too many handlers have not finished, and goes on later', async (t) => {
  const { open, handler } = gates();
  const { connection, seen } = await receiver(t, handler);
  const count = CLIENT_HANDLERS_PENDING_MAX + 500;
  const frames = Array.from({ length: count }, (_, i) =>
    packets.publish({ topic: 't', payload: `${i}` }),
  );
  connection.send(...frames);
  await eventually(() => seen.length >= CLIENT_HANDLERS_PENDING_MAX, 'the handlers');
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  assert.equal(seen.length, CLIENT_HANDLERS_PENDING_MAX);
  for (const settle of open.splice(0)) settle();
  await eventually(() => seen.length === count, 'the rest');
  assert.deepEqual(
    seen,
    Array.from({ length: count }, (_, i) => `${i}`),
  );
  for (const settle of open) settle();
});

test('handlers that wait for acks get them, though reading has stopped', async (t) => {
  const { client, connection, seen } = await receiver(t, async () => {
    await client.publish('answer', '', { qos: 1 });
  });
  const count = CLIENT_HANDLERS_PENDING_MAX * 2;
  connection.send(
    ...Array.from({ length: count }, (_, i) => packets.publish({ topic: 't', payload: `${i}` })),
  );
  for (let i = 0; i < count; i++) {
    const publish = await connection.readPacket('an answer');
    connection.send(packets.puback(publish.readUInt16BE(publish.length - 2)));
  }
  assert.equal(seen.length, count);
});

test('a handler may disconnect: no later message is handled', async (t) => {
  const { client, connection, seen } = await receiver(t, () => {
    void client.disconnect({ drain: false });
  });
  // The socket is read on, or its end would be noticed after the linger time only: which is never.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  connection.send(message('last', 1, 1), message('too late', 1, 2));
  await connection.expect(packets.DISCONNECT);
  await client.disconnect();
  assert.deepEqual(seen, ['last']);
});

test('a server that sends more than it has packet ids for is cut off', async (t) => {
  const { client, connection } = await receiver(t, gates().handler, { reconnect: false });
  const subscribed = client.subscribe('u', () => {});
  await connection.readPacket();
  connection.send(packets.suback(2, 0));
  await subscribed;
  const error = event(client, 'error');
  // One handler never finishes; the acks of all others stand behind its ack.
  connection.send(message('x', 1, 1));
  const frame = packets.publish({ topic: 'u', qos: 1, packetId: 2 });
  connection.send(Buffer.alloc(frame.length * 66_000, frame));
  assert((await error) instanceof ProtocolError);
});

test('a server that sends and does not read is cut off before acks fill the memory', async (t) => {
  const { client, connection } = await connected(t, { reconnect: false, maxQueuedBytes: 0 });
  connection.socket.pause();
  const lost = event(client, 'disconnect');
  const frame = packets.publish({ topic: 'u', qos: 1, packetId: 2 });
  const frames = Buffer.alloc(frame.length * 50_000, frame);
  // The kernel's buffers hold some MiB of acks; each message brings 4 bytes.
  for (let i = 0; i < 200 && client.isConnected; i++) {
    if (!connection.socket.write(frames)) await Promise.race([nextTurn(), lost]);
  }
  const { error } = await lost;
  assert.match(String(error), /the server does not read/);
});
