/** A broker that may use little memory, and clients that would have it use much. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ServerOptions, ServerStats } from '../../src/index.js';
import { unique } from '../support/broker.js';
import { connack, connect, publish } from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { TestClient } from '../support/test-client.js';

const MIB = 1024 * 1024;
const PROGRAM = fileURLToPath(new URL('../support/limited-broker.js', import.meta.url));

class LimitedBroker implements AsyncDisposable {
  readonly lines: { readonly message: string }[] = [];
  readonly #child: ChildProcess;
  host = '127.0.0.1';
  port = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(options: ServerOptions): Promise<LimitedBroker> {
    const broker = new LimitedBroker(fork(PROGRAM, [JSON.stringify(options)]));
    const [{ address }] = await once(broker.#child, 'message');
    Object.assign(broker, address);
    return broker;
  }

  async stats(): Promise<ServerStats> {
    this.#child.send('stats');
    const [{ stats, lines }] = await once(this.#child, 'message');
    this.lines.push(...lines);
    return stats;
  }

  /** Looks until `holds`. @returns what held. */
  async until(holds: (stats: ServerStats) => boolean, what: string): Promise<ServerStats> {
    for (const end = performance.now() + 40_000; ; ) {
      const stats = await this.stats();
      if (holds(stats)) return stats;
      if (performance.now() > end) {
        const { memoryUsedBytes, memoryLevel, queuedBytes, outboxBytes } = stats;
        const told = { memoryUsedBytes, memoryLevel, queuedBytes, outboxBytes };
        throw new Error(`waited for ${what}: ${JSON.stringify(told)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}

/** Publishes without end, as fast as it is read; counts nothing. */
class Flood {
  #isOver = false;
  readonly #client: RawClient;
  readonly #bytes: Buffer;
  readonly done: Promise<void>;

  constructor(client: RawClient, topics: readonly string[], payloadBytes: number) {
    const payload = Buffer.alloc(payloadBytes);
    this.#bytes = Buffer.concat(topics.map((topic) => publish({ topic, payload, qos: 0 })));
    this.#client = client;
    this.done = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isOver && !this.#client.isClosed) await this.#client.sendAll(this.#bytes);
  }

  /** Ends it; the client is cut. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#client.cut();
    await this.done;
  }
}

for (const workers of [1, 2]) {
  describe(`a broker of little memory, ${workers} workers`, () => {
    test('survives slow readers that are flooded, and serves others meanwhile', async () => {
      const limitBytes = (160 + 60 * workers) * MIB;
      await using broker = await LimitedBroker.start({ workers, memoryLimit: limitBytes });
      const topics = Array.from({ length: 20 }, () => unique('flood'));
      const slow = [];
      for (const topic of topics) {
        const client = await TestClient.connect(broker, { clientId: unique('slow') });
        await client.subscribe([topic, 0]);
        client.raw.pauseReading();
        slow.push(client);
      }
      const floods: Flood[] = [];
      for (let n = 0; n < 4; n++) {
        const client = await RawClient.open(broker);
        client.send(connect({ clientId: unique('flood') }));
        await client.expect(connack(false, 0));
        floods.push(new Flood(client, topics, 16_384));
      }
      const other = await TestClient.connect(broker, { clientId: unique('other') });
      const before = (await broker.stats()).droppedSlowConsumer;
      let worst = 0;
      for (const end = performance.now() + 5_000; performance.now() < end; ) {
        await other.ping();
        worst = Math.max(worst, (await broker.stats()).memoryUsedBytes);
      }
      assert.ok(worst < limitBytes, `${worst / MIB} MiB`);
      await broker.until(({ droppedSlowConsumer }) => droppedSlowConsumer > before, 'losses');
      for (const flood of floods) await flood.stop();
      for (const client of slow) await client.raw.cut();
      await broker.until(({ memoryLevel, outboxBytes }) => {
        return memoryLevel === 0 && outboxBytes === 0;
      }, 'memory to be ample again');
      await other.raw.cut();
    });

    test('refuses new clients near its limit, and takes them when it has memory', async () => {
      let limitBytes = 0;
      {
        // What it takes with nothing to do differs from machine to machine: and 25 MiB a worker
        // once it has had something. That is to be below the three quarters at which all is well.
        await using idle = await LimitedBroker.start({ workers });
        const { memoryUsedBytes } = await idle.stats();
        limitBytes = Math.ceil((memoryUsedBytes + 25 * MIB * workers) / 0.7);
      }
      await using broker = await LimitedBroker.start({ workers, memoryLimit: limitBytes });
      const publisher = await TestClient.connect(broker, { clientId: unique('publisher') });
      const sleepers = [];
      const payload = 'x'.repeat(256 * 1024);
      let isShort = false;
      let worst = 0;
      for (let n = 0; n < 120; n++) {
        const clientId = unique('sleeper');
        const options = { clientId, cleanSession: false };
        const client = await TestClient.connect(broker, options).catch(() => null);
        // Refused: no memory for new sessions.
        isShort ||= client === null;
        if (client === null) break;
        await client.subscribe([clientId, 1]);
        await client.raw.cut();
        sleepers.push(clientId);
        const sent = [];
        for (let m = 0; m < 12; m++) sent.push(publisher.publish(clientId, payload, { qos: 1 }));
        await Promise.all(sent);
        const stats = await broker.stats();
        worst = Math.max(worst, stats.memoryUsedBytes);
        isShort ||= stats.memoryLevel >= 2;
      }
      assert.ok(isShort, `${worst / MIB} MiB of ${limitBytes / MIB}`);
      const { memoryUsedBytes } = await broker.stats();
      assert.ok(Math.max(worst, memoryUsedBytes) < limitBytes * 1.1, `${worst / MIB} MiB`);
      assert.ok(broker.lines.some(({ message }) => /^memory is /.test(message)));
      // Those that have a session get in, and take what waits for them.
      for (const clientId of sleepers) {
        const client = await TestClient.connect(broker, { clientId, cleanSession: false });
        await client.ping();
        await client.unsubscribe(clientId);
        await client.raw.end();
      }
      await broker.until(({ memoryLevel }) => memoryLevel === 0, 'memory to be ample again');
      await publisher.publish(unique('t'), 'x', { qos: 1 });
      await (await TestClient.connect(broker, { clientId: unique('new') })).raw.cut();
      await publisher.raw.cut();
    });
  });
}
