import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../../../src/base/errors.js';
import type { ListenerConfig } from '../../../src/base/listener-config.js';
import { silentLogger } from '../../../src/base/log.js';
import type { Accepted } from '../../../src/primary/accepted.js';
import { Acceptor } from '../../../src/primary/acceptor.js';
import type { Handoff } from '../../../src/primary/handoff.js';
import { Placement } from '../../../src/primary/placement.js';
import type { CountedAt } from '../../../src/shard/adoption.js';
import { makeCounts, makeGate } from '../../support/gate.js';
import { listenerAt } from '../../support/listeners.js';
import { eventually, within } from '../../support/waiting.js';

/** A hand-off that keeps what it is given. */
class KeepingHandoff implements Handoff {
  readonly kind = 'descriptor';
  readonly kept: Socket[] = [];
  readonly listeners: string[] = [];
  readonly places: number[] = [];
  readonly slots: number[] = [];
  onHanded: () => void = () => {};
  isDown = false;

  hand(_shardIndex: number, accepted: Accepted, { listener, place, slot }: CountedAt): boolean {
    if (this.isDown) {
      accepted.close();
      return false;
    }
    this.kept.push(accepted.toSocket());
    this.listeners.push(listener);
    this.places.push(place);
    this.slots.push(slot);
    this.onHanded();
    return true;
  }

  reclaim(): number {
    return 0;
  }
}

function setUp(maxConnections = 1000, limits: Parameters<typeof makeGate>[1] = {}) {
  const lines: { reason: string; count: number }[] = [];
  const logger = {
    ...silentLogger,
    warn: (fields: object) => lines.push(fields as { reason: string; count: number }),
  };
  const handoff = new KeepingHandoff();
  const placement = new Placement(1, { taken: () => 0, open: () => 0, isLate: () => false });
  placement.setLive(0, true);
  const gate = makeGate(1, limits);
  const counts = makeCounts(1);
  const told: string[][] = [];
  const onListeners = (listeners: readonly ListenerConfig[]): void =>
    void told.push(listeners.map(({ uri }) => uri));
  const acceptor = new Acceptor({
    logger,
    placement,
    handoff,
    gate,
    counts,
    maxConnections,
    onListeners,
  });
  const close = async (): Promise<void> => {
    for (const socket of handoff.kept) socket.destroy();
    await acceptor.close();
  };
  return { acceptor, handoff, placement, gate, counts, lines, told, close };
}

/** Connects and waits for the hand-off. */
async function connectTo(port: number, host: string, handoff: KeepingHandoff): Promise<Socket> {
  const handed = new Promise<void>((resolve) => {
    handoff.onHanded = resolve;
  });
  const client = connect(port, host);
  await within(handed, `a connection to ${host}`);
  return client;
}

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some((address) => address.address === '::1'),
);

describe('Acceptor', () => {
  it('listens on several addresses and says which socket came by which', async () => {
    const { acceptor, handoff, close } = setUp();
    const uris = ['tcp://127.0.0.1:0', 'tcp://:0', 'tcp://localhost:0'];
    if (hasIpv6) uris.push('tcp://[::1]:0');
    for (const uri of uris) await acceptor.listen(listenerAt(uri));
    assert.equal(acceptor.addresses.length, uris.length);
    for (const { kind, host, port, uri } of acceptor.addresses) {
      assert.equal(kind, 'tcp');
      assert.ok(port > 0);
      const isLocal = host === '127.0.0.1' || host === '::1';
      const client = await connectTo(port, isLocal ? host : '127.0.0.1', handoff);
      assert.equal(handoff.listeners.at(-1), uri);
      assert.equal(uri, `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`);
      client.destroy();
    }
    await close();
    assert.deepEqual(acceptor.addresses, []);
  });

  it('hands a socket over paused, with nothing read', async () => {
    const { acceptor, handoff, close } = setUp();
    const { port } = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    const client = await connectTo(port, '127.0.0.1', handoff);
    client.write('early');
    const [socket] = handoff.kept;
    assert.equal(socket.isPaused(), true);
    assert.equal(socket.bytesRead, 0);
    const data = once(socket, 'data');
    socket.resume();
    assert.equal(String((await within(data, 'the bytes'))[0]), 'early');
    client.destroy();
    await close();
  });

  it('says in one line which address cannot be listened on, and why', async () => {
    const { acceptor, close } = setUp();
    const { uri: taken } = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    const cases: [uri: string, why: RegExp][] = [
      [taken, /the port is in use \(EADDRINUSE\)/],
      ['tcp://192.0.2.1:0', /no such address \(EADDRNOTAVAIL\)/],
      ['tcp://127.0.0.1:http', /must be tcp:\/\/host:port/],
      ['ws://127.0.0.1:0/mq tt', /must be tcp:\/\/host:port/],
      ['tcp://127.0.0.1:65536', /must be tcp:\/\/host:port/],
    ];
    for (const [uri, why] of cases) {
      await assert.rejects(
        async () => acceptor.listen(listenerAt(uri)),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError);
          assert.equal(error.faults.length, 1);
          assert.ok(error.message.startsWith(`cannot listen on ${uri}: `), error.message);
          assert.match(error.message, why);
          assert.ok(!error.message.includes('\n'));
          return true;
        },
      );
    }
    assert.equal(acceptor.addresses.length, 1);
    await close();
  });

  it('tells of its listeners before connections come, with the ports that they have', async () => {
    const { acceptor, told, close } = setUp();
    const first = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    const second = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    assert.deepEqual(told, [[first.uri], [first.uri, second.uri]]);
    const change = await acceptor.prepare([]);
    acceptor.change(change, (uri) => ({ ...listenerAt(uri), allowAnonymous: true }));
    assert.deepEqual(told.at(-1), [first.uri, second.uri]);
    const [{ allowAnonymous, port }] = acceptor.listeners;
    assert.deepEqual([allowAnonymous, port], [true, first.port]);
    await close();
  });

  it('refuses what is above the limit, and goes on below it', async () => {
    const { acceptor, handoff, placement, lines, close } = setUp(2);
    const { port } = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    const clients = [
      await connectTo(port, '127.0.0.1', handoff),
      await connectTo(port, '127.0.0.1', handoff),
    ];
    const refused = connect(port, '127.0.0.1');
    refused.resume();
    await within(once(refused, 'close'), 'the third to be refused');
    assert.equal(handoff.kept.length, 2);
    assert.deepEqual(lines, [{ reason: 'max-connections', count: 1, detail: 'the limit is 2' }]);
    placement.takeBack(0);
    clients.push(await connectTo(port, '127.0.0.1', handoff));
    assert.equal(acceptor.refusedConnections, 1);
    for (const client of clients) client.destroy();
    await close();
  });

  it('refuses an address what is above its number, and lets it in again below', async () => {
    const { acceptor, handoff, gate, lines, close } = setUp(1000, { maxConnectionsPerAddress: 2 });
    const { port } = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    for (let open = 0; open < 2; open++) await connectTo(port, '127.0.0.1', handoff);
    const refused = connect(port, '127.0.0.1');
    refused.resume();
    await within(once(refused, 'close'), 'the third to be refused');
    assert.deepEqual(lines, [
      {
        reason: 'max-connections-per-address',
        count: 1,
        detail: '127.0.0.1 has 2: see maxConnectionsPerAddress',
      },
    ]);
    assert.equal(acceptor.refusals['max-connections-per-address'], 1);
    gate.limits.leave(handoff.places[0], 0);
    await connectTo(port, '127.0.0.1', handoff);
    assert.equal(handoff.kept.length, 3);
    await close();
  });

  it('gives back what it counted for a shard that is down', async () => {
    const { acceptor, handoff, gate, close } = setUp(1000, { maxConnectionsPerAddress: 1 });
    const { port } = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    handoff.isDown = true;
    for (let attempt = 0; attempt < 3; attempt++) {
      const refused = connect(port, '127.0.0.1');
      refused.resume();
      await within(once(refused, 'close'), 'it to be refused');
    }
    handoff.isDown = false;
    await connectTo(port, '127.0.0.1', handoff);
    assert.equal(gate.limits.enter('127.0.0.1', 0), -2, 'one is counted');
    await close();
  });

  for (const setting of ['connectRatePerAddress', 'connectRate'] as const) {
    it(`refuses what is above ${setting}`, async () => {
      const { acceptor, handoff, lines, close } = setUp(1000, { [setting]: 1 });
      const { port } = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
      await connectTo(port, '127.0.0.1', handoff);
      // However long these take: one more than there are seconds.
      const startedAt = performance.now();
      let refused = 0;
      for (let attempt = 0; attempt < 3; attempt++) {
        const client = connect(port, '127.0.0.1');
        client.resume();
        client.on('close', () => refused++);
        await within(once(client, 'connect'), 'a connection');
      }
      await eventually(() => refused + handoff.kept.length === 4, 'all to be decided about');
      const seconds = (performance.now() - startedAt) / 1_000;
      assert.ok(handoff.kept.length <= 2 + seconds, `${handoff.kept.length} in ${seconds} s`);
      assert.match(lines[0].reason, /^connect-rate/);
      await close();
    });
  }

  it('refuses everything while no shard is live', async () => {
    const { acceptor, placement, lines, close } = setUp();
    placement.setLive(0, false);
    const { port } = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    const refused = connect(port, '127.0.0.1');
    refused.resume();
    await within(once(refused, 'close'), 'the connection to be refused');
    assert.equal(lines[0].reason, 'no-shard');
    await close();
  });

  it('closes a listener that was still being opened when it was closed itself', async () => {
    const { acceptor, close } = setUp();
    const opening = acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    await close();
    const { port } = await opening;
    const client = connect(port, '127.0.0.1');
    const [error] = await within(once(client, 'error'), 'the connection to fail');
    assert.equal(error.code, 'ECONNREFUSED');
  });
});

/** What few-descriptors.ts logs, and what else it says. */
interface LogLine {
  readonly reason: string;
  readonly count: number;
  readonly message: string;
}
type ChildMessage = LogLine | { readonly port: number } | { readonly filled: number };

describe('Acceptor, when descriptors run out', () => {
  let child: ChildProcess;
  let port: number;
  const lines: LogLine[] = [];
  let onLine: () => void = () => {};
  let onFilled: () => void = () => {};
  before(async () => {
    const script = fileURLToPath(new URL('./few-descriptors.js', import.meta.url));
    // The shell lowers its own limit and becomes the program.
    const command = 'ulimit -n "$0"; exec "$1" "$2"';
    child = spawn('/bin/sh', ['-c', command, '64', process.execPath, script], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    port = await within(
      new Promise<number>((resolve) => {
        child.on('message', (message: ChildMessage) => {
          if ('port' in message) resolve(message.port);
          else if ('filled' in message) onFilled();
          else lines.push(message);
          onLine();
        });
      }),
      'the listener',
    );
  });
  after(() => child.kill('SIGKILL'));

  function nextLine(): Promise<void> {
    return within(new Promise<void>((resolve) => (onLine = resolve)), 'a log line');
  }

  /** Connects; true when the shard answered, false when the connection was closed. */
  async function isServed(sockets: Socket[]): Promise<boolean> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('?');
    const answered = new Promise<boolean>((resolve) => {
      socket.on('data', () => resolve(true));
      socket.on('close', () => resolve(false));
    });
    const served = await within(answered, 'an answer or a close');
    if (served) sockets.push(socket);
    return served;
  }

  it('refuses, says so once a second, and serves again when some are free', async () => {
    const sockets: Socket[] = [];
    let refused = 0;
    const begin = performance.now();
    for (let time = 0; time < 100; time++) if (!(await isServed(sockets))) refused++;
    assert.ok(sockets.length > 5, `${sockets.length} served`);
    assert.ok(refused > 20, `${refused} refused`);
    const told = (): number => lines.reduce((sum, line) => sum + line.count, 0);
    while (told() < refused) await nextLine();
    assert.equal(told(), refused);
    assert.equal(lines[0].count, 1, 'the first is told at once');
    for (const { reason, message } of lines) {
      assert.equal(reason, 'descriptors-exhausted');
      assert.equal(message, 'connections refused');
    }
    const seconds = (performance.now() - begin) / 1000;
    assert.ok(lines.length <= 2 + seconds, `${lines.length} lines in ${seconds} s`);
    for (const socket of sockets.splice(0, 5)) {
      socket.end();
      await within(once(socket, 'close'), 'a client to go');
    }
    assert.equal(await isServed(sockets), true);
    for (const socket of sockets) socket.destroy();
  });

  it('says so too when not even accept finds one, which nobody is told', async () => {
    lines.length = 0;
    const filled = new Promise<void>((resolve) => {
      onFilled = resolve;
    });
    child.send('fill');
    await within(filled, 'the child to take all descriptors');
    assert.equal(await isServed([]), false);
    while (lines.length === 0) await nextLine();
    assert.equal(lines[0].reason, 'descriptors-exhausted');
    assert.equal(lines[0].count, 0, 'how many is not known');
    child.send('free');
    const sockets: Socket[] = [];
    assert.equal(await isServed(sockets), true);
    for (const socket of sockets) socket.destroy();
  });
});
