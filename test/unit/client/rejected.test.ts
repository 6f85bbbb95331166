/** A server that answers a packet by closing: the packet is given up, and the others go on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ArgumentError,
  type ClientOptions,
  ConnectionLostError,
  PacketRejectedError,
  type PublishFailure,
  SubscribeRefusedError,
  TimeoutError,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import { connected, event, outcome } from './harness.js';

const KEPT: ClientOptions = { cleanSession: false };
const publish = (payload: string, qos: number, packetId: number, dup = false): Buffer =>
  packets.publish({ topic: 't', payload, qos, packetId, dup });

for (const [how, close] of [
  ['closes', 'end'],
  ['resets', 'cut'],
] as const) {
  for (const qos of [1, 2] as const) {
    test(`a server ${how} on a QoS ${qos} message: given up after two connections`, async (t) => {
      const { server, client, connection } = await connected(t, KEPT);
      const failures: PublishFailure[] = [];
      client.on('publishError', (failure) => failures.push(failure));
      const reported = event(client, 'error');
      const bad = outcome(client.publish('t', 'bad', { qos }));
      await connection.expect(publish('bad', qos, 1));
      connection[close]();
      const second = await server.acceptClient(true);
      await second.expect(publish('bad', qos, 1, true));
      assert.equal(String(bad.state), 'pending');
      const good = client.publish('t', 'good', { qos: 1 });
      second[close]();
      const third = await server.acceptClient(true);
      // The id of a QoS 2 message is freed, [MQTT-2.3.1-2]: the server may have the message.
      if (qos === 2) {
        await third.expect(packets.pubrel(1));
        third.send(packets.pubcomp(1));
      }
      await third.expect(publish('good', 1, 2));
      third.send(packets.puback(2));
      await good;
      const { state } = bad;
      assert(state instanceof PacketRejectedError);
      assert.match(state.message, /on PUBLISH to 't' of \d+ bytes twice/);
      assert.equal(await reported, state);
      assert.deepEqual(failures, [{ error: state, topic: 't', messages: 1 }]);
      assert.equal(client.inflight, 0);
    });
  }
}

test('the message to blame is found among others, which all arrive', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const calls = ['a', 'b', 'bad', 'c', 'd', 'e'].map((payload) =>
    outcome(client.publish('t', payload, { qos: 1 })),
  );
  const got: string[] = [];
  /** A server that closes on 'bad', and then sends no ack of what it had before. */
  const serve = async (side: typeof connection): Promise<void> => {
    const acks: Buffer[] = [];
    for (;;) {
      const { payload, packetId } = packets.parsePublish(await side.readPacket());
      if (payload.toString() === 'bad') break;
      got.push(payload.toString());
      acks.push(packets.puback(packetId ?? 0));
      // Its acks come late, those before the bad one never if that is on its way already.
      if (side.unread === 0) side.send(...acks.splice(0));
    }
    side.end();
  };
  await serve(connection);
  const others = (async () => {
    for (;;) await serve(await server.acceptClient(true)).catch(() => {});
  })();
  others.catch(() => {});
  await eventually(() => calls.every(({ state }) => state !== 'pending'), 'all of them');
  assert.deepEqual(
    calls.map(({ state }) => (state === 'resolved' ? state : state instanceof PacketRejectedError)),
    ['resolved', 'resolved', true, 'resolved', 'resolved', 'resolved'],
  );
  assert.deepEqual([...new Set(got)], ['a', 'b', 'c', 'd', 'e']);
});

test('connections that end for other reasons blame nobody', async (t) => {
  const options = { ...KEPT, keepAlive: 1, ackTimeout: '5ms' };
  const { server, client, connection } = await connected(t, options);
  const call = outcome(client.publish('t', 'x', { qos: 1 }));
  await connection.expect(publish('x', 1, 1));
  let lost = event(client, 'disconnect');
  for (let i = 0; i < 2; i++) {
    // No PINGRESP: the connection is lost by a time-out.
    await lost;
    lost = event(client, 'disconnect');
    const next = await server.acceptClient(true);
    await next.expect(publish('x', 1, 1, true));
    if (i === 1) next.send(packets.puback(1));
  }
  await eventually(() => call.state === 'resolved', 'the ack');
});

test('a message that was answered in between is not blamed for what follows', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const call = outcome(client.publish('t', 'x', { qos: 2 }));
  await connection.expect(publish('x', 2, 1));
  connection.end();
  const second = await server.acceptClient(true);
  await second.expect(publish('x', 2, 1, true));
  second.send(packets.pubrec(1));
  await second.expect(packets.pubrel(1));
  second.send(packets.pubcomp(1));
  await eventually(() => call.state === 'resolved', 'PUBCOMP');
});

test('a SUBSCRIBE and an UNSUBSCRIBE that the server closes on are given up too', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const seen: string[] = [];
  const subscribed = outcome(client.subscribe('bad', ({ topic }) => void seen.push(topic)));
  await connection.expect(packets.subscribe(1, ['bad', 0]));
  connection.end();
  const second = await server.acceptClient(true);
  await second.expect(packets.subscribe(1, ['bad', 0]));
  second.end();
  const third = await server.acceptClient(true);
  assert(subscribed.state instanceof PacketRejectedError);
  assert.match(subscribed.state.message, /on SUBSCRIBE to 'bad' twice/);
  const unsubscribed = outcome(client.unsubscribe('bad'));
  await third.expect(packets.unsubscribe(2, 'bad'));
  third.end();
  const fourth = await server.acceptClient(true);
  await fourth.expect(packets.unsubscribe(2, 'bad'));
  fourth.end();
  const fifth = await server.acceptClient(true);
  assert(unsubscribed.state instanceof PacketRejectedError);
  fifth.send(packets.publish({ topic: 'bad' }));
  await client.publish('end', '');
  await fifth.expect(packets.publish({ topic: 'end' }));
  assert.deepEqual(seen, [], 'the handler is gone with its SUBSCRIBE');
});

test('a subscription that cannot be made again is lost, and the others are not', async (t) => {
  const { server, client, connection } = await connected(t);
  const filters = ['a', 'bad', 'c'];
  const subscribed = client.subscribe(filters, () => {});
  await connection.readPacket();
  connection.send(packets.suback(1, 0, 0, 0));
  await subscribed;
  const reported = event(client, 'error');
  connection.cut();
  const granted: string[] = [];
  for (let ends = 0; granted.length < 2; ) {
    const side = await server.acceptClient();
    for (;;) {
      const packet = await side.readPacket('SUBSCRIBE');
      if (packet.includes('bad')) {
        ends++;
        side.end();
        break;
      }
      assert(ends <= 3, 'too many attempts');
      granted.push(packet.toString('latin1', 6, packet.length - 1));
      side.send(packets.suback(packet.readUInt16BE(2), 0));
      if (granted.at(-1) === 'c') break;
    }
    if (granted.at(-1) !== 'c') granted.length = 0;
  }
  const error = await reported;
  assert(error instanceof PacketRejectedError && !(error instanceof SubscribeRefusedError));
  assert.match(error.message, /SUBSCRIBE to 'bad'/);
  assert.deepEqual(granted, ['a', 'c']);
});

test('a server whose answer cannot be read is not asked the same for ever', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const subscribed = outcome(client.subscribe('a', () => {}));
  await connection.readPacket();
  connection.send(packets.suback(1, 0, 0));
  const second = await server.acceptClient(true);
  await second.readPacket();
  second.send(packets.suback(1, 0, 0));
  await server.acceptClient(true);
  assert(subscribed.state instanceof PacketRejectedError);
});

test('a message whose time is over is not sent again', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  await assert.rejects(client.publish('t', 'late', { qos: 1, timeoutMs: 5 }), TimeoutError);
  await connection.expect(publish('late', 1, 1));
  const late = outcome(client.publish('t', 'late too', { qos: 2, timeoutMs: 5 }));
  await connection.expect(publish('late too', 2, 2));
  await eventually(() => late.state instanceof TimeoutError, 'the time-out');
  const next = client.publish('t', 'next', { qos: 1 });
  await connection.expect(publish('next', 1, 3));
  connection.cut();
  const second = await server.acceptClient(true);
  await second.expect(packets.pubrel(2));
  await second.expect(publish('next', 1, 3, true));
  second.send(packets.pubcomp(2), packets.puback(3));
  await next;
  assert.equal(client.inflight, 0);
});

test('a message that nobody waits for holds up no other', async (t) => {
  const { client, connection } = await connected(t, { ...KEPT, maxInflight: 1 });
  const late = outcome(client.publish('t', 'late', { qos: 1, timeoutMs: 5 }));
  const next = client.publish('t', 'next', { qos: 1 });
  await connection.expect(publish('late', 1, 1));
  await connection.expect(publish('next', 1, 2));
  assert(late.state instanceof TimeoutError);
  connection.send(packets.puback(2));
  await next;
  connection.send(packets.puback(1));
  await eventually(() => client.inflight === 0, 'the late ack');
});

test('a SUBSCRIBE whose time is over is not sent again, and leaves no handler', async (t) => {
  const { server, client, connection } = await connected(t, KEPT);
  const seen: string[] = [];
  const note = ({ topic }: { topic: string }): void => void seen.push(topic);
  await assert.rejects(client.subscribe('a', note, { timeoutMs: 5 }), TimeoutError);
  await connection.readPacket();
  connection.cut();
  const next = await server.acceptClient(true);
  next.send(packets.publish({ topic: 'a' }));
  await client.publish('end', '');
  await next.expect(packets.publish({ topic: 'end' }));
  assert.deepEqual(seen, []);
});

test('packets longer than maxOutgoingPacketBytes are refused, not sent', async (t) => {
  const { client, connection } = await connected(t, { maxOutgoingPacketBytes: 200 });
  await client.publish('t', 'x'.repeat(200 - 6));
  await assert.rejects(
    client.publish('t', 'x'.repeat(201 - 6)),
    (error) => error instanceof ArgumentError && /at most 200 are allowed/.test(error.message),
  );
  const filters = Array.from({ length: 10 }, (_, i) => `${'f'.repeat(20)}${i}`);
  await assert.rejects(client.subscribe(filters), /maxOutgoingPacketBytes is 200/);
  await client.publish('end', '');
  assert.equal((await connection.readPacket()).length, 200);
  await connection.expect(packets.publish({ topic: 'end' }));
});

test('subscriptions are made again in packets that keep the bound', async (t) => {
  const { server, client, connection } = await connected(t, { maxOutgoingPacketBytes: 200 });
  for (let i = 1; i <= 20; i++) {
    const subscribed = client.subscribe(`${'f'.repeat(50)}${i}`, () => {});
    await connection.readPacket();
    connection.send(packets.suback(i, 0));
    await subscribed;
  }
  connection.cut();
  const next = await server.acceptClient();
  for (let got = 0; got < 20; ) {
    const packet = await next.readPacket();
    assert(packet.length <= 200);
    got += (packet.toString('latin1').match(/f{50}/g) ?? []).length;
  }
});

const LONG = 1_000_000;

test('QoS 0 promises resolve for what the socket took; the others reject', async (t) => {
  const { client, connection } = await connected(t, { reconnect: false });
  const failures: PublishFailure[] = [];
  client.on('publishError', (failure) => failures.push(failure));
  connection.socket.pause();
  const payload = Buffer.alloc(LONG);
  const calls = Array.from({ length: 50 }, () => outcome(client.publish('t', payload)));
  const lost = event(client, 'disconnect');
  // Until the kernel takes no more.
  await eventually(() => calls.some(({ state }) => state === 'resolved'), 'the first ones');
  let taken = -1;
  const resolved = (): number => calls.filter(({ state }) => state === 'resolved').length;
  while (taken !== resolved()) {
    taken = resolved();
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  }
  connection.cut();
  await lost;
  await eventually(() => calls.every(({ state }) => state !== 'pending'), 'an end for all');
  assert(taken < 50, `${taken} of 50 resolved`);
  assert.equal(resolved(), taken);
  const rejected = calls.filter(({ state }) => state instanceof ConnectionLostError).length;
  assert.equal(rejected, 50 - taken);
  assert.equal(
    failures.reduce((sum, { messages }) => sum + messages, 0),
    rejected,
  );
});

test('resendQos0: what the socket had not taken is sent on the next connection', async (t) => {
  const { server, client, connection } = await connected(t, { resendQos0: true });
  connection.socket.pause();
  const payload = (i: number): string => `${i}`.padEnd(LONG, '.');
  const calls = Array.from({ length: 30 }, (_, i) => outcome(client.publish('t', payload(i))));
  await eventually(() => calls.some(({ state }) => state === 'resolved'), 'the first ones');
  const lost = event(client, 'disconnect');
  connection.cut();
  await lost;
  const taken = calls.filter(({ state }) => state === 'resolved').length;
  assert(taken < 30);
  const last = outcome(client.publish('t', 'last'));
  const next = await server.acceptClient();
  for (let i = taken; i < 30; i++) {
    assert.equal(packets.parsePublish(await next.readPacket()).payload.toString(), payload(i));
  }
  await next.expect(packets.publish({ topic: 't', payload: 'last' }));
  await eventually(() => last.state === 'resolved', 'the last one');
  assert(calls.every(({ state }) => state === 'resolved'));
});

test('resendQos0: a message that two connections ended on is given up', async (t) => {
  const { server, client, connection } = await connected(t, { resendQos0: true });
  connection.socket.pause();
  const bad = outcome(client.publish('t', Buffer.alloc(50 * LONG)));
  const good = outcome(client.publish('t', 'good'));
  await new Promise(setImmediate);
  let lost = event(client, 'disconnect');
  connection.cut();
  await lost;
  lost = event(client, 'disconnect');
  const back = event(client, 'connect');
  const second = await server.acceptClient();
  second.socket.pause();
  await back;
  await new Promise(setImmediate);
  second.cut();
  await lost;
  const third = await server.acceptClient();
  await third.expect(packets.publish({ topic: 't', payload: 'good' }));
  await eventually(() => good.state === 'resolved', 'the other one');
  assert(bad.state instanceof PacketRejectedError);
});

test('a publish that nobody awaits never ends the process: its failure is an event', async (t) => {
  const { client, connection } = await connected(t, { reconnect: false });
  const failures: PublishFailure[] = [];
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  client.on('publishError', (failure) => failures.push(failure));
  void client.publish('a/+', 'x');
  void client.publish('late', 'x', { qos: 1, timeoutMs: 1 });
  void client.publish('t', 'x', { qos: 1 });
  void client.publish('t', 'x', { qos: 2 });
  for (let i = 0; i < 3; i++) await connection.readPacket();
  await eventually(() => failures.length === 2, 'the time-out');
  connection.cut();
  await event(client, 'disconnect');
  void client.publish('closed', 'x');
  await new Promise(setImmediate);
  assert.deepEqual(
    failures.map(({ topic }) => topic),
    ['a/+', 'late', 't', 't', 'closed'],
  );
  assert.deepEqual(unhandled, []);
});
