/**
 * Members of Shared Subscriptions [MQTT 5.0, 4.8.2] whose sessions outlive their connections, and
 * whose clients read nothing: what was theirs goes to others, and nothing is lost.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { ownerOfGroup } from '../../src/router/group-link.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { killShard } from '../support/kill-shard.js';
import { MAY_BE_SILENT, openOn } from '../support/on-shard.js';
import { Series } from '../support/series.js';
import { AT_ONCE, publishBehind } from '../support/slow.js';
import { numbers } from '../support/suite.js';
import { TestClient } from '../support/test-client.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;
const PAYLOAD_BYTES = 16_384;

type QoS = 1 | 2;

/** A group with one member, who reads nothing any more, and messages that are behind it. */
interface Slow {
  readonly broker: Broker;
  readonly clientId: string;
  readonly filter: string;
  readonly series: Series;
  readonly slow: TestClient;
}

async function openMember(
  broker: Broker,
  shardIndex: number,
  clientId: string,
  filter: string,
  qos: QoS,
): Promise<TestClient> {
  const raw = await openOn(broker, shardIndex);
  const member = await TestClient.over(raw, { clientId, cleanSession: false });
  await member.subscribe([filter, qos]);
  return member;
}

/** @param shardIndex of the slow member; its group may be owned by any shard. */
async function begin(broker: Broker, shardIndex: number, qos: QoS): Promise<Slow> {
  const topic = unique('topic');
  const filter = `$share/group/${topic}`;
  const clientId = unique('slow');
  const slow = await openMember(broker, shardIndex, clientId, filter, qos);
  const publisher = await broker.client({ clientId: unique('publisher') });
  const series = new Series(publisher, topic, qos, PAYLOAD_BYTES);
  slow.raw.pauseReading();
  const group = { broker, clientId, filter, series, slow };
  await publishBehind(broker, clientId, series);
  return group;
}

function start(context: TestContext, workers: number): Promise<Broker> {
  return startBroker({
    ...MAY_BE_SILENT,
    ...{ workers, sessionsProvider: 'lmdb', dataDir: temporaryFolder(context) },
    ...{ slowConsumerTimeout: '10ms', authenticator },
  });
}

function payloadsOf(...clients: readonly TestClient[]): string[] {
  return clients.flatMap(({ payloads }) => payloads.map((text) => text.trim()));
}

/** Each message has come to one member or the other, and none twice to who stays. */
async function expectAll(series: Series, stays: TestClient, left: TestClient): Promise<void> {
  const got = () => new Set(payloadsOf(stays, left));
  await stays.until(() => got().size >= series.last, `all ${series.last}`);
  await stays.ping();
  const came = payloadsOf(stays);
  assert.equal(new Set(came).size, came.length, 'none twice');
}

function describeSlow(workers: number, qos: QoS): void {
  describe(`a persistent member that reads nothing: QoS ${qos}, ${workers} workers`, () => {
    /** The slow member on each shard, while its group is on one. */
    for (const shardIndex of Array.from({ length: workers }, (_, n) => n)) {
      const on = `on shard ${shardIndex}`;
      const other = (shardIndex + 1) % workers;

      // MQTT 5.0, 4.8.2: of a Client whose connection breaks the Server may give it to another.
      test(`leaves all to another when its connection breaks, ${on}`, async (context) => {
        await using broker = await start(context, workers);
        const { filter, series, slow } = await begin(broker, shardIndex, qos);
        const heir = await openMember(broker, other, unique('heir'), filter, qos);
        await series.publish(AT_ONCE);
        await slow.cut();
        await expectAll(series, heir, slow);
      });

      test(`leaves all to another when it unsubscribes, ${on}`, async (context) => {
        await using broker = await start(context, workers);
        const { filter, series, slow } = await begin(broker, shardIndex, qos);
        const heir = await openMember(broker, other, unique('heir'), filter, qos);
        const unsubscribed = slow.unsubscribe(filter);
        slow.raw.resumeReading();
        await unsubscribed;
        await expectAll(series, heir, slow);
      });

      // "If the Client's Session terminates before the Client reconnects, the Server SHOULD send
      // the Application Message to another Client" (4.8.2).
      test(`leaves all to another when its session ends, ${on}`, async (context) => {
        await using broker = await start(context, workers);
        const { filter, series, slow, clientId } = await begin(broker, shardIndex, qos);
        const heir = await openMember(broker, other, unique('heir'), filter, qos);
        const clean = await broker.client({ clientId, cleanSession: true });
        await expectAll(series, heir, slow);
        await clean.disconnect();
      });

      // [MQTT-3.1.2-5]
      test(`gets all when it comes again alone, ${on}`, async (context) => {
        await using broker = await start(context, workers);
        const { series, slow, clientId } = await begin(broker, shardIndex, qos);
        await slow.cut();
        const again = await broker.client({ clientId, cleanSession: false });
        await expectAll(series, again, slow);
        const came = payloadsOf(again).map(Number);
        assert.deepEqual(
          came,
          [...came].sort((one, other) => one - other),
          'in order',
        );
      });

      // [MQTT-4.6.0-6]
      test(`gets all in order when it reads, again and again, ${on}`, async (context) => {
        await using broker = await start(context, workers);
        const group = await begin(broker, shardIndex, qos);
        const { series, slow, clientId } = group;
        for (const round of [1, 2]) {
          slow.raw.resumeReading();
          await series.publish(AT_ONCE);
          await slow.until(() => slow.messages.length >= series.last, `all, round ${round}`);
          slow.raw.pauseReading();
          await publishBehind(broker, clientId, series);
        }
        slow.raw.resumeReading();
        await slow.until(() => slow.messages.length >= series.last, `all ${series.last}`);
        assert.deepEqual(payloadsOf(slow), numbers(1, series.last));
      });
    }
  });
}

/** The key of a group that this shard of two owns, of one topic. */
function groupOn(shardIndex: number, topic: string): string {
  for (let n = 0; ; n++) {
    const key = `$share/g${n}/${topic}`;
    if (ownerOfGroup(key, 2) === shardIndex) return key;
  }
}

/** The slow member is on shard 1, and its group on shard `owner`; one of the two dies. */
async function outlive(context: TestContext, qos: QoS, owner: 0 | 1, victim: 0 | 1): Promise<void> {
  await using broker = await start(context, 2);
  const topic = unique('topic');
  const filter = groupOn(owner, topic);
  const clientId = unique('slow');
  const slow = await openMember(broker, 1, clientId, filter, qos);
  const raw = await openOn(broker, 1 - victim);
  const publisher = await TestClient.over(raw, { clientId: unique('publisher') });
  const series = new Series(publisher, topic, qos, PAYLOAD_BYTES);
  slow.raw.pauseReading();
  await publishBehind(broker, clientId, series);
  await killShard(broker, victim);
  await slow.cut();
  const again = await TestClient.over(await openOn(broker, 1), { clientId, cleanSession: false });
  assert.equal(again.sessionPresent, true);
  await series.publish(AT_ONCE);
  const got = () => new Set(payloadsOf(again, slow));
  await again.until(() => got().size >= series.last, `all ${series.last}`);
  await again.ping();
  const came = payloadsOf(again);
  if (qos === 2) assert.equal(new Set(came).size, came.length, 'none twice');
}

describe('what is behind a persistent member that reads nothing', () => {
  for (const qos of [1, 2] as const) {
    for (const [owner, victim, whose] of [
      [0, 0, 'the shard of its group'],
      [0, 1, 'the shard of its session'],
      [1, 1, 'the shard of both'],
    ] as const) {
      // [MQTT-3.1.2-5]
      test(`comes though ${whose} dies meanwhile: QoS ${qos}`, async (context) => {
        await outlive(context, qos, owner, victim);
      });
    }
  }
});

for (const workers of [1, 2]) for (const qos of [1, 2] as const) describeSlow(workers, qos);
