/** Many sessions with much in them that move between two shards at once: see shard/handover.ts. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { MAY_BE_SILENT, openOnEach } from '../support/on-shard.js';
import type { Text } from '../support/packets.js';
import { Series } from '../support/series.js';
import { numbers } from '../support/suite.js';
import { TestClient } from '../support/test-client.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const SESSIONS = 20;
const FILTERS = 2_000;
/** What waits for each session when it moves for the first time. */
const QUEUED = 300;
/** Messages of one write of the publisher. */
const AT_ONCE = 20;

const STORES: readonly (readonly [string, (context: TestContext) => ServerOptions])[] = [
  ['in memory', () => ({ sessionsProvider: 'mem' })],
  ['on disk', (context) => ({ sessionsProvider: 'lmdb', dataDir: temporaryFolder(context) })],
];
/** Where the sessions are at first; each moves to the other shard. */
const WAYS: readonly (readonly [string, (n: number) => number])[] = [
  ['all one way', () => 0],
  ['both ways', (n) => n % 2],
];

/** One client id, and what has come on its connections. */
interface Mover {
  readonly clientId: string;
  shardIndex: number;
  client: TestClient;
  /** The number of the last message that has come in its turn. */
  last: number;
}

async function subscribeToMuch(client: TestClient, topic: string): Promise<void> {
  await client.subscribe([topic, 1]);
  const filters = Array.from({ length: FILTERS }, (_, n): [Text, number] => [`${topic}/${n}`, 0]);
  for (let from = 0; from < FILTERS; from += 500) {
    await client.subscribe(...filters.slice(from, from + 500));
  }
}

/** Publishes from before `work` begins until it is done, one write after another. */
async function publishDuring(series: Series, work: () => Promise<void>): Promise<void> {
  await series.publish(AT_ONCE);
  let isOver = false;
  const working = work().finally(() => {
    isOver = true;
  });
  while (!isOver) await series.publish(AT_ONCE);
  await working;
}

/**
 * What a connection has brought goes on where the one before has ended, or before that: what it had
 * not acknowledged then comes again [MQTT-4.4.0-1], marked so [MQTT-3.3.1-1], in order and without
 * a gap [MQTT-4.6.0-6].
 */
function take(mover: Mover): void {
  const { client, clientId } = mover;
  const came = client.messages.map(({ payload }) => Number(payload));
  if (came.length === 0) return;
  const first = came[0]!;
  assert.ok(first <= mover.last + 1, `${clientId}: ${first} behind ${mover.last}`);
  assert.deepEqual(came.map(String), numbers(first, first + came.length - 1), clientId);
  for (const { payload, dup } of client.messages) {
    assert.ok(dup || Number(payload) > mover.last, `${clientId}: ${payload} comes again`);
  }
  mover.last = Math.max(mover.last, came.at(-1)!);
}

/** All come back on the other shard at the same moment, their old connections open or not. */
async function moveAll(
  broker: Broker,
  movers: readonly Mover[],
  series: Series,
  acknowledge: boolean,
): Promise<void> {
  const to = movers.map(({ shardIndex }) => 1 - shardIndex);
  const raws = await openOnEach(broker, to);
  await publishDuring(series, async () => {
    const options = movers.map(({ clientId }) => ({ clientId, cleanSession: false, acknowledge }));
    const clients = await Promise.all(raws.map((raw, n) => TestClient.over(raw, options[n]!)));
    for (const [n, mover] of movers.entries()) {
      await mover.client.untilClosed();
      take(mover);
      mover.client = clients[n]!;
      mover.shardIndex = to[n]!;
      // [MQTT-3.2.2-2]
      assert.equal(mover.client.sessionPresent, true);
    }
  });
  for (const { shardIndex, sessions } of broker.server.stats().shards) {
    const more = sessions - to.filter((index) => index === shardIndex).length;
    // The publisher's, on either.
    assert.ok(more === 0 || more === 1, `shard ${shardIndex} has ${sessions} sessions`);
  }
}

async function moveThereAndBack(
  context: TestContext,
  settings: ServerOptions,
  shardOf: (n: number) => number,
): Promise<void> {
  await using broker = await startBroker({ workers: 2, ...MAY_BE_SILENT, ...settings });
  const topic = unique('all');
  const series = new Series(await broker.client({ clientId: unique('publisher') }), topic, 1);
  const at = Array.from({ length: SESSIONS }, (_, n) => shardOf(n));
  const movers: Mover[] = [];
  for (const [n, raw] of (await openOnEach(broker, at)).entries()) {
    const clientId = unique('mover');
    const client = await TestClient.over(raw, { clientId, cleanSession: false });
    await subscribeToMuch(client, topic);
    await client.cut();
    movers.push({ clientId, shardIndex: at[n]!, client, last: 0 });
  }
  await series.publish(QUEUED);
  // There, with all that waits; back with it, and what has come meanwhile; and while they keep up.
  await moveAll(broker, movers, series, false);
  await moveAll(broker, movers, series, true);
  for (const { client } of movers) {
    await client.until(() => client.messages.length > QUEUED, 'what has waited');
  }
  await moveAll(broker, movers, series, true);
  await moveAll(broker, movers, series, true);
  for (const mover of movers) {
    const { client } = mover;
    await series.publish(1);
    const isLast = () => Number(client.messages.at(-1)?.payload) === series.last;
    await client.until(isLast, 'the last message');
    await client.ping();
    take(mover);
    assert.equal(mover.last, series.last, mover.clientId);
  }
  const stats = broker.server.stats();
  assert.equal(stats.subscriptions, SESSIONS * (FILTERS + 1));
  assert.equal(stats.sessions, SESSIONS + 1);
  assert.equal(stats.droppedQueueFull + stats.droppedTotalBytes + stats.shardDeaths, 0);
  context.diagnostic(`${series.last} messages`);
}

describe('twenty sessions with much in them move at the same moment, there and back', () => {
  for (const [where, settingsIn] of STORES) {
    for (const [way, shardOf] of WAYS) {
      // [MQTT-3.1.2-4], [MQTT-4.6.0-6]
      test(`${way}, ${where}, and get all in order`, async (context) => {
        await moveThereAndBack(context, settingsIn(context), shardOf);
      });
    }
  }
});
