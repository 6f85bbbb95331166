/** The client over WebSocket, with servers of the package `ws`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import { Authority } from '../../../bench/support/certificates.js';
import { Client, type ClientOptions, ConnectionLostError } from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { within } from '../../support/waiting.js';
import { type FakeConnection, FakeServer } from './fake-server.js';
import { event, exchangeMessages, QUICK, refusal, runOut } from './harness.js';

interface Connected {
  readonly server: FakeServer;
  readonly client: Client;
  readonly connection: FakeConnection;
  /** The server's side of it. */
  readonly webSocket: WebSocket;
}

async function connected(t: TestContext, options: ClientOptions = {}): Promise<Connected> {
  let webSocket: WebSocket | null = null;
  const server = await FakeServer.startWebSocket(undefined, (accepted) => {
    webSocket = accepted;
  });
  const client = new Client(server.uri, { ...QUICK, ...options });
  t.after(async () => {
    await server.stop();
    await client.disconnect({ drain: false });
  });
  const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
  assert(webSocket !== null);
  return { server, client, connection, webSocket };
}

test('messages go and come by WebSocket, and DISCONNECT is sent before it is closed', async (t) => {
  const { client, connection, webSocket } = await connected(t);
  await exchangeMessages(client, connection);
  const closed = once(webSocket, 'close');
  await Promise.all([client.disconnect(), connection.expect(packets.DISCONNECT)]);
  // Without a code: nothing was wrong [RFC 6455, 7.1.5].
  assert.equal((await within(closed, 'the close of the WebSocket'))[0], 1005);
});

test('the subprotocol is that of the version [MQTT-6.0.0-3]', async (t) => {
  for (const [protocolVersion, name] of [
    [3, 'mqttv3.1'],
    [4, 'mqtt'],
  ] as const) {
    const { webSocket } = await connected(t, { protocolVersion });
    assert.equal(webSocket.protocol, name);
  }
});

test('frames split and join packets as they like [MQTT-6.0.0-2]', async (t) => {
  const { client, webSocket } = await connected(t);
  const seen: string[] = [];
  const isLast = new Promise<void>((resolve) => {
    client.on('message', ({ payload }) => {
      if (seen.push(payload.toString()) === 6) resolve();
    });
  });
  const bytes = Buffer.concat(
    ['1', '2', '3'].map((payload) => packets.publish({ topic: 'a', payload })),
  );
  webSocket.send(bytes);
  for (const byte of bytes) webSocket.send(Buffer.from([byte]));
  // Fragments of one message too, with a ping in between.
  await within(isLast, 'six messages');
  assert.deepEqual(seen, ['1', '2', '3', '1', '2', '3']);
  webSocket.send(bytes.subarray(0, 3), { fin: false });
  webSocket.ping();
  const fragmented = event(client, 'message');
  webSocket.send(bytes.subarray(3), { fin: true });
  assert.equal((await fragmented).payload.toString(), '1');
});

test('a ping of the server is answered', async (t) => {
  const { webSocket } = await connected(t);
  const pong = once(webSocket, 'pong');
  webSocket.ping('are you there');
  assert.equal((await within(pong, 'a pong'))[0].toString(), 'are you there');
});

test('a server that floods with pings is cut off', async (t) => {
  // By the package `ws`, which counts the answers that wait.
  const { client, webSocket } = await connected(t, { reconnect: false });
  const lost = event(client, 'disconnect');
  let isLost = false;
  lost.then(() => {
    isLost = true;
  });
  for (let at = 0; at < 200_000 && !isLost; at++) {
    webSocket.ping('x'.repeat(125));
    if (at % 1_000 === 0) await nextTurn();
  }
  assert((await lost).error instanceof ConnectionLostError);
});

test('reading stops for a slow reader, and what had come by then is not lost', async (t) => {
  const { client, connection } = await connected(t);
  const stream = client.messages('a', { highWaterMark: 1 });
  const iterator = stream[Symbol.asyncIterator]();
  const first = iterator.next();
  const subscribe = await connection.readPacket('SUBSCRIBE');
  connection.send(packets.suback(subscribe.readUInt16BE(2), 0));
  const sent = Array.from({ length: 2_000 }, (_, at) => `${at}`.padEnd(1_000));
  for (const payload of sent) connection.send(packets.publish({ topic: 'a', payload }));
  const payloads = [(await first).value?.payload.toString()];
  while (payloads.length < sent.length) {
    payloads.push((await iterator.next()).value?.payload.toString());
  }
  assert.deepEqual(payloads, sent);
});

test('a publisher waits for a server that does not read', async (t) => {
  const { client, connection, webSocket } = await connected(t);
  webSocket.pause();
  const payload = Buffer.alloc(100_000, 'x');
  let taken = 0;
  const all = Array.from({ length: 200 }, () =>
    client.publish('a', payload).then(() => {
      taken++;
    }),
  );
  await client.publish('b', '', { qos: 1, timeoutMs: 50 }).catch(() => {});
  assert.ok(taken < all.length, `${taken} taken`);
  webSocket.resume();
  for (let at = 0; at < all.length; at++) await connection.readPacket();
  await within(Promise.all(all), 'the messages to be taken');
});

test('text in place of binary ends the connection [MQTT-6.0.0-1]', async (t) => {
  const { client, webSocket } = await connected(t, { reconnect: false });
  const lost = event(client, 'disconnect');
  webSocket.send('text');
  const { error } = await lost;
  assert(error instanceof ConnectionLostError);
  assert.match(error.message, /the server sent text/);
});

test('a message longer than any packet may be ends the connection', async (t) => {
  const { client, webSocket } = await connected(t, { reconnect: false, maxPacketBytes: 1024 });
  const lost = event(client, 'disconnect');
  webSocket.send(Buffer.alloc(1024 * 1024 + 1));
  assert.match(String((await lost).error), /Max payload size exceeded/);
});

test('the code and the reason of a close are told, safe to print', async (t) => {
  const { client, webSocket } = await connected(t, { reconnect: false });
  const lost = event(client, 'disconnect');
  webSocket.close(1008, 'bad\u001b[2Jword');
  const message = String((await lost).error);
  assert.match(message, /lost: closed by the server: "bad\\u001b\[2Jword", code 1008$/);
});

test('a lost connection is made again', async (t) => {
  const { server, connection } = await connected(t);
  connection.cut();
  const again = await server.acceptClient();
  assert.equal(again.isClosed, false);
});

test('a server without WebSocket, or without this path or protocol, is told so', async (t) => {
  const plain = await FakeServer.start();
  t.after(() => plain.stop());
  const uri = plain.uri.replace('mqtt:', 'ws:');
  const answered = plain.accept();
  const garbled = refusal(new Client(uri, QUICK));
  (await answered).send(packets.connack(false, 0), packets.PINGRESP);
  assert.match(await garbled, /does not speak WebSocket there/);
  const closed = plain.accept();
  const cut = refusal(new Client(uri, QUICK));
  (await closed).end();
  assert.match(await cut, /closed during the WebSocket handshake/);
  const silent = new Client(uri, { ...QUICK, connectTimeout: '50ms' });
  await runOut(t, plain, 50, async () => {
    assert.match(await refusal(silent), /no WebSocket handshake within 50 ms/);
  });

  const server = await FakeServer.startWebSocket();
  t.after(() => server.stop());
  const elsewhere = new Client(`${server.uri}/other?token=secret`, QUICK);
  const message = await refusal(elsewhere);
  assert.match(message, /HTTP status 400: is WebSocket at \/other there\?$/);
  assert.doesNotMatch(message, /secret/);
});

test('the request has the path and the query of the URI', async (t) => {
  let url: string | undefined;
  const server = await FakeServer.startWebSocket(undefined, (_socket, request) => {
    url = request.url;
  });
  const client = new Client(`${server.uri}/mqtt?token=secret`, QUICK);
  t.after(async () => {
    await server.stop();
    await client.disconnect({ drain: false });
  });
  await Promise.all([server.acceptClient(), client.connect()]);
  assert.equal(url, '/mqtt?token=secret');
});

test('wss: has the checks of TLS, and its sessions', async (t) => {
  const authority = new Authority();
  const sessions: boolean[] = [];
  const server = await FakeServer.startWebSocket(
    authority.issue({ name: 'server', hosts: ['127.0.0.1'] }),
    (_socket, request) => sessions.push((request.socket as TLSSocket).isSessionReused()),
  );
  const trusting = new Client(server.uri, { ...QUICK, tls: { ca: authority.cert } });
  const strict = new Client(server.uri, QUICK);
  t.after(async () => {
    await server.stop();
    await trusting.disconnect({ drain: false });
  });
  assert.match(await refusal(strict), /leads to no root that is trusted here/);
  const [first] = await Promise.all([server.acceptClient(), trusting.connect()]);
  await Promise.all([trusting.ping(), first.expect(packets.PINGREQ), first.send(packets.PINGRESP)]);
  first.cut();
  await server.acceptClient();
  assert.deepEqual(sessions, [false, true]);
});
