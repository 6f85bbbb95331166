/**
 * UNSUBSCRIBE of clients that read nothing, while they are published to: what had come for them is
 * delivered, as [MQTT-3.10.4-3] and the sentence behind it say, and nothing that came later.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { unsubscribe } from '../support/packets.js';
import { Series } from '../support/series.js';
import { numbers } from '../support/suite.js';
import { type TestClient, Type } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const READERS = 20;
const PAYLOAD_BYTES = 16_384;
/** In all more than the kernel keeps for one socket that is not read. */
const MESSAGES = 400;
/** Published while the UNSUBSCRIBEs are handled, in each write; and behind that. */
const AT_ONCE = 5;
const LATE = 50;
const UNSUBSCRIBE_ID = 60_000;

/** What a reader's messages wait for. */
const WINDOWS: readonly (readonly [string, (context: TestContext) => ServerOptions])[] = [
  ['their socket', () => ({ maxInflight: 65_535 })],
  ['their socket and their window', () => ({ maxInflight: 100 })],
  [
    'their socket, on disk',
    (context) => ({ sessionsProvider: 'lmdb', dataDir: temporaryFolder(context) }),
  ],
];

interface Reader {
  readonly client: TestClient;
  /** How many messages had come when UNSUBACK did; -1 before. */
  beforeUnsuback: number;
}

async function readerOf(broker: Broker, topic: string, cleanSession: boolean): Promise<Reader> {
  const client = await broker.client({ clientId: unique('reader'), cleanSession });
  await client.subscribe([topic, 2], [`${topic}/end`, 2]);
  const reader = { client, beforeUnsuback: -1 };
  const { onPacket } = client.raw;
  client.raw.onPacket = (packet) => {
    if (packet[0]! >> 4 === Type.unsuback) reader.beforeUnsuback = client.messages.length;
    onPacket?.(packet);
  };
  client.raw.pauseReading();
  return reader;
}

async function unsubscribeAll(settings: ServerOptions, context: TestContext): Promise<void> {
  await using broker = await startBroker({ workers: 2, ...settings });
  const topic = unique('topic');
  const publisher = await broker.client({ clientId: unique('publisher') });
  const readers: Reader[] = [];
  for (let n = 0; n < READERS; n++) readers.push(await readerOf(broker, topic, n % 4 < 2));
  const series = new Series(publisher, topic, 2, PAYLOAD_BYTES);
  while (series.last < MESSAGES) await series.publish(50);
  const published = series.last;
  assert.ok(broker.server.stats().queuedMessages > 0, 'some wait');
  for (const { client } of readers) client.raw.send(unsubscribe(UNSUBSCRIBE_ID, topic));
  const areHandled = () => broker.server.stats().subscriptions === READERS;
  while (!areHandled()) await series.publish(AT_ONCE);
  const most = series.last;
  await series.publish(LATE);
  await publisher.publish(`${topic}/end`, '0', { qos: 2 });
  const waiting = broker.server.stats().queuedMessages;
  for (const { client } of readers) client.raw.resumeReading();
  for (const { client } of readers) {
    await client.until(() => client.messages.at(-1)?.payload === '0', 'the end');
    await client.takeAck(Type.unsuback, UNSUBSCRIBE_ID);
  }
  const isDone = () => {
    const { inflightMessages, queuedMessages } = broker.server.stats();
    return inflightMessages === 0 && queuedMessages === 0;
  };
  await eventually(isDone, 'all to be acknowledged');
  const behind = [];
  for (const { client, beforeUnsuback } of readers) {
    await client.ping();
    const came = client.payloads.slice(0, -1).map((text) => text.trim());
    assert.deepEqual(came, numbers(1, came.length));
    assert.ok(came.length >= published && came.length <= most, `${came.length} of ${most}`);
    assert.equal(client.received.size, 0);
    behind.push(came.length - beforeUnsuback);
  }
  context.diagnostic(`${published} to ${most}, ${waiting} wait, behind UNSUBACK: ${behind}`);
}

describe('twenty clients of QoS 2 that read nothing unsubscribe', () => {
  for (const [what, settingsIn] of WINDOWS) {
    // [MQTT-3.10.4-2], [MQTT-3.10.4-3], [MQTT-4.3.3-2]
    test(`and get all of before once, none of later: they wait for ${what}`, async (context) => {
      await unsubscribeAll(settingsIn(context), context);
    });
  }
});
