/**
 * PUBLISH packets that are handled as one run, and differ in all that those of a run may differ in:
 * length of the remaining length, DUP, packet id. Clients sit on both shards.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Broker, startBroker } from '../support/broker.js';
import { publish, pubrel } from '../support/packets.js';
import { type TestClient, Type } from '../support/test-client.js';

const TOPIC = 'fz/x';
/** The topic, and what it looks like from where another frame of the run has its own. */
const FILTERS = [TOPIC, 'z/xA', '+/xA', '/xAA'];
const LENGTHS = [
  [200, 10],
  [10, 200],
  [20_000, 10],
  [10, 20_000],
] as const;

function message(packetId: number, length: number, dup: boolean): Buffer {
  return publish({ topic: TOPIC, payload: payload(packetId, length), qos: 2, packetId, dup });
}

function payload(packetId: number, length: number): string {
  return String(packetId).padEnd(length, 'A');
}

/** A subscriber on every shard, connected two by two. */
async function connectSubscribers(broker: Broker): Promise<TestClient[]> {
  const subscribers: TestClient[] = [];
  for (let count = 0; count < 4; count++) {
    const subscriber = await broker.client();
    await subscriber.subscribe(...FILTERS.map((filter): [string, number] => [filter, 2]));
    subscribers.push(subscriber);
  }
  return subscribers;
}

/** All of them have got both messages once, in order, and nothing else. */
async function expectBoth(broker: Broker, subscribers: TestClient[], lengths: readonly number[]) {
  const publisher = await broker.client();
  await publisher.publish(TOPIC, 'last', { qos: 2 });
  const expected = [payload(1, lengths[0]), payload(2, lengths[1])];
  for (const subscriber of subscribers) {
    const received = await subscriber.messagesUntil('last');
    assert.deepEqual(
      received.map(({ topic }) => topic),
      [TOPIC, TOPIC],
    );
    assert.ok(received.every((each, at) => each.payload === expected[at]));
  }
  assert.equal(broker.server.stats().shardDeaths, 0);
}

describe('a session that moves, 2 workers', () => {
  // RETAIN stands in the frames of such a run, and not in what is delivered [MQTT-3.3.1-9].
  test('brings what was published to be retained while it was away', async () => {
    await using broker = await startBroker({ workers: 2 });
    const session = { clientId: 'moving', cleanSession: false };
    const first = await broker.client(session);
    await first.subscribe([TOPIC, 2]);
    await first.disconnect();
    const publisher = await broker.client();
    for (let round = 0; round < 4; round++) {
      for (const qos of [1, 2] as const) {
        await publisher.publish(TOPIC, `${round} at ${qos}`, { qos, retain: true });
      }
      // Two more connections each round: it comes to the one shard, then to the other.
      await broker.client();
      const again = await broker.client(session);
      const received = await again.nextMessages(2);
      assert.deepEqual(
        received.map(({ payload, retain }) => [payload, retain]),
        [
          [`${round} at 1`, false],
          [`${round} at 2`, false],
        ],
      );
      await again.ping();
      await again.disconnect();
    }
    assert.equal(broker.server.stats().unreadableRecords, 0);
  });
});

describe('a run whose messages differ, 2 workers', () => {
  for (const lengths of LENGTHS) {
    const name = `${lengths[0]} bytes, then ${lengths[1]}`;

    // [MQTT-4.3.3-2]: the first is known already, so the run is routed from its second message on.
    test(`a repeated message is left out, the next one arrives: ${name}`, async () => {
      await using broker = await startBroker({ workers: 2 });
      const subscribers = await connectSubscribers(broker);
      const publisher = await broker.client();
      publisher.raw.send(message(1, lengths[0], false));
      await publisher.takeAck(Type.pubrec, 1);
      publisher.raw.send(message(1, lengths[0], false), message(2, lengths[1], false));
      await publisher.takeAck(Type.pubrec, 1);
      await publisher.takeAck(Type.pubrec, 2);
      publisher.raw.send(pubrel(1), pubrel(2));
      await publisher.takeAck(Type.pubcomp, 2);
      await expectBoth(broker, subscribers, lengths);
    });

    // [MQTT-4.4.0-1]: an honest client after a PUBREC that was lost with its connection.
    test(`a session sends both again with DUP, and each arrives once: ${name}`, async () => {
      await using broker = await startBroker({ workers: 2 });
      const subscribers = await connectSubscribers(broker);
      const session = { clientId: 'honest', cleanSession: false };
      const before = await broker.client(session);
      before.raw.send(message(1, lengths[0], false));
      await before.takeAck(Type.pubrec, 1);
      await before.cut();
      const again = await broker.client(session);
      assert.equal(again.sessionPresent, true);
      again.raw.send(message(1, lengths[0], true), message(2, lengths[1], true));
      await again.takeAck(Type.pubrec, 1);
      await again.takeAck(Type.pubrec, 2);
      again.raw.send(pubrel(1), pubrel(2));
      await again.takeAck(Type.pubcomp, 2);
      await expectBoth(broker, subscribers, lengths);
    });
  }
});
