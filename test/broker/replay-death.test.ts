/**
 * A replay of retained messages that is cut, goes on on another shard, and is there when a shard
 * dies: see router/replay.ts and router/replay-notes.ts.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { retainedOwnerOf } from '../../src/router/route.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { killShard } from '../support/kill-shard.js';
import { MAY_BE_SILENT, openOn } from '../support/on-shard.js';
import { connect } from '../support/packets.js';
import { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

/** A client id that begins with `lethal` is the death of its shard. */
const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;
/** Several parts of 64 KiB a shard. */
const TOPICS = 2_000;
const PAYLOAD = 'x'.repeat(200);
/** So little that a replay does not get on without acknowledgements. */
const IN_FLIGHT = 50;
/** What is received before the cut, and before the death: parts of it are still to come. */
const UNTIL_CUT = 300;
const UNTIL_DEATH = 700;

/** A client that takes so much, and then nothing more of what comes. */
class Taker {
  readonly #clientId = unique('subscriber');
  /** Packet ids of QoS 2 that it holds, over all connections. */
  readonly #received = new Set<number>();
  /** How often each topic has come. */
  readonly counts = new Map<string, number>();
  #client: TestClient | null = null;

  get client(): TestClient {
    return this.#client!;
  }

  /** Connects to that shard. @param most how many topics it takes. */
  async connect(broker: Broker, shardIndex: number, most: number): Promise<void> {
    const client = await TestClient.over(await openOn(broker, shardIndex), {
      clientId: this.#clientId,
      cleanSession: false,
      received: this.#received,
      acknowledge: this.counts.size < most,
    });
    client.onMessage = ({ topic }) => {
      if (!client.acknowledge) return;
      this.counts.set(topic, (this.counts.get(topic) ?? 0) + 1);
      client.acknowledge = this.counts.size < most;
    };
    // Those that came with the CONNACK: a window at most, which is less than is taken.
    for (const message of client.messages) client.onMessage(message);
    this.#client = client;
  }

  /** Waits until so many topics have come. */
  has(topics: number): Promise<void> {
    return this.client.until(() => this.counts.size >= topics, `${topics} topics`);
  }

  /** All that came at QoS 2 is released. */
  isReleased(): boolean {
    return this.#received.size === 0;
  }
}

async function replayOverDeath(context: TestContext, qos: 1 | 2, victim: number): Promise<void> {
  const dataDir = temporaryFolder(context);
  await using broker = await startBroker({
    ...MAY_BE_SILENT,
    ...{ workers: 2, sessionsProvider: 'lmdb', dataDir, authenticator, maxInflight: IN_FLIGHT },
  });
  const publisher = await TestClient.connect(broker, { clientId: unique('publisher') });
  const topics = Array.from({ length: TOPICS }, (_, n) => `t/${n}`);
  await Promise.all(
    topics.map((topic) => publisher.publish(topic, PAYLOAD, { qos, retain: true })),
  );
  await publisher.disconnect();
  const taker = new Taker();
  await taker.connect(broker, 0, UNTIL_CUT);
  await taker.client.subscribe(['t/#', qos]);
  await taker.has(UNTIL_CUT);
  await taker.client.cut();
  await taker.connect(broker, 1, UNTIL_DEATH);
  assert.equal(taker.client.sessionPresent, true);
  await taker.has(UNTIL_DEATH);
  await killShard(broker, victim);
  if (victim === 1) await taker.client.untilClosed();
  else await taker.client.cut();
  await taker.connect(broker, 1, Number.POSITIVE_INFINITY);
  assert.equal(taker.client.sessionPresent, true);
  await taker.has(TOPICS);
  await taker.client.publish('t/end', 'end', { qos });
  await taker.client.until(() => taker.counts.has('t/end') && taker.isReleased(), 'the end');
  assert.deepEqual([...taker.counts.keys()].sort(), [...topics, 't/end'].sort());
  const twice = [...taker.counts].filter(([, count]) => count > 1);
  if (qos === 2) assert.deepEqual(twice, []);
  assert.equal(broker.server.stats().shardDeaths, 1);
}

describe('a replay that was cut and goes on on the other shard', () => {
  for (const qos of [1, 2] as const) {
    for (const victim of [1, 0]) {
      const whose = victim === 1 ? 'its shard' : 'the shard that it came from';
      // MQTT-3.3.1-6, MQTT-4.3.2-1, MQTT-4.3.3-2
      test(`brings all at QoS ${qos}, though ${whose} dies meanwhile`, async (context) => {
        await replayOverDeath(context, qos, victim);
      });
    }
  }
});

/** Of one shard: more in all than the kernel keeps for one socket that is not read. */
const LARGE_TOPICS = 600;
const LARGE_PAYLOAD = 'x'.repeat(16_384);

/** Retains what shard 0 owns, and has it replayed to a client of shard 1, while shard 0 dies. */
async function replayOfDead(context: TestContext, qos: 1 | 2, isSubscribedLate: boolean) {
  const dataDir = temporaryFolder(context);
  await using broker = await startBroker({
    ...MAY_BE_SILENT,
    ...{ workers: 2, sessionsProvider: 'lmdb', dataDir, authenticator },
  });
  const topics: string[] = [];
  for (let n = 0; topics.length < LARGE_TOPICS; n++) {
    if (retainedOwnerOf(`t/${n}`, 2) === 0) topics.push(`t/${n}`);
  }
  const publisher = await TestClient.connect(broker, { clientId: unique('publisher') });
  for (const topic of topics) await publisher.publish(topic, LARGE_PAYLOAD, { qos, retain: true });
  await publisher.disconnect();
  const options = { clientId: unique('subscriber'), cleanSession: false };
  const client = await TestClient.over(await openOn(broker, 1), options);
  const came = new Set<string>();
  client.onMessage = ({ topic }) => came.add(topic);
  const killer = await openOn(broker, 0);
  const died = within(once(broker.server, 'shardDied'), 'the shard to die');
  const started = within(once(broker.server, 'shardStarted'), 'its successor');
  if (!isSubscribedLate) {
    await client.subscribe(['t/#', qos]);
    client.raw.pauseReading();
    await eventually(() => broker.server.stats().outboxBytes > 0, 'its socket to be full');
  }
  killer.send(connect({ clientId: unique('lethal') }));
  await died;
  if (isSubscribedLate) await client.subscribe(['t/#', qos]);
  await started;
  client.raw.resumeReading();
  await client.until(() => came.size >= LARGE_TOPICS, 'all topics');
  await client.publish('t/end', 'end', { qos });
  const messages = await client.messagesUntil('end');
  assert.deepEqual([...came].sort(), [...topics, 't/end'].sort());
  if (qos === 2) assert.equal(messages.length, topics.length);
}

// MQTT-3.3.1-6: the SUBACK has gone out, and the successor has what its predecessor retained.
describe('what is retained by a shard that dies is asked of its successor', () => {
  for (const qos of [1, 2] as const) {
    test(`when its replay has begun, QoS ${qos}`, (context) => replayOfDead(context, qos, false));
    test(`when it was subscribed to meanwhile, QoS ${qos}`, (context) =>
      replayOfDead(context, qos, true));
  }
});
