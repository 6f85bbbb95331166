/** Clients of the load generator that come and go. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { idleClient } from '../../bench/support/exchange-plan.js';
import { GroupCheck } from '../../bench/support/group-check.js';
import { LoadClient } from '../../bench/support/load-client.js';
import { type ClientPlan, type LoadShare, newProgress } from '../../bench/support/load-plan.js';
import { LoadThread } from '../../bench/support/load-thread.js';
import { AckBatch, viewedBytes } from '../../bench/support/receiver.js';

const VERSION_4 = { version: 4, hasAliases: false } as const;
const CONNACK = Buffer.from([0x20, 2, 0, 0]);
const REFUSED = Buffer.from([0x20, 2, 0, 5]);

/** Listens until the test is over. @param onConnect called with each CONNECT, counted from 0. */
async function listen(onConnect: (socket: Socket, index: number) => void) {
  let connections = 0;
  const sockets: Socket[] = [];
  // Half open: what a client has closed stays open here until it is ended.
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    const index = connections++;
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => onConnect(socket, index));
    socket.on('end', () => server.emit('left', index));
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    server,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('the end of its former connection is not taken for the end of the one after it', async () => {
  await using broker = await listen((socket, index) => {
    if (index === 0) {
      socket.write(CONNACK);
      return;
    }
    // The former one ends while the client waits for its CONNACK, which comes a read later.
    broker.sockets[0].end(() => setImmediate(() => socket.write(CONNACK)));
  });
  const host = {
    host: '127.0.0.1',
    port: broker.port,
    transport: 'tcp' as const,
    chunkBytes: 1_024,
    readBuffer: viewedBytes(1_024),
    acks: new AckBatch(1_024),
    latency: null,
    isSampled: false,
    isSinceSubscribe: false,
    groupCheck: (_: number, publishers: number) => new GroupCheck(publishers),
    onAnswer() {},
    onDelivered() {},
    onReady() {},
  };
  const client = new LoadClient(host, { ...idleClient('visitor', VERSION_4), stayMs: 1 });
  await client.connect();
  const left = once(broker.server, 'left');
  client.close();
  await left;
  await client.connect();
  client.close();
});

test('a visit that fails while others publish is reported by its phase', async () => {
  await using broker = await listen((socket) => socket.write(REFUSED));
  const subscribe = { filters: { kind: 'one', filter: 'a' }, qos: 0, receive: null } as const;
  const clients: ClientPlan[] = [{ ...idleClient('visitor', VERSION_4), subscribe, stayMs: 1 }];
  const share: LoadShare = {
    clients,
    publisherCount: 0,
    ratePerSecond: 0,
    latency: 'none',
    host: '127.0.0.1',
    port: broker.port,
    transport: 'tcp',
    stallMs: 10_000,
    connectConcurrency: 1,
    chunkBytes: 1_024,
    receivers: new Float64Array(0),
    ahead: 1,
    progress: newProgress(1),
    threadIndex: 0,
  };
  const thread = new LoadThread(share);
  await thread.run({ type: 'publish', messages: 0, durationMs: 20 });
  // Were it not kept, the refusal would end the whole process before anyone asks for it.
  const receive = thread.run({ type: 'receive', totals: new Float64Array(0) });
  await assert.rejects(receive, /client visitor: refused with return code 5/);
  await thread.run({ type: 'close' });
});
