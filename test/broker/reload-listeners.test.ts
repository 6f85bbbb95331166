/** Listeners of a reloaded configuration: those that stay keep their clients. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { freePort } from '../../bench/support/free-port.js';
import { Server, type ServerOptions } from '../../src/index.js';
import { connect5, parseSaid } from '../support/packets5.js';
import { RawClient } from '../support/raw-client.js';
import { TestClient } from '../support/test-client.js';
import { within } from '../support/waiting.js';

const HOST = '127.0.0.1';

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

const optionsAt = (...ports: number[]): ServerOptions => ({
  workers: 2,
  sessionsProvider: 'mem',
  listen: ports.map((port) => `tcp://${HOST}:${port}`),
});

async function serverAt(...ports: number[]): Promise<Server> {
  const server = new Server(optionsAt(...ports));
  await server.listenAndServe();
  return server;
}

const portsOf = (server: Server): number[] => server.addresses.map(({ port }) => port);

describe('a reload that changes listeners', () => {
  test('opens new ones, keeps others with their clients, and closes those removed', async () => {
    const [first, second, third] = await freePorts(3);
    await using server = await serverAt(first, second);
    const staying = await TestClient.connect({ host: HOST, port: second });
    const leaving = await RawClient.open({ host: HOST, port: first });
    leaving.send(connect5({ clientId: 'leaving' }));
    await leaving.readPacket('CONNACK');
    const { changed } = await server.reload(optionsAt(second, third));
    assert.deepEqual(changed, ['listeners']);
    assert.deepEqual(portsOf(server), [second, third]);
    // Administrative action
    const said = parseSaid(await leaving.readPacket('DISCONNECT'));
    assert.deepEqual([said.type, said.code], [14, 0x98]);
    await leaving.untilClosed();
    const coming = await TestClient.connect({ host: HOST, port: third });
    await staying.subscribe(['a', 0]);
    await coming.publish('a', 'still here');
    assert.equal((await staying.nextMessage()).payload, 'still here');
    await assert.rejects(RawClient.open({ host: HOST, port: first }));
    await staying.raw.cut();
    await coming.raw.cut();
  });

  test('is refused as a whole when one cannot be had', async () => {
    const [first, free] = await freePorts(2);
    await using server = await serverAt(first);
    const client = await TestClient.connect({ host: HOST, port: first });
    const taken = createServer().listen(0, HOST);
    await once(taken, 'listening');
    const address = taken.address();
    const busy = typeof address === 'object' && address !== null ? address.port : 0;
    const wanted = { ...optionsAt(free, busy), maxSubscriptions: 1 };
    await assert.rejects(server.reload(wanted), {
      name: 'ConfigError',
      message: `cannot listen on tcp://${HOST}:${busy}: the port is in use (EADDRINUSE)`,
    });
    taken.close();
    assert.deepEqual(portsOf(server), [first]);
    assert.deepEqual(await client.subscribe(['a', 0], ['b', 0]), [0, 0]);
    await assert.rejects(RawClient.open({ host: HOST, port: free }));
    await client.raw.cut();
  });

  test('from one address to all, or back, needs two steps, and says so', async () => {
    const [port, other] = await freePorts(2);
    await using server = await serverAt(port);
    const at = (uri: string): ServerOptions => ({ workers: 2, listen: uri, allowAnonymous: true });
    const inTheWay =
      /^ConfigError: cannot listen on tcp:.*: this broker listens at tcp:.*: reload once/;
    await assert.rejects(server.reload(at(`tcp://0.0.0.0:${port}`)), inTheWay);
    assert.deepEqual(portsOf(server), [port]);
    await server.reload(at(`tcp://${HOST}:${other}`));
    await server.reload(at(`tcp://0.0.0.0:${port}`));
    await assert.rejects(server.reload(at(`tcp://${HOST}:${port}`)), inTheWay);
    assert.deepEqual(
      server.addresses.map(({ host }) => host),
      ['0.0.0.0'],
    );
  });

  test('leaves those alone that the program has asked for itself', async () => {
    const [configured] = await freePorts(1);
    await using server = new Server(optionsAt(configured));
    await server.listenAndServe(`tcp://${HOST}:0`);
    const [port] = portsOf(server);
    await server.reload({ workers: 2, listen: `tcp://${HOST}:0` });
    assert.deepEqual(portsOf(server), [port]);
    await TestClient.connect({ host: HOST, port }).then((client) => client.raw.cut());
  });

  test('does not open to everybody what nobody was let in to before', async () => {
    const [port] = await freePorts(1);
    await using server = await serverAt(port);
    const open = { ...optionsAt(port), listen: [`tcp://${HOST}:${port}`, 'tcp://:0'] };
    await assert.rejects(server.reload(open), /cannot listen on tcp:\/\/:0: everybody could/);
    assert.deepEqual(portsOf(server), [port]);
  });

  test('twenty reloads without options that wait are one', async () => {
    const [port] = await freePorts(1);
    await using server = await serverAt(port);
    let reloads = 0;
    server.on('reloaded', () => {
      reloads++;
    });
    const results = await within(
      Promise.all(Array.from({ length: 20 }, () => server.reload())),
      'the reloads',
    );
    assert.equal(new Set(results).size, 1);
    assert.ok(reloads <= 1);
  });
});
