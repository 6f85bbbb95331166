/** Clients that are here and read nothing, so that what is queued for them is on disk alone. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { startBroker, unique } from '../support/broker.js';
import { Series } from '../support/series.js';
import { publishBehind } from '../support/slow.js';
import { numbers } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const PAYLOAD_BYTES = 16_384;

async function readLate(context: TestContext, qos: 1 | 2, settings: ServerOptions): Promise<void> {
  const store = { sessionsProvider: 'lmdb', dataDir: temporaryFolder(context) } as const;
  const early = { slowConsumerTimeout: '10ms' } as const;
  await using broker = await startBroker({ workers: 2, ...store, ...early, ...settings });
  const [topic, clientId] = [unique('topic'), unique('reader')];
  const reader: TestClient = await broker.client({ clientId, cleanSession: false });
  await reader.subscribe([topic, qos]);
  const publisher = await broker.client({ clientId: unique('publisher') });
  const series = new Series(publisher, topic, qos, PAYLOAD_BYTES);
  // Again when it has caught up, and on the same connection.
  for (const round of [1, 2]) {
    reader.raw.pauseReading();
    await publishBehind(broker, clientId, series);
    reader.raw.resumeReading();
    await reader.until(() => reader.messages.length >= series.last, `all, round ${round}`);
    await series.publish(1);
    await reader.until(() => reader.messages.length >= series.last, `the newest, round ${round}`);
  }
  await reader.ping();
  assert.deepEqual(
    reader.payloads.map((text) => text.trim()),
    numbers(1, series.last),
  );
}

describe('a persistent client that reads nothing for a while', () => {
  for (const durability of ['fsync', 'none'] as const) {
    for (const qos of [1, 2] as const) {
      // [MQTT-3.1.2-5], [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-4.6.0-6]
      test(`gets all when it reads: QoS ${qos}, durability ${durability}`, async (context) => {
        await readLate(context, qos, { durability });
      });
    }
  }
});
