/**
 * Rounds of random sequences against a whole broker: see traffic-model.ts. A round is over when
 * everything that must have come has come, so nothing is left to chance but what the seed says.
 */
import assert from 'node:assert/strict';
import type { Broker } from '../support/broker.js';
import { type QoS, subscribe } from '../support/packets.js';
import type { Endpoint } from '../support/raw-client.js';
import type { Random } from './random.js';
import { TrafficClient } from './traffic-client.js';
import type { Sent, Subscription } from './traffic-model.js';
import { TrafficPublisher } from './traffic-publisher.js';
import { TrafficSubscriber } from './traffic-subscriber.js';

const PUBLISHERS = 4;
const PACKETS_PER_BURST = 100;
const BURSTS_PER_ROUND = 4;
/** Rounds between two looks at what is retained. */
const RETAINED_ROUNDS = 10;
/**
 * What a broker for this needs: the longest packets, and patience with subscribers that share their
 * thread with all the others here.
 */
export const TRAFFIC_OPTIONS = {
  maxPacketBytes: 4 * 1024 * 1024,
  slowConsumerTimeout: 60,
  connectTimeout: 60,
  logLevel: 'error',
} as const;

/** What a run has done. */
export interface TrafficReport {
  packets: number;
  received: number;
  rounds: number;
  reconnects: number;
}

/** The clients of one run, and the model of what is retained. */
class Traffic {
  readonly #endpoint: Endpoint;
  readonly #random: Random;
  readonly #publishers: TrafficPublisher[] = [];
  readonly #subscribers: TrafficSubscriber[] = [];
  readonly #retained = new Map<string, Sent>();
  #looks = 0;

  constructor(endpoint: Endpoint, random: Random) {
    this.#endpoint = endpoint;
    this.#random = random;
  }

  /** Connects everybody; who comes one after another sits on different shards. */
  async start(workers: number): Promise<void> {
    for (let index = 0; index < PUBLISHERS; index++) {
      const onSent = (sent: Sent, retain: boolean) => this.#onSent(sent, retain);
      const publisher = new TrafficPublisher(this.#endpoint, index, this.#random, onSent);
      this.#publishers.push(publisher);
      await publisher.start();
    }
    for (let index = 0; index < 2 * workers + 1; index++) {
      this.#subscribers.push(
        await TrafficSubscriber.start(this.#endpoint, {
          clientId: `subscriber-${index}`,
          cleanSession: index % 2 === 0,
          subscriptions: this.#subscriptionsOf(index),
        }),
      );
    }
  }

  /** The first two get everything there is, also what there should not be. */
  #subscriptionsOf(index: number): Subscription[] {
    const random = this.#random;
    if (index < 2) return [['#', index === 0 ? 2 : 1]];
    const filters: Subscription[] = [];
    for (const { topics } of this.#publishers) {
      const qos = random.below(3) as QoS;
      const name = topics[2];
      filters.push(
        random.pick([
          [topics[0], qos],
          [`${name}/+`, qos],
          [`${name}/#`, qos],
        ] as const),
      );
      // What the first topic is read as from a byte further on.
      filters.push([`${topics[0].slice(1)}A`, 2]);
    }
    return filters;
  }

  #onSent(sent: Sent, retain: boolean): void {
    for (const subscriber of this.#subscribers) subscriber.expect(sent);
    if (!retain) return;
    if (sent.payload.length > 0) this.#retained.set(sent.topic, sent);
    else this.#retained.delete(sent.topic);
  }

  async round(): Promise<void> {
    const random = this.#random;
    await this.#comeAndGo();
    for (let burst = 0; burst < BURSTS_PER_ROUND; burst++) {
      await Promise.all(
        this.#publishers.map((publisher) =>
          publisher.send(1 + random.below(2 * PACKETS_PER_BURST)),
        ),
      );
    }
    for (const publisher of this.#publishers) await publisher.settle();
    for (const subscriber of this.#subscribers) await subscriber.settle();
  }

  /** Between rounds nothing is under way: who is there is sure then. */
  async #comeAndGo(): Promise<void> {
    const random = this.#random;
    for (const subscriber of this.#subscribers) {
      if (!subscriber.isPersistent || !random.onceIn(6)) continue;
      if (subscriber.isThere) await subscriber.leave();
      else await subscriber.come();
      await subscriber.settle();
    }
    if (random.onceIn(3)) await random.pick(this.#publishers).reconnect();
  }

  /** A new subscriber gets the last message of each topic that was to be retained. */
  async checkRetained(): Promise<void> {
    const found = new Map<string, Buffer>();
    let subacks = 0;
    const onPacket = (header: number, bytes: Buffer, start: number, end: number) => {
      if (header === 0x90) subacks++;
      if (header >> 4 !== 3) return;
      const topicEnd = start + 2 + bytes.readUInt16BE(start);
      const topic = bytes.toString('latin1', start + 2, topicEnd);
      assert.equal(header, 0x31, `${topic}: header`);
      assert.ok(!found.has(topic), `${topic}: once`);
      found.set(topic, Buffer.from(bytes.subarray(topicEnd, end)));
    };
    const clientId = `retained-${this.#looks++}`;
    const client = await TrafficClient.connect(this.#endpoint, { clientId }, onPacket);
    client.write(subscribe(1, ['#', 0]));
    await client.until(() => subacks === 1 && found.size >= this.#retained.size, 'retained');
    await client.ping();
    await client.disconnect();
    assert.deepEqual([...found.keys()].sort(), [...this.#retained.keys()].sort());
    for (const [topic, { payload }] of this.#retained) assert.ok(found.get(topic)?.equals(payload));
  }

  /** Brings everybody back who is away: nothing of theirs may be missing. */
  async end(): Promise<TrafficReport> {
    const report = { packets: this.packets, received: 0, rounds: 0, reconnects: 0 };
    for (const subscriber of this.#subscribers) {
      if (!subscriber.isThere) await subscriber.come();
      await subscriber.settle();
      report.received += subscriber.received;
      await subscriber.leave();
    }
    for (const { reconnects } of this.#publishers) report.reconnects += reconnects;
    return report;
  }

  get packets(): number {
    return this.#publishers.reduce((sum, each) => sum + each.packets, 0);
  }
}

/**
 * Sends at least `packets` packets in rounds, and checks everything. `onRound` is told how many
 * were sent so far; it may return true to end early.
 * @throws Error with what was wrong.
 */
export async function runTraffic(
  broker: Broker,
  workers: number,
  random: Random,
  packets: number,
  onRound: (packets: number) => boolean = () => false,
): Promise<TrafficReport> {
  const traffic = new Traffic(broker, random);
  await traffic.start(workers);
  let rounds = 0;
  for (; traffic.packets < packets; rounds++) {
    await traffic.round();
    if (rounds % RETAINED_ROUNDS === 0) await traffic.checkRetained();
    if (onRound(traffic.packets)) break;
  }
  const report = await traffic.end();
  report.rounds = rounds;
  const { shardDeaths, unreadableRecords, droppedQueueFull, droppedSlowConsumer } =
    broker.server.stats();
  assert.deepEqual(
    { shardDeaths, unreadableRecords, droppedQueueFull, droppedSlowConsumer },
    { shardDeaths: 0, unreadableRecords: 0, droppedQueueFull: 0, droppedSlowConsumer: 0 },
  );
  return report;
}
