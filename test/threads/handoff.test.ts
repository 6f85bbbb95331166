import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { MessageChannel, type Transferable, Worker } from 'node:worker_threads';
import { silentLogger } from '../../src/base/log.js';
import { Acceptor, type BoundAddress } from '../../src/primary/acceptor.js';
import {
  canTransferSockets,
  chooseHandoff,
  DescriptorHandoff,
  type Handoff,
  type PostToShard,
  SocketHandoff,
} from '../../src/primary/handoff.js';
import { Placement } from '../../src/primary/placement.js';
import type { ToShard } from '../../src/shard/control.js';
import { makeCounts, makeGate } from '../support/gate.js';
import { listenerAt } from '../support/listeners.js';
import { eventually, within } from '../support/waiting.js';
import type { HandoffWorkerData } from './handoff-worker.js';

const SHARDS = 2;
const TAKEN = 0;
const OPEN = 1;
const HELD = 2;

/** Two echoing shards, and everything in front of them. */
class Stage {
  readonly words: Int32Array<SharedArrayBuffer>[] = [];
  readonly workers: Worker[] = [];
  readonly listeners = new Set<string>();
  readonly placement: Placement;
  readonly handoff: Handoff;
  readonly acceptor: Acceptor;
  readonly #isDown = new Set<number>();

  constructor(makeHandoff: (post: PostToShard, taken: (index: number) => number) => Handoff) {
    for (let index = 0; index < SHARDS; index++) {
      this.words[index] = new Int32Array(new SharedArrayBuffer(12));
      const workerData: HandoffWorkerData = { words: this.words[index] };
      this.workers[index] = new Worker(new URL('./handoff-worker.js', import.meta.url), {
        workerData,
      });
    }
    const taken = (index: number) => Atomics.load(this.words[index], TAKEN);
    const open = (index: number) => Atomics.load(this.words[index], OPEN);
    this.placement = new Placement(SHARDS, { taken, open, isLate: () => false });
    for (let index = 0; index < SHARDS; index++) this.placement.setLive(index, true);
    this.handoff = makeHandoff(
      (index, message, transfer) => this.#post(index, message, transfer),
      taken,
    );
    this.acceptor = new Acceptor({
      logger: silentLogger,
      placement: this.placement,
      handoff: this.handoff,
      gate: makeGate(SHARDS),
      counts: makeCounts(SHARDS),
      maxConnections: 10_000,
      onListeners: () => {},
    });
  }

  /**
   * Starts to listen, and lets each shard have a connection: its first makes libuv open a
   * descriptor.
   */
  async ready(): Promise<BoundAddress> {
    await within(
      Promise.all(this.workers.map((worker) => once(worker, 'message'))),
      'the shards to start',
    );
    const address = await this.acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
    for (let shard = 0; shard < SHARDS; shard++) await exchange(address.port, 'warm up');
    await eventually(() => this.placement.totalLoad() === 0, 'the shards to close');
    return address;
  }

  /** Sockets that the shards have taken, without those of the warming up. */
  taken(): number[] {
    return this.words.map((words) => Atomics.load(words, TAKEN) - 1);
  }

  async kill(index: number): Promise<void> {
    this.#isDown.add(index);
    this.placement.setLive(index, false);
    await this.workers[index].terminate();
  }

  async close(): Promise<void> {
    await this.acceptor.close();
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  #post(index: number, message: ToShard, transfer?: readonly Transferable[]): boolean {
    if (this.#isDown.has(index)) return false;
    if ('listener' in message) this.listeners.add(message.listener);
    this.workers[index].postMessage(message, transfer);
    return true;
  }
}

function openDescriptors(): number {
  return readdirSync('/dev/fd').length;
}

/**
 * Connects, says something at once, and resolves with the echo when it is all there and both have
 * closed.
 */
async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  let echoed = '';
  socket.on('data', (data) => {
    echoed += String(data);
    if (echoed.length >= text.length) socket.end();
  });
  await within(once(socket, 'close'), `the echo of ${text.slice(0, 20)}`);
  return echoed;
}

/** A client that has connected and waits; resolves with a function that says how it was closed. */
async function linger(port: number): Promise<{ closed: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  socket.resume();
  await within(once(socket, 'connect'), 'a connection');
  return { closed };
}

function describeHandoff(
  name: string,
  makeHandoff: (post: PostToShard, taken: (index: number) => number) => Handoff,
): void {
  describe(`hand-off by ${name}`, () => {
    let stage: Stage;
    let address: BoundAddress;
    before(async () => {
      stage = new Stage(makeHandoff);
      address = await stage.ready();
    });
    after(() => stage.close());

    it('gives hundreds of sockets to two shards with every byte, and leaks none', async () => {
      const before = openDescriptors();
      for (let round = 0; round < 4; round++) {
        const clients = Array.from({ length: 100 }, (_, at) => {
          const text = `${round}.${at}:`.padEnd((at * 97) % 9000, 'b');
          return exchange(address.port, text).then((echoed) => assert.equal(echoed, text));
        });
        await Promise.all(clients);
      }
      const taken = stage.taken();
      assert.equal(taken[0] + taken[1], 400);
      assert.ok(Math.min(...taken) > 100, `both have their share: ${taken}`);
      await eventually(() => stage.placement.totalLoad() === 0, 'the shards to close');
      await eventually(() => openDescriptors() === before, `${before} open descriptors again`);
      assert.deepEqual([...stage.listeners], [address.uri]);
      assert.equal(stage.acceptor.refusedConnections, 0);
    });
  });
}

describeHandoff('descriptor', (post, taken) => new DescriptorHandoff(post, taken));
// Newer runtimes can; what older ones do instead is tested below.
if (canTransferSockets()) describeHandoff('socket', (post) => new SocketHandoff(post));

describe('chooseHandoff', () => {
  it('prefers descriptors where the C library can be called', () => {
    assert.equal(
      chooseHandoff(
        () => true,
        () => 0,
      ).kind,
      'descriptor',
    );
  });

  // Not from its version: it came to 24 within that line.
  it('asks the runtime whether it moves sockets, and is told the truth', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await within(once(server, 'listening'), 'a server');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await within(once(client, 'connect'), 'a connection');
    const { port1, port2 } = new MessageChannel();
    const socket: unknown = client;
    let isMoved = true;
    try {
      port1.postMessage(socket, [socket as Transferable]);
    } catch {
      isMoved = false;
    }
    assert.equal(canTransferSockets(), isMoved);
    client.destroy();
    port1.close();
    port2.close();
    server.close();
  });
});

describe('hand-off to a shard that dies', () => {
  it('closes what the shard was given and had not taken, and nothing else', async () => {
    const stage = new Stage((post, taken) => new DescriptorHandoff(post, taken));
    try {
      const { port } = await stage.ready();
      const before = openDescriptors();
      // Shard 1 holds two, and four more that it will never see.
      stage.placement.setLive(0, false);
      const held = [await linger(port), await linger(port)];
      await eventually(() => stage.taken()[1] === 2, 'two to be taken');
      Atomics.store(stage.words[1], HELD, 1);
      // The first of these is the message that it hangs at.
      const lost = [await linger(port), await linger(port), await linger(port)];
      await eventually(() => openDescriptors() === before + 10, 'all five to be on their way');
      await stage.kill(1);
      await Promise.all(held.map((client) => within(client.closed, 'a held connection to close')));
      assert.equal(stage.handoff.reclaim(1), 3);
      await Promise.all(lost.map((client) => within(client.closed, 'a lost connection to close')));
      assert.equal(stage.handoff.reclaim(1), 0);
    } finally {
      await stage.close();
    }
  });

  it('closes a connection at once when the shard is down, and tries no other', async () => {
    const stage = new Stage((post, taken) => new DescriptorHandoff(post, taken));
    try {
      const { port } = await stage.ready();
      await stage.kill(0);
      await stage.kill(1);
      stage.placement.setLive(1, true);
      const before = openDescriptors();
      const { closed } = await linger(port);
      await within(closed, 'the connection to be refused');
      await eventually(() => openDescriptors() === before, 'no descriptor to be left');
      assert.equal(stage.acceptor.refusedConnections, 1);
      assert.equal(stage.placement.totalLoad(), 0);
    } finally {
      await stage.close();
    }
  });
});
