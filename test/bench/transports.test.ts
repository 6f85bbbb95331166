/** The load over each transport: what it sends and reads, and frames of WebSocket by themselves. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { WebSocketServer } from 'ws';
import { Authority } from '../../bench/support/certificates.js';
import { maskedFrame, WebSocketFrames } from '../../bench/support/web-socket.js';
import { byWebSocket } from '../interop/web-socket-relay.js';
import { startBroker } from '../support/broker.js';
import { runTiny } from './tiny.js';

/** A relay to a broker of its own, listening as `open` says. */
async function relayed(
  t: TestContext,
  open: (onConnection: (socket: Socket) => void) => ReturnType<typeof createTcpServer>,
  at: string | number,
): Promise<ReturnType<typeof createTcpServer>> {
  const broker = await startBroker({ workers: 1 });
  const server = open((socket) => {
    const other = connect({ port: broker.port, host: '127.0.0.1', noDelay: true });
    for (const one of [socket, other]) one.on('error', () => {});
    socket.on('close', () => other.destroy());
    other.on('close', () => socket.destroy());
    socket.pipe(other).pipe(socket);
  });
  if (typeof at === 'string') server.listen(at);
  else server.listen(at, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    await broker.close();
  });
  return server;
}

/** Every message of a small load arrives. */
async function assertDelivers(port: number, transport: string, host = '127.0.0.1'): Promise<void> {
  for (const [pattern, qos] of [
    ['fan-out', '0'],
    ['one', '2'],
  ] as const) {
    const flags = { clients: '3', qos, transport, payload: '200' };
    const [cell] = await runTiny([pattern], port, flags, host);
    assert.deepEqual(cell.rounds[0].faults, []);
  }
}

const portOf = (server: ReturnType<typeof createTcpServer>): number => {
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  return address.port;
};

test('a load by TLS delivers every message', async (t) => {
  const identity = new Authority().issue({ name: 'server' });
  const server = await relayed(t, (onConnection) => createTlsServer(identity, onConnection), 0);
  await assertDelivers(portOf(server), 'tls');
});

test('a load by a unix socket delivers every message', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'surgemq-bench-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'socket');
  await relayed(t, createTcpServer, path);
  await assertDelivers(0, 'unix', path);
});

test('a load by WebSocket delivers every message', async (t) => {
  const relay = await byWebSocket(await startBroker({ workers: 1 }));
  t.after(() => relay.close());
  await assertDelivers(relay.port, 'ws');
});

test('a load finds out that a broker does not speak WebSocket', async (t) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const run = runTiny(['one'], portOf(server), { transport: 'ws' });
  await assert.rejects(run, /does not speak WebSocket at \/mqtt: HTTP\/1\.1 404/);
});

test('frames are masked as another implementation takes them', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  const frames = new WebSocketFrames((pong) => socket.write(pong));
  const connection = once(server, 'connection');
  socket.write(frames.request('127.0.0.1', port));
  const [webSocket] = await connection;
  const received: Buffer[] = [];
  let bytes = 0;
  const source = Buffer.from(Array.from({ length: 70_000 }, (_, at) => at));
  const lengths = [1, 2, 3, 125, 126, 127, 65_535, 65_536, 69_999];
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const isAllThere = new Promise<void>((resolve) => {
    webSocket.on('message', (data: Buffer) => {
      received.push(data);
      bytes += data.length;
      if (bytes === total) resolve();
    });
  });
  for (const length of lengths) socket.write(frames.wrap(source, 1, 1 + length));
  await isAllThere;
  for (const [at, length] of lengths.entries()) {
    assert.ok(received[at].equals(source.subarray(1, 1 + length)), `${length} bytes`);
  }
});

test('frames of a server are read however they are cut, and pings are answered', () => {
  const pongs: Buffer[] = [];
  const head = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');
  const unmasked = (first: number, text: string): Buffer => {
    const length = Buffer.byteLength(text);
    const lengths = length < 126 ? [length] : [126, length >> 8, length & 0xff];
    return Buffer.from([first, ...lengths, ...Buffer.from(text)]);
  };
  const bytes = Buffer.concat([
    head,
    unmasked(0x82, 'one'),
    unmasked(0x89, 'ping'),
    unmasked(0x02, 'two'),
    unmasked(0x8a, ''),
    unmasked(0x80, ''),
    unmasked(0x82, 'x'.repeat(300)),
  ]);
  for (const size of [1, 2, 7, bytes.length]) {
    const frames = new WebSocketFrames((pong) => pongs.push(pong));
    let text = '';
    for (let at = 0; at < bytes.length; at += size) {
      const read = Buffer.from(bytes.subarray(at, at + size));
      text += read.toString('latin1', 0, frames.unwrap(read, read.length));
    }
    assert.equal(text, `onetwo${'x'.repeat(300)}`);
    assert.deepEqual(pongs.pop(), maskedFrame(0x8a, Buffer.from('ping'), 0, 4));
    const close = unmasked(0x88, '\u0003\u0001');
    assert.throws(() => frames.unwrap(close, close.length), /closed the WebSocket, code 769/);
  }
});
