/**
 * A bounded chaos run against a broker, with an oracle:
 * `node dist/scripts/soak.js --seconds 60 --seed 7 --workers 3 --kills 2`. Every second client
 * comes by TLS, and the configuration is reloaded all the while. With `--sessions lmdb` it has a
 * store. Says what went wrong and ends with 1 if anything did; ends with figures otherwise.
 */
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random } from '../test/fuzz/random.js';
import { connect } from '../test/support/packets.js';
import { type Endpoint, RawClient } from '../test/support/raw-client.js';
import { TestClient } from '../test/support/test-client.js';
import { TlsFiles } from '../test/support/tls-broker.js';
import { SoakBroker } from './soak-broker.js';
import { SoakPublisher, SoakSubscriber } from './soak-clients.js';
import { MemoryWatch } from './soak-memory.js';

const PUBLISHERS = 6;
/** Longest that a shard may be away from its event loop, in milliseconds, on a busy machine. */
const PING_MAX_MS = 2_000;
const FINISH_MS = 20_000;
const authenticator = new URL('../test/support/lethal-authenticator.js', import.meta.url).href;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    workers: { type: 'string', default: '3' },
    kills: { type: 'string', default: '0' },
    sessions: { type: 'string', default: 'mem' },
  },
});
const seed = Number(values.seed);
const random = new Random(seed);
const faults: string[] = [];

/** Round trips of PINGREQ: how long a shard is away from its event loop. */
class Pinger {
  longestMs = 0;
  isStopping = false;
  readonly #at: Endpoint;

  constructor(at: Endpoint) {
    this.#at = at;
  }

  async run(): Promise<void> {
    let client: TestClient | null = null;
    while (!this.isStopping) {
      try {
        if (client === null || client.raw.isClosed) client = await TestClient.connect(this.#at);
        const from = performance.now();
        await client.ping();
        this.longestMs = Math.max(this.longestMs, performance.now() - from);
      } catch {
        client = null;
      }
      await delay(10);
    }
    await client?.cut();
  }
}

/** Retained messages set and cleared, and wills of clients that are cut. */
class Extras {
  readonly retained = new Map<string, string>();
  readonly #at: Endpoint;
  #watcher: TestClient | null = null;
  #setter: TestClient | null = null;
  willsDue = 0;

  constructor(at: Endpoint) {
    this.#at = at;
  }

  async step(): Promise<void> {
    if (this.#watcher === null) {
      this.#watcher = await TestClient.connect(this.#at, { clientId: 'soak-watcher' });
      await this.#watcher.subscribe(['will/#', 1]);
    }
    if (this.#setter === null) {
      this.#setter = await TestClient.connect(this.#at, { clientId: 'soak-setter' });
    }
    for (let left = 5; left > 0; left--) {
      const topic = `retained/${random.below(200)}`;
      const payload = random.onceIn(3) ? '' : `${random.below(1_000_000)}`;
      await this.#setter.publish(topic, payload, { retain: true, qos: 1 });
      if (payload === '') this.retained.delete(topic);
      else this.retained.set(topic, payload);
    }
    const will = { topic: `will/${this.willsDue}`, payload: 'gone', qos: 1 };
    const client = await TestClient.connect(this.#at, { clientId: 'soak-will', will });
    this.willsDue++;
    await client.cut();
  }

  /** A shard died: nothing of before can be relied on. */
  async begin(): Promise<void> {
    await this.#watcher?.cut();
    await this.#setter?.cut();
    this.#watcher = null;
    this.#setter = null;
    this.willsDue = 0;
    const client = await TestClient.connect(this.#at);
    for (let topic = 0; topic < 200; topic++) {
      await client.publish(`retained/${topic}`, '', { retain: true, qos: 1 });
    }
    await client.cut();
    this.retained.clear();
  }

  async finish(): Promise<void> {
    if (this.#watcher === null) return;
    const late = await TestClient.connect(this.#at);
    await late.subscribe(['retained/#', 0], ['end', 0]);
    const wanted = this.retained.size;
    await late.until(() => late.messages.length >= wanted, 'retained messages').catch(() => {});
    await delay(200);
    const found = new Map(late.messages.map(({ topic, payload }) => [topic, payload]));
    for (const [topic, payload] of this.retained) {
      if (found.get(topic) !== payload)
        faults.push(`${topic}: ${found.get(topic)}, not ${payload}`);
    }
    if (late.messages.length !== wanted) {
      faults.push(`${late.messages.length} retained messages, not ${wanted}`);
    }
    const wills = this.#watcher.messages.length;
    if (wills !== this.willsDue) faults.push(`${wills} wills, not ${this.willsDue}`);
    for (const each of [late, this.#watcher, this.#setter]) await each?.cut();
  }
}

const files = new TlsFiles();
const broker = await SoakBroker.start({
  workers: Number(values.workers),
  listen: 'tcp://127.0.0.1:0,tls://127.0.0.1:0',
  sessionsProvider: values.sessions,
  dataDir: files.path('data'),
  authenticator,
  // How busy the machine is must not decide who is let in.
  maxLoopDelay: 0,
  ringBytes: 262_144,
  outboxBytes: 65_536,
  maxQueuedMessages: 10_000_000,
  slowConsumerTimeout: 0.5,
  ...files.options,
});
const at = broker.addresses[0];
const encrypted = { ...broker.addresses[1], tls: files.clientTls };
/** Where a client connects to. */
const wayOf = (index: number): Endpoint => (index % 2 === 0 ? at : encrypted);
const published = new Map<string, number>();
const publishers = Array.from(
  { length: PUBLISHERS },
  (_, index) => new SoakPublisher(index, wayOf(index), random, published),
);
const subscribers = [0, 1, 2].flatMap((qos) =>
  [0, 1, 2, 3, 4, 5].map((index) => {
    const filters = [['soak/#'], ['soak/+/1', 'soak/+/2'], [...published.keys()]][index % 3];
    const plan = {
      clientId: `soak-subscriber-${qos}-${index}`,
      filters,
      qos: qos as 0 | 1 | 2,
      cleanSession: index < 2,
      isSlow: index % 2 === 1,
    };
    return new SoakSubscriber(plan, wayOf(index + qos), random, published);
  }),
);
const extras = new Extras(at);
const pingers = Array.from({ length: Number(values.workers) * 2 }, () => new Pinger(at));

/** Steps of one client until told to stop; a fault is noted and the client goes on. */
async function drive(client: { step(): Promise<void> }, until: () => boolean): Promise<void> {
  while (!until()) {
    try {
      await client.step();
    } catch (error) {
      const { message } = error as Error;
      // A takeover or a death closes connections in the middle of anything.
      if (!/connection closed|ECONN/.test(message)) faults.push(message);
    }
    await delay(random.below(8));
  }
}

/** Everything acknowledged has come: waits for it. */
async function settle(): Promise<void> {
  for (const publisher of publishers) await publisher.finish();
  for (const subscriber of subscribers) await subscriber.finish();
  const deadline = Date.now() + FINISH_MS;
  const missing = () => subscribers.flatMap((subscriber) => subscriber.missing());
  while (missing().length > 0 && Date.now() < deadline) await delay(20);
  faults.push(...missing());
  for (const subscriber of subscribers) faults.push(...subscriber.oracle.faults.splice(0));
}

/** Kills a shard; every session may be gone, so all begin anew. */
async function kill(): Promise<void> {
  const started = broker.shardStarted();
  const lethal = await RawClient.open(at);
  lethal.send(connect({ clientId: 'lethal' }));
  await started;
  for (const subscriber of subscribers) {
    await subscriber.close();
    subscriber.forget();
    const { clientId } = subscriber.plan;
    await (await TestClient.connect(at, { clientId })).disconnect();
  }
  for (const publisher of publishers) {
    await publisher.close();
    publisher.forget();
    const { clientId } = publisher;
    await (await TestClient.connect(at, { clientId })).disconnect();
  }
  await extras.begin();
}

console.log(`seed ${seed}, ${values.workers} workers, sessions ${values.sessions}`);
const memory = new MemoryWatch(broker, Number(values.seconds));
const pinging = pingers.map((pinger) => pinger.run());
const rounds = Number(values.kills) + 1;
for (let round = 0; round < rounds && faults.length === 0; round++) {
  const endsAt = Date.now() + (Number(values.seconds) * 1000) / rounds;
  const isOver = () => Date.now() > endsAt;
  // Subscribed first: what is published before is nobody's.
  for (const subscriber of subscribers) await subscriber.connect();
  const driven = [...publishers, ...subscribers, extras].map((each) => drive(each, isOver));
  if (round < rounds - 1) {
    await delay((Number(values.seconds) * 500) / rounds);
    // In the middle of everything: what it does to others is looked at after it.
    const lethal = await RawClient.open(at);
    await Promise.all([broker.shardStarted(), lethal.send(connect({ clientId: 'lethal' }))]);
    await Promise.all(driven);
    for (const subscriber of subscribers) subscriber.oracle.faults.length = 0;
    await kill();
  } else {
    await Promise.all(driven);
    await settle();
    await extras.finish();
  }
}
faults.push(...memory.stop());
for (const pinger of pingers) pinger.isStopping = true;
await Promise.all(pinging);
for (const each of [...publishers, ...subscribers]) await each.close();
const longest = Math.max(...pingers.map((pinger) => pinger.longestMs));
if (longest > PING_MAX_MS) faults.push(`a shard was away for ${Math.round(longest)} ms`);
const { shardDeaths, droppedQueueFull, droppedSlowConsumer } = await broker.stats();
if (shardDeaths !== (rounds - 1) * 2) faults.push(`${shardDeaths} shards died`);
const delivered = subscribers.reduce((sum, { messages }) => sum + messages, 0);
await broker.close();
rmSync(files.folder, { recursive: true });
const given = [...published.values()].reduce((sum, each) => sum + each, 0);
console.log({
  given,
  delivered,
  droppedQueueFull,
  droppedSlowConsumer,
  longest,
  ...memory.figures,
});
for (const fault of faults.slice(0, 40)) console.log(fault);
console.log(faults.length === 0 ? 'no fault' : `${faults.length} faults, seed ${seed}`);
process.exitCode = faults.length === 0 ? 0 : 1;
