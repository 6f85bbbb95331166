/** Clients that are here and read nothing, so that what is queued for them is on disk alone. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { numbers } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const PAYLOAD_BYTES = 16_384;
/** Of each write of the publisher. */
const AT_ONCE = 20;
/** Published when nobody waits for the reader any more: several times what is kept in memory. */
const ON_DISK = 100;

/** Times that nobody waits for this client any more. */
function givenUp(broker: Broker, clientId: string): number {
  return broker.logs.filter(
    ({ message, fields }) => fields.clientId === clientId && message.startsWith('slow consumer'),
  ).length;
}

/** Publishes numbers while the reader does not read, until it is given up, and then some more. */
async function publishBehind(
  broker: Broker,
  clientId: string,
  publish: (count: number) => Promise<void>,
): Promise<void> {
  const before = givenUp(broker, clientId);
  while (givenUp(broker, clientId) === before) await publish(AT_ONCE);
  for (let n = 0; n < ON_DISK; n += AT_ONCE) await publish(AT_ONCE);
}

async function readLate(context: TestContext, qos: 1 | 2, settings: ServerOptions): Promise<void> {
  const store = { sessionsProvider: 'lmdb', dataDir: temporaryFolder(context) } as const;
  const early = { slowConsumerTimeout: '10ms' } as const;
  await using broker = await startBroker({ workers: 2, ...store, ...early, ...settings });
  const [topic, clientId] = [unique('topic'), unique('reader')];
  const reader: TestClient = await broker.client({ clientId, cleanSession: false });
  await reader.subscribe([topic, qos]);
  const publisher = await broker.client({ clientId: unique('publisher') });
  let last = 0;
  const publish = async (count: number): Promise<void> => {
    const texts = numbers(last + 1, last + count).map((n) => n.padEnd(PAYLOAD_BYTES));
    await publisher.publishAll(topic, texts, { qos });
    last += count;
  };
  // Again when it has caught up, and on the same connection.
  for (const round of [1, 2]) {
    reader.raw.pauseReading();
    await publishBehind(broker, clientId, publish);
    reader.raw.resumeReading();
    await reader.until(() => reader.messages.length >= last, `${last} messages, round ${round}`);
    await publish(1);
    await reader.until(() => reader.messages.length >= last, `the newest, round ${round}`);
  }
  await reader.ping();
  assert.deepEqual(
    reader.payloads.map((text) => text.trim()),
    numbers(1, last),
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
