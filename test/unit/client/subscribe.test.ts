/** SUBSCRIBE, UNSUBSCRIBE and who gets which message; against a scripted server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ArgumentError,
  type Message,
  ProtocolError,
  SubscribeRefusedError,
  TimeoutError,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import { connected, event, outcome, start } from './harness.js';

/** A handler that notes topics and payloads under a name. */
function recorder() {
  const seen: string[] = [];
  const as =
    (name: string) =>
    ({ topic, payload }: Message): void => {
      seen.push(`${name} ${topic} ${payload}`);
    };
  return { seen, as };
}

test('subscribe() resolves on SUBACK with the granted QoS', async (t) => {
  const { client, connection } = await connected(t);
  const call = client.subscribe([{ filter: 'a/#', qos: 2 }, 'b'], () => {}, { qos: 1 });
  await connection.expect(packets.subscribe(1, ['a/#', 2], ['b', 1]));
  connection.send(packets.suback(1, 1, 0));
  assert.deepEqual(await call, [
    { filter: 'a/#', qos: 1 },
    { filter: 'b', qos: 0 },
  ]);
});

test('each filter has its handler; overlapping ones are each called once', async (t) => {
  const { client, connection } = await connected(t);
  const { seen, as } = recorder();
  const call = client.subscribe(
    [
      { filter: 'a/+', handler: as('plus') },
      { filter: 'a/#', handler: as('hash') },
      { filter: '#', handler: as('all') },
      'a/b',
      'none/+',
    ],
    as('default'),
  );
  connection.send(packets.suback(1, 0, 0, 0, 0, 0));
  await call;
  connection.send(
    packets.publish({ topic: 'a/b', payload: '1' }),
    packets.publish({ topic: 'a', payload: '2' }),
    packets.publish({ topic: '$SYS/x', payload: '3' }),
    packets.publish({ topic: 'a/b', payload: '4' }),
  );
  await eventually(() => seen.length >= 10, 'ten calls');
  assert.deepEqual(seen.slice(0, 4).sort(), [
    'all a/b 1',
    'default a/b 1',
    'hash a/b 1',
    'plus a/b 1',
  ]);
  assert.deepEqual(seen.slice(4, 6).sort(), ['all a 2', 'hash a 2']);
  assert.deepEqual(
    seen.slice(6).map((text) => text.slice(-5)),
    ['a/b 4', 'a/b 4', 'a/b 4', 'a/b 4'],
  );
});

test('a message has topic, payload, QoS and flags', async (t) => {
  const { client, connection } = await connected(t);
  const messages: Message[] = [];
  client.on('message', (message) => messages.push(message));
  const bytes = Buffer.from([0, 1, 254, 255]);
  connection.send(
    packets.publish({ topic: 'größe/😀', payload: bytes, retain: true }),
    packets.publish({ topic: 'x', payload: '', qos: 1, packetId: 3, dup: true }),
  );
  await eventually(() => messages.length === 2, 'both');
  const { topic, payload, qos, retain, dup } = messages[0];
  assert.deepEqual([topic, qos, retain, dup], ['größe/😀', 0, true, false]);
  assert(payload.equals(bytes));
  assert.deepEqual([messages[1].qos, messages[1].dup, messages[1].payload.length], [1, true, 0]);
});

test('payloads stay as they are when more is read', async (t) => {
  const { client, connection } = await connected(t);
  const payloads: Buffer[] = [];
  client.on('message', ({ payload }) => payloads.push(payload));
  const frames = Array.from({ length: 3_000 }, (_, i) =>
    packets.publish({ topic: 't', payload: `${i} ${'x'.repeat(i % 50)}` }),
  );
  frames.push(packets.publish({ topic: 't', payload: 'y'.repeat(300_000) }));
  connection.send(...frames);
  connection.send(packets.publish({ topic: 'u', payload: 'end' }));
  await eventually(() => payloads.length === 3_002, 'all');
  for (let i = 0; i < 3_000; i++)
    assert.equal(payloads[i].toString(), `${i} ${'x'.repeat(i % 50)}`);
  assert.equal(payloads[3_000].toString(), 'y'.repeat(300_000));
});

test('a message that comes before SUBACK reaches the handler', async (t) => {
  // [MQTT 3.1.1, 3.8.4]: the server may send matching messages before SUBACK.
  const { client, connection } = await connected(t);
  const { seen, as } = recorder();
  const call = client.subscribe('a', as('h'));
  await connection.readPacket();
  connection.send(packets.publish({ topic: 'a', payload: '1' }), packets.suback(1, 0));
  await call;
  assert.deepEqual(seen, ['h a 1']);
});

test('a handler set before connect() gets what the session has kept', async (t) => {
  const { server, client } = await start(t, { cleanSession: false });
  const { seen, as } = recorder();
  const subscribed = client.subscribe('a', as('h'));
  const connecting = client.connect();
  const connection = await server.accept();
  await connection.readPacket();
  connection.send(packets.connack(true, 0), packets.publish({ topic: 'a', payload: 'kept' }));
  await connecting;
  const subscribe = await connection.readPacket();
  connection.send(packets.suback(subscribe.readUInt16BE(2), 0));
  await subscribed;
  assert.deepEqual(seen, ['h a kept']);
});

test('subscribing again replaces the handler', async (t) => {
  const { client, connection } = await connected(t);
  const { seen, as } = recorder();
  const first = client.subscribe('a', as('old'));
  const second = client.subscribe('a', as('new'), { qos: 2 });
  await connection.expect(packets.subscribe(1, ['a', 0]));
  await connection.expect(packets.subscribe(2, ['a', 2]));
  connection.send(packets.suback(1, 0), packets.suback(2, 2));
  await Promise.all([first, second]);
  connection.send(packets.publish({ topic: 'a', payload: '1' }));
  await eventually(() => seen.length > 0, 'a message');
  assert.deepEqual(seen, ['new a 1']);
});

test('a refused filter rejects with its name; the others of the packet stand', async (t) => {
  // [MQTT-3.9.3-2]
  const { client, connection } = await connected(t);
  const { seen, as } = recorder();
  const call = client.subscribe(['a', 'secret/#', 'b', 'x'], as('h'));
  await connection.readPacket();
  connection.send(packets.suback(1, 0, 0x80, 1, 0x80));
  await assert.rejects(
    call,
    (error) =>
      error instanceof SubscribeRefusedError &&
      error.message.includes("'secret/#'") &&
      assert.deepEqual(error.filters, ['secret/#', 'x']) === undefined,
  );
  for (const topic of ['a', 'secret/1', 'x', 'b']) connection.send(packets.publish({ topic }));
  await eventually(() => seen.length >= 2, 'two messages');
  assert.deepEqual(seen, ['h a ', 'h b ']);
});

test('a refused repetition leaves the handler there was', async (t) => {
  const { client, connection } = await connected(t);
  const { seen, as } = recorder();
  const first = client.subscribe('a', as('old'));
  connection.send(packets.suback(1, 0));
  await first;
  const second = client.subscribe('a', as('new'));
  await connection.readPacket();
  connection.send(packets.suback(2, 0x80));
  await assert.rejects(second, SubscribeRefusedError);
  connection.send(packets.publish({ topic: 'a', payload: '1' }));
  await eventually(() => seen.length > 0, 'a message');
  assert.deepEqual(seen, ['old a 1']);
});

test('a SUBACK with too few return codes closes the connection', async (t) => {
  // [MQTT-3.9.3-1]
  const { client, connection } = await connected(t, { reconnect: false });
  const call = outcome(client.subscribe(['a', 'b']));
  const error = event(client, 'error');
  await connection.readPacket();
  connection.send(packets.suback(1, 0));
  assert((await error) instanceof ProtocolError);
  assert.equal(call.state, await error);
});

test('what cannot be subscribed to rejects, and nothing is sent', async (t) => {
  const { client, connection } = await connected(t);
  for (const filter of ['', 'a#', 'a/#/b', '+a', 'a\0', '\ud800']) {
    await assert.rejects(client.subscribe(filter), ArgumentError, filter);
    await assert.rejects(client.unsubscribe(filter), ArgumentError, filter);
    assert.throws(() => client.messages(filter), ArgumentError, filter);
  }
  await assert.rejects(client.subscribe([]), ArgumentError);
  await assert.rejects(client.unsubscribe([]), ArgumentError);
  await assert.rejects(client.subscribe({ filter: 'a', qos: 3 as unknown as 2 }), ArgumentError);
  await client.publish('last', '');
  await connection.expect(packets.publish({ topic: 'last' }));
});

test('no SUBACK in time rejects; the handler stays for a SUBACK that comes late', async (t) => {
  const { client, connection } = await connected(t, { ackTimeout: '5ms' });
  const { seen, as } = recorder();
  await assert.rejects(
    client.subscribe('a', as('h')),
    (error) => error instanceof TimeoutError && /SUBSCRIBE to 'a' within 5 ms/.test(error.message),
  );
  connection.send(packets.suback(1, 0), packets.publish({ topic: 'a', payload: '1' }));
  await eventually(() => seen.length > 0, 'the message');
});

test('a SUBSCRIBE that is given up before it was sent leaves no handler', async (t) => {
  const { server, client } = await start(t);
  const { seen, as } = recorder();
  const reason = new Error('no');
  const controller = new AbortController();
  const aborted = client.subscribe('a', as('h'), { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(aborted, reason);
  await assert.rejects(
    client.subscribe('b', as('h'), { signal: AbortSignal.abort(reason) }),
    reason,
  );
  client.on('message', as('event'));
  const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
  connection.send(packets.publish({ topic: 'a' }), packets.publish({ topic: 'b' }));
  await eventually(() => seen.length >= 2, 'both events');
  assert.deepEqual(seen, ['event a ', 'event b ']);
});

test('unsubscribe() stops the handler at once and resolves on UNSUBACK', async (t) => {
  const { client, connection } = await connected(t);
  const { seen, as } = recorder();
  const subscribed = client.subscribe(['a', 'b/+'], as('h'));
  await connection.readPacket();
  connection.send(packets.suback(1, 0, 0));
  await subscribed;
  const call = outcome(client.unsubscribe(['a', 'other']));
  await connection.expect(packets.unsubscribe(2, 'a', 'other'));
  connection.send(packets.publish({ topic: 'a' }), packets.publish({ topic: 'b/1' }));
  await eventually(() => seen.length > 0, 'a message');
  assert.deepEqual(seen, ['h b/1 ']);
  assert.equal(call.state, 'pending');
  connection.send(packets.unsuback(2));
  await eventually(() => call.state === 'resolved', 'UNSUBACK');
});

test('a handler may unsubscribe, subscribe and publish', async (t) => {
  const { client, connection } = await connected(t);
  const { seen, as } = recorder();
  const subscribed = client.subscribe('a', (message) => {
    as('once')(message);
    client.unsubscribe('a').catch(() => {});
    client.publish('answer', message.payload).catch(() => {});
  });
  await connection.readPacket();
  connection.send(packets.suback(1, 0));
  await subscribed;
  connection.send(packets.publish({ topic: 'a', payload: '1' }));
  connection.send(packets.publish({ topic: 'a', payload: '2' }));
  await connection.expect(packets.unsubscribe(2, 'a'));
  await connection.expect(packets.publish({ topic: 'answer', payload: '1' }));
  connection.send(packets.unsuback(2));
  await client.publish('end', '');
  await connection.expect(packets.publish({ topic: 'end' }));
  assert.deepEqual(seen, ['once a 1']);
});

test('a handler that throws is an error event, and the next message comes', async (t) => {
  const { client, connection } = await connected(t);
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  let calls = 0;
  const fault = new Error('in the handler');
  const subscribed = client.subscribe(
    'a',
    () => {
      if (++calls === 1) throw fault;
      if (calls === 2) return Promise.reject(fault);
      return null;
    },
    { qos: 1 },
  );
  await connection.readPacket();
  connection.send(packets.suback(1, 1));
  await subscribed;
  for (const packetId of [1, 2, 3]) {
    connection.send(packets.publish({ topic: 'a', qos: 1, packetId }));
    await connection.expect(packets.puback(packetId));
  }
  assert.deepEqual(errors, [fault, fault]);
});

test('a topic that came before is looked up again when subscriptions change', async (t) => {
  const { client, connection } = await connected(t);
  const { seen, as } = recorder();
  let events = 0;
  client.on('message', () => events++);
  const come = async (): Promise<void> => {
    const before = events;
    connection.send(packets.publish({ topic: 'a/b', payload: `${before}` }));
    await eventually(() => events > before, 'the message');
  };
  await come();
  const subscribed = client.subscribe('a/+', as('plus'));
  await connection.readPacket();
  connection.send(packets.suback(1, 0));
  await subscribed;
  await come();
  const unsubscribed = client.unsubscribe('a/+');
  await connection.readPacket();
  connection.send(packets.unsuback(2));
  await unsubscribed;
  await come();
  assert.deepEqual(seen, ['plus a/b 1']);
});
