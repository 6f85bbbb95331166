/** Messages that come before anybody takes them: of a kept session, mostly. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  CLIENT_OVERFLOW_FACTOR,
  CLIENT_UNCLAIMED_BYTES,
  CLIENT_UNCLAIMED_MESSAGES,
} from '../../../src/base/limits.js';
import type { Client, ClientOptions, Message } from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import { connected, event } from './harness.js';

const KEPT: ClientOptions = { cleanSession: false };
const message = (topic: string, payload: string, qos: number, packetId: number): Buffer =>
  qos === 0
    ? packets.publish({ topic, payload })
    : packets.publish({ topic, payload, qos, packetId });

/** A client whose session the server has kept. */
const resumed = (t: TestContext, options: ClientOptions = {}) =>
  connected(t, { ...KEPT, ...options }, true);

/** Waits until the client has handled everything that was sent before: it answers in order. */
async function settled(
  client: Client,
  connection: Awaited<ReturnType<typeof resumed>>['connection'],
) {
  const pinged = client.ping();
  await connection.expect('c000');
  connection.send(packets.hex('d000'));
  await pinged;
}

const texts = (into: string[]) => (received: Message) => void into.push(`${received.payload}`);

test('messages of a kept session are acknowledged when there is a handler', async (t) => {
  const { client, connection } = await resumed(t);
  connection.send(
    message('t', 'a', 1, 1),
    message('t', 'b', 2, 2),
    message('t', 'c', 0, 0),
    message('t', 'd', 1, 3),
  );
  await settled(client, connection);
  assert.equal(connection.unread, 0, 'nothing is acknowledged that nobody took');
  const seen: string[] = [];
  const subscribed = client.subscribe('t', texts(seen), { qos: 2 });
  await eventually(() => seen.length === 4, 'the messages');
  assert.deepEqual(seen, ['a', 'b', 'c', 'd']);
  assert.equal((await connection.readPacket())[0] >> 4, 8);
  await connection.expect(Buffer.concat([packets.puback(1), packets.pubrec(2), packets.puback(3)]));
  connection.send(packets.pubrel(2));
  await connection.expect(packets.pubcomp(2));
  void subscribed.catch(() => {});
});

test('... for the first loop', async (t) => {
  const { client, connection } = await resumed(t);
  connection.send(message('t', 'a', 1, 1), message('t', 'b', 1, 2));
  await settled(client, connection);
  const stream = client.messages('t', { qos: 1 });
  assert.equal(`${(await stream.next()).value?.payload}`, 'a');
  assert.equal(`${(await stream.next()).value?.payload}`, 'b');
  await connection.readPacket('SUBSCRIBE');
  await connection.expect(packets.puback(1));
});

test("... for the first listener of 'message'; one that listens once takes one", async (t) => {
  const { client, connection } = await resumed(t);
  connection.send(...[1, 2, 3].map((id) => message('t', `${id}`, 1, id)));
  await settled(client, connection);
  const [first] = await once(client, 'message');
  assert.equal(`${first.payload}`, '1');
  await connection.expect(packets.puback(1));
  await settled(client, connection);
  assert.equal(connection.unread, 0);
  const [second] = await once(client, 'message');
  assert.equal(`${second.payload}`, '2');
  const seen: string[] = [];
  client.on('message', texts(seen));
  await eventually(() => seen.length > 0, 'the last one');
  assert.deepEqual(seen, ['3']);
  await connection.expect(Buffer.concat([packets.puback(2), packets.puback(3)]));
});

test('one filter subscribed to after the other: each gets what waits for it', async (t) => {
  const { client, connection } = await resumed(t);
  connection.send(
    message('b', '1', 1, 1),
    message('a', '2', 1, 2),
    message('x', '3', 1, 3),
    message('b', '4', 1, 4),
  );
  await settled(client, connection);
  const seen: string[] = [];
  const note = ({ topic, payload }: Message) => void seen.push(`${topic} ${payload}`);
  const program = (async () => {
    await client.subscribe('a', note, { qos: 1 });
    await client.subscribe('b', note, { qos: 1 });
  })();
  for (let i = 0; i < 2; i++) {
    const subscribe = await connection.readPacket('SUBSCRIBE');
    connection.send(packets.suback(subscribe.readUInt16BE(2), 1));
  }
  await program;
  await eventually(() => seen.length === 3, 'three messages');
  assert.deepEqual(seen, ['a 2', 'b 1', 'b 4']);
  // Nobody will take the one in between: it does not hold up the acks for ever.
  await connection.expect(Buffer.concat([1, 2, 3, 4].map(packets.puback)));
});

test('what comes for a filter without handler waits for a listener', async (t) => {
  const { client, connection } = await connected(t);
  const subscribed = client.subscribe('t', undefined, { qos: 1 });
  await connection.readPacket('SUBSCRIBE');
  // A retained message may come right behind SUBACK, before the program goes on.
  connection.send(packets.suback(1, 1), message('t', 'kept', 1, 7));
  await subscribed;
  await settled(client, connection);
  const seen: string[] = [];
  client.on('message', texts(seen));
  await connection.expect(packets.puback(7));
  assert.deepEqual(seen, ['kept']);
});

test('what nobody has taken when the connection is lost comes once, not twice', async (t) => {
  // The server sends them again, [MQTT-4.4.0-1]; QoS 2 exactly once, [MQTT-4.3.3-2].
  const { server, client, connection } = await resumed(t);
  const all = [message('t', 'a', 1, 1), message('t', 'b', 2, 2), message('t', 'c', 0, 0)];
  connection.send(...all);
  await settled(client, connection);
  connection.cut();
  const back = event(client, 'connect');
  const next = await server.acceptClient(true);
  await back;
  next.send(
    packets.publish({ topic: 't', payload: 'a', qos: 1, packetId: 1, dup: true }),
    packets.publish({ topic: 't', payload: 'b', qos: 2, packetId: 2, dup: true }),
  );
  await settled(client, next);
  const seen: string[] = [];
  client.on('message', texts(seen));
  await next.expect(Buffer.concat([packets.puback(1), packets.pubrec(2)]));
  assert.deepEqual(seen.sort(), ['a', 'b', 'c']);
});

for (const [name, payload, count] of [
  ['number', 'x', CLIENT_UNCLAIMED_MESSAGES],
  ['bytes', 'x'.repeat(100_000), Math.ceil(CLIENT_UNCLAIMED_BYTES / 100_000)],
] as const) {
  test(`reading pauses at a bound in ${name}, and nothing is lost`, async (t) => {
    const { client, connection } = await resumed(t);
    for (let id = 1; id <= 3 * count; id++) connection.send(message('t', payload, 1, id));
    await settled(client, connection);
    const seen: string[] = [];
    const acked = (async () => {
      assert.equal((await connection.readPacket())[0] >> 4, 8);
      for (let id = 1; id <= 3 * count; id++) await connection.expect(packets.puback(id));
    })();
    void client.subscribe('t', texts(seen), { qos: 1 }).catch(() => {});
    await acked;
    assert.equal(seen.length, 3 * count);
  });
}

test('a client that only publishes works for ever; what found no room is sent again', async (t) => {
  const { server, client, connection } = await resumed(t);
  const many = CLIENT_UNCLAIMED_MESSAGES * CLIENT_OVERFLOW_FACTOR + 500;
  const flood = Array.from({ length: many }, (_, i) => message('t', `${i + 1}`, 1, i + 1));
  const published = client.publish('p', 'x', { qos: 1 });
  const { length } = flood;
  const packet = packets.parsePublish(await connection.readPacket('PUBLISH'));
  connection.send(...flood, message('t', 'dropped', 0, 0), packets.puback(packet.packetId ?? 0));
  // Its answer stands behind all of them.
  await published;
  await settled(client, connection);
  assert.equal(client.droppedMessages, 1);
  const seen: string[] = [];
  const lost = event(client, 'disconnect');
  client.on('message', texts(seen));
  assert.match(String((await lost).error), /to have the messages again/);
  const next = await server.acceptClient(true);
  next.send(...flood.slice(-500));
  await eventually(() => seen.length >= length, 'all messages');
  assert.deepEqual(
    seen,
    flood.map((_, i) => `${i + 1}`),
  );
});

test('a handler that ends the client stops the handing out', async (t) => {
  const { server, client, connection } = await resumed(t);
  connection.send(...[1, 2, 3].map((id) => message('t', `${id}`, 1, id)));
  await settled(client, connection);
  const seen: string[] = [];
  client.on('message', (received) => {
    texts(seen)(received);
    if (seen.length === 1) void client.disconnect({ drain: false });
  });
  await event(client, 'disconnect');
  await nextTurn();
  assert.deepEqual(seen, ['1']);
  const [next] = await Promise.all([server.acceptClient(true), client.connect()]);
  next.send(message('t', 'again', 1, 9));
  await next.expect(packets.puback(9));
  assert.deepEqual(seen, ['1', 'again']);
});

test('a client that has stopped reading goes on pinging within its keep alive', async (t) => {
  // [MQTT-3.1.2-23] [MQTT-3.1.2-24]: the server would close one that is silent.
  const { client, connection } = await resumed(t, { keepAlive: 1 });
  const count = CLIENT_UNCLAIMED_MESSAGES + 1;
  connection.send(...Array.from({ length: count }, (_, i) => message('t', 'x', 1, i + 1)));
  for (let i = 0; i < 3; i++) await connection.expect(packets.PINGREQ);
  assert(client.isConnected);
});
