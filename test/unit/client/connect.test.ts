/**
 * CONNECT, CONNACK, keep alive, DISCONNECT: the life of a connection, against a scripted server.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Client,
  ClosedError,
  ConnectFailedError,
  ConnectionLostError,
  ConnectRefusedError,
  connect,
  ProtocolError,
  TimeoutError,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { connected, event, outcome, QUICK, runOut, start } from './harness.js';

test('CONNECT carries what the options say', async (t) => {
  const { server, client } = await start(t, {
    clientId: 'größe',
    cleanSession: false,
    keepAlive: 300,
    username: 'user',
    password: Buffer.from([1, 0, 255]),
    will: { topic: 'gone', payload: 'bye', qos: 2, retain: true },
  });
  const connecting = client.connect();
  const connection = await server.accept();
  await connection.expect(
    packets.connect({
      clientId: 'größe',
      cleanSession: false,
      keepAlive: 300,
      username: 'user',
      password: Buffer.from([1, 0, 255]),
      will: { topic: 'gone', payload: 'bye', qos: 2, retain: true },
    }),
  );
  assert.equal(client.state, 'connecting');
  connection.send(packets.connack(true, 0));
  await connecting;
  assert.equal(client.state, 'connected');
  assert.equal(client.sessionPresent, true);
  assert.equal(client.clientId, 'größe');
});

test('version 3 says MQIsdp and does not believe in Session Present', async (t) => {
  const { server, client } = await start(t, { protocolVersion: 3 });
  const connecting = client.connect();
  const connection = await server.accept();
  await connection.expect(packets.connect({ level: 3, clientId: 'test', keepAlive: 60 }));
  connection.send(packets.connack(false, 0));
  await connecting;
  assert.equal(client.sessionPresent, false);
});

test('an empty client id is left to the server', async (t) => {
  // [MQTT-3.1.3-6]
  const { server, client } = await start(t, { clientId: '', keepAlive: 0 });
  const connecting = client.connect();
  const connection = await server.accept();
  await connection.expect(packets.connect({ clientId: '' }));
  connection.send(packets.connack(false, 0));
  await connecting;
});

test('connect() makes a client that is connected', async (t) => {
  const { server } = await start(t);
  const [client, connection] = await Promise.all([
    connect(server.uri, QUICK),
    server.acceptClient(),
  ]);
  assert(client.isConnected);
  await Promise.all([client.disconnect(), connection.expect(packets.DISCONNECT)]);
});

test('a CONNACK that comes byte by byte is one CONNACK', async (t) => {
  const { server, client } = await start(t);
  const connecting = client.connect();
  const connection = await server.accept();
  await connection.readPacket();
  await connection.sendInPieces(packets.connack(false, 0), 1);
  await connecting;
});

for (const [code, why] of [
  [1, /protocol version/],
  [2, /client id/],
  [3, /unavailable/],
  [4, /user name or password/],
  [5, /not authorized/],
] as const) {
  test(`return code ${code} rejects connect() with its meaning`, async (t) => {
    const { server, client } = await start(t);
    const connecting = client.connect();
    const connection = await server.accept();
    await connection.readPacket();
    connection.send(packets.connack(false, code));
    await assert.rejects(
      connecting,
      (error) =>
        error instanceof ConnectRefusedError &&
        error.returnCode === code &&
        why.test(error.message) &&
        error.message.includes(server.uri),
    );
    await connection.untilClosed();
    assert.equal(client.state, 'idle');
  });
}

test('a port nobody listens on rejects with the address and the reason', async (t) => {
  const { server, client } = await start(t);
  await server.stop();
  await assert.rejects(
    client.connect(),
    (error) =>
      error instanceof ConnectFailedError &&
      error.message.includes(server.uri) &&
      /ECONNREFUSED/.test(error.message),
  );
});

test('a connection closed before CONNACK rejects', async (t) => {
  const { server, client } = await start(t);
  const connecting = client.connect();
  const connection = await server.accept();
  connection.end();
  await assert.rejects(connecting, /closed by the server/);
});

test('no CONNACK in time rejects and closes', async (t) => {
  const { server, client } = await start(t, { connectTimeout: '250ms' });
  const connection = await runOut(t, server, 250, () =>
    assert.rejects(
      client.connect(),
      (error) =>
        error instanceof ConnectFailedError &&
        error.cause instanceof TimeoutError &&
        /no CONNACK within 250 ms/.test(error.message),
    ),
  );
  await connection.untilClosed();
});

test('connect() can be given up by a signal or by its own time-out, and tried again', async (t) => {
  const { server, client } = await start(t);
  const reason = new Error('changed my mind');
  const controller = new AbortController();
  const aborted = client.connect({ signal: controller.signal });
  const first = await server.accept();
  controller.abort(reason);
  await assert.rejects(aborted, reason);
  await first.untilClosed();
  const late = client.connect({ timeoutMs: 5 });
  await Promise.all([server.accept(), assert.rejects(late, TimeoutError)]);
  await assert.rejects(client.connect({ signal: AbortSignal.abort(reason) }), reason);
  await Promise.all([client.connect(), server.acceptClient()]);
  assert(client.isConnected);
});

test('who connects while it is being done waits for the same', async (t) => {
  const { server, client } = await start(t);
  const both = Promise.all([client.connect(), client.connect()]);
  await server.acceptClient();
  await both;
  await client.connect();
});

const breaches: [string, Buffer, RegExp][] = [
  ['a second CONNACK', packets.connack(false, 0), /second CONNACK/],
  ['CONNECT', packets.connect(), /CONNECT from a server/],
  ['SUBSCRIBE', packets.subscribe(1, ['a', 0]), /SUBSCRIBE from a server/],
  ['PINGREQ', packets.PINGREQ, /PINGREQ from a server/],
  ['DISCONNECT', packets.DISCONNECT, /DISCONNECT from a server/],
  ['a reserved packet type', packets.frame(0xf0), /reserved/],
  ['PUBLISH with QoS 3', packets.frame(0x36, packets.lengthPrefixed('a')), /QoS 3/],
  ['PUBLISH with a wildcard', packets.publish({ topic: 'a/+' }), /wildcard/],
  ['PUBLISH with bad UTF-8', packets.publish({ topic: Buffer.from([0xc0, 0x80]) }), /UTF-8/],
  ['PUBLISH with packet id 0', packets.publish({ topic: 'a', qos: 1, packetId: 0 }), /packet id 0/],
  ['SUBACK nobody asked for', packets.suback(1, 0), /nothing waits/],
  ['UNSUBACK nobody asked for', packets.unsuback(1), /nothing waits/],
  [
    'a packet over maxPacketBytes',
    packets.frame(0x30, Buffer.alloc(2_000)),
    /longer than the 1000/,
  ],
  ['a remaining length of five bytes', packets.hex('30 80 80 80 80 01'), /4 bytes/],
  ['PUBREL with wrong flags', packets.hex('60 02 00 01'), /PUBREL flags/],
];
for (const [name, bytes, message] of breaches) {
  test(`${name} from the server closes the connection with an error event`, async (t) => {
    const { client, connection } = await connected(t, { maxPacketBytes: 1_000, reconnect: false });
    const reported = event(client, 'error');
    const ended = event(client, 'disconnect');
    connection.send(bytes);
    const error = await reported;
    assert(error instanceof ProtocolError);
    assert.match(error.message, message);
    assert.equal((await ended).error, error);
    await connection.untilClosed();
    assert.equal(client.state, 'closed');
    await assert.rejects(client.publish('a', 'b'), error);
  });
}

for (const [name, bytes] of [
  ['PUBLISH', packets.publish({ topic: 'a' })],
  ['PUBACK', packets.puback(1)],
  ['PINGRESP', packets.PINGRESP],
  ['SUBACK', packets.suback(1, 0)],
] as const) {
  test(`${name} before CONNACK rejects connect()`, async (t) => {
    // [MQTT-3.2.0-1]
    const { server, client } = await start(t);
    const connecting = client.connect();
    const connection = await server.accept();
    connection.send(bytes);
    await assert.rejects(
      connecting,
      (error) => error instanceof ProtocolError && error.clause === 'MQTT-3.2.0-1',
    );
    await connection.untilClosed();
  });
}

test('disconnect() sends DISCONNECT as the last packet and waits for the close', async (t) => {
  // [MQTT-3.14.4-1]
  const { client, connection } = await connected(t);
  await client.publish('a', 'b');
  const ended = event(client, 'disconnect');
  const disconnecting = client.disconnect();
  await connection.expect(packets.publish({ topic: 'a', payload: 'b' }));
  await connection.expect(packets.DISCONNECT);
  await connection.untilClosed();
  await disconnecting;
  assert.deepEqual(await ended, { error: null, willReconnect: false });
  assert.equal(client.state, 'closed');
  assert.equal(connection.unread, 0);
  await client.disconnect();
});

test('disconnect() waits for acks and refuses what is new, once', async (t) => {
  const { client, connection } = await connected(t);
  const published = client.publish('a', 'b', { qos: 1 });
  await connection.expect(packets.publish({ topic: 'a', payload: 'b', qos: 1, packetId: 1 }));
  const disconnecting = Promise.all([client.disconnect(), client.disconnect()]);
  assert.equal(client.state, 'disconnecting');
  await assert.rejects(client.publish('c', 'd'), ClosedError);
  await assert.rejects(client.subscribe('c'), ClosedError);
  await assert.rejects(client.connect(), ClosedError);
  assert.equal(connection.unread, 0);
  connection.send(packets.puback(1));
  await published;
  await connection.expect(packets.DISCONNECT);
  await disconnecting;
});

for (const [name, options] of [
  ['a time-out', { timeoutMs: 5 }],
  ['no drain', { drain: false }],
  ['an aborted signal', { signal: AbortSignal.abort() }],
] as const) {
  test(`with ${name} disconnect() does not wait for acks: those calls reject`, async (t) => {
    const { client, connection } = await connected(t);
    const published = outcome(client.publish('a', 'b', { qos: 1 }));
    const subscribed = outcome(client.subscribe('x'));
    await client.disconnect(options);
    assert(published.state instanceof ClosedError);
    assert(subscribed.state instanceof ClosedError);
    await connection.expect(packets.publish({ topic: 'a', payload: 'b', qos: 1, packetId: 1 }));
    await connection.expect(packets.subscribe(2, ['x', 0]));
    await connection.expect(packets.DISCONNECT);
  });
}

test('a connection that is lost while disconnect() waits ends the wait', async (t) => {
  const { client, connection } = await connected(t);
  const published = outcome(client.publish('a', 'b', { qos: 1 }));
  await connection.readPacket();
  const disconnecting = client.disconnect();
  connection.cut();
  await disconnecting;
  assert(published.state instanceof ClosedError);
  assert.equal(client.state, 'closed');
});

test('disconnect() while connecting ends the attempt', async (t) => {
  const { server, client } = await start(t);
  const connecting = outcome(client.connect());
  const connection = await server.accept();
  await client.disconnect();
  assert(connecting.state instanceof ClosedError);
  await connection.untilClosed();
});

test('`await using` disconnects at the end of the block', async (t) => {
  const { server } = await start(t);
  let seen: Client;
  {
    await using client = (
      await Promise.all([connect(server.uri, QUICK), server.acceptClient()])
    )[0];
    seen = client;
    assert(client.isConnected);
  }
  assert.equal(seen.state, 'closed');
});

test('a client that is closed can be connected again', async (t) => {
  const { server, client, connection } = await connected(t);
  await Promise.all([client.disconnect(), connection.expect(packets.DISCONNECT)]);
  const [again] = await Promise.all([server.acceptClient(), client.connect()]);
  await client.publish('a', 'b');
  await again.expect(packets.publish({ topic: 'a', payload: 'b' }));
});

test('ping() resolves on PINGRESP, each on its own', async (t) => {
  const { client, connection } = await connected(t);
  const first = outcome(client.ping());
  const second = client.ping();
  await connection.expect(packets.PINGREQ);
  await connection.expect(packets.PINGREQ);
  assert.equal(first.state, 'pending');
  connection.send(packets.PINGRESP, packets.PINGRESP);
  await second;
  assert.equal(first.state, 'resolved');
});

test('ping() is limited by time, by a signal, and by the connection', async (t) => {
  const { client, connection } = await connected(t, { reconnect: false });
  await assert.rejects(client.ping({ timeoutMs: 5 }), TimeoutError);
  const reason = new Error('enough');
  const controller = new AbortController();
  const aborted = client.ping({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(aborted, reason);
  const lost = client.ping();
  connection.cut();
  await assert.rejects(lost, ConnectionLostError);
  await assert.rejects(client.ping(), ConnectionLostError);
});

test('a client that is silent pings within its keep alive', async (t) => {
  // [MQTT-3.1.2-23]
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { connection } = await connected(t, { keepAlive: 1 });
  t.mock.timers.tick(1_000);
  await connection.expect(packets.PINGREQ);
  connection.send(packets.PINGRESP);
  t.mock.timers.tick(1_000);
  await connection.expect(packets.PINGREQ);
});

test('no PINGRESP in time loses the connection, and the client comes back', async (t) => {
  const { server, client, connection } = await connected(t, { keepAlive: 1, ackTimeout: '20ms' });
  const lost = event(client, 'disconnect');
  await connection.expect(packets.PINGREQ);
  const { error, willReconnect } = await lost;
  assert(error instanceof ConnectionLostError);
  assert.match(error.message, /no PINGRESP within 20 ms/);
  assert.equal(willReconnect, true);
  await server.acceptClient();
});

test('reconnect.initial: connect() goes on until there is a server that accepts', async (t) => {
  const { server, client } = await start(t, {
    reconnect: { minDelay: '1ms', maxDelay: '2ms', initial: true },
  });
  const attempts: number[] = [];
  client.on('reconnecting', ({ attempt }) => attempts.push(attempt));
  const published = client.publish('t', 'x');
  const connecting = client.connect();
  (await server.accept()).cut();
  const busy = await server.accept();
  await busy.readPacket();
  busy.send(packets.connack(false, 3));
  const connection = await server.acceptClient();
  await connecting;
  await published;
  await connection.expect(packets.publish({ topic: 't', payload: 'x' }));
  assert.deepEqual(attempts, [1, 2]);
});

test('reconnect.initial: a refusal that stays, a limit and disconnect() end it', async (t) => {
  const reconnect = { minDelay: '1ms', maxDelay: '2ms', initial: true };
  const { server, client } = await start(t, { reconnect });
  const refused = client.connect();
  const connection = await server.accept();
  await connection.readPacket();
  connection.send(packets.connack(false, 5));
  await assert.rejects(refused, ConnectRefusedError);
  assert.equal(client.state, 'idle');
  await server.stop();
  // Nobody listens any more.
  await assert.rejects(client.connect({ timeoutMs: 20 }), TimeoutError);
  assert.equal(client.state, 'idle');
  const ended = outcome(client.connect());
  await event(client, 'reconnecting');
  await client.disconnect();
  assert(ended.state instanceof ClosedError);
  const limited = new Client(server.uri, { reconnect: { ...reconnect, attempts: 2 } });
  await assert.rejects(limited.connect(), ConnectFailedError);
});
