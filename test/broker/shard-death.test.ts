/**
 * A shard whose thread dies under load: its clients are dropped, the others keep serving, a new one
 * comes.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect } from '../support/packets.js';
import { numbers } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';

/** A client id that begins with `lethal` is the death of its shard. */
const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;

/** Kills the shard that the next connection is placed on, and waits until it has a successor. */
async function killOne(broker: Broker): Promise<number> {
  const died = within(once(broker.server, 'shardDied'), 'a shard to die');
  const started = within(once(broker.server, 'shardStarted'), 'its successor');
  const killer = await broker.raw();
  killer.send(connect({ clientId: unique('lethal') }));
  const [shardIndex] = await died;
  await started;
  await killer.untilClosed();
  return shardIndex;
}

/** One client publishing numbers to a topic of its own, and one receiving them. */
interface Pair {
  readonly publisher: TestClient;
  readonly subscriber: TestClient;
  readonly topic: string;
  sent: number;
}

/** Pairs whose two clients sit on neighbouring shards. */
async function connectPairs(broker: Broker, count: number): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let n = 0; n < count; n++) {
    const topic = unique('pair');
    const publisher = await broker.client({ clientId: unique('publisher') });
    const subscriber = await broker.client({ clientId: unique('subscriber') });
    await subscriber.subscribe([topic, 1]);
    pairs.push({ publisher, subscriber, topic, sent: 0 });
  }
  return pairs;
}

const isWhole = ({ publisher, subscriber }: Pair): boolean =>
  !publisher.raw.isClosed && !subscriber.raw.isClosed;

describe('death of a shard', () => {
  // [MQTT-4.3.2-2]: the shard had acknowledged them, and they were in its ring.
  test('what it has acknowledged reaches the clients of the others', async () => {
    await using broker = await startBroker({ workers: 3, authenticator });
    const pairs = await connectPairs(broker, 9);
    let isOver = false;
    const load = pairs.map(async (pair) => {
      const { publisher, topic } = pair;
      for (let first = 1; !isOver && !publisher.raw.isClosed; first += 50) {
        const payloads = numbers(first, first + 49);
        // Not all of them are acknowledged where its shard dies.
        await publisher.publishAll(topic, payloads, { qos: 1 }).catch(() => {});
        pair.sent = publisher.raw.isClosed ? first - 1 + publisher.acks.length : first + 49;
      }
    });
    await eventually(() => pairs.every(({ sent }) => sent > 500), 'load');
    await killOne(broker);
    await eventually(() => pairs.some(({ publisher }) => publisher.raw.isClosed), 'some to go');
    isOver = true;
    await Promise.all(load);
    const left = pairs.filter(
      ({ publisher, subscriber }) => publisher.raw.isClosed && !subscriber.raw.isClosed,
    );
    assert.equal(left.length, 3);
    for (const { subscriber, sent } of left) {
      await subscriber.until(() => subscriber.messages.length >= sent, `all of ${sent} messages`);
      assert.deepEqual(subscriber.payloads.slice(0, sent), numbers(1, sent));
    }
  });

  test('under load it takes its own clients with it and nobody else', async () => {
    await using broker = await startBroker({ workers: 3, authenticator });
    const pairs = await connectPairs(broker, 9);
    let isOver = false;
    const load = pairs.map(async (pair) => {
      try {
        while (!isOver && isWhole(pair)) {
          await pair.publisher.publishAll(pair.topic, numbers(pair.sent + 1, pair.sent + 20), {
            qos: 1,
          });
          pair.sent += 20;
        }
      } catch (error) {
        // Its connection, or the shard of its subscriber, is gone: told apart below.
        if (!pair.publisher.raw.isClosed) throw error;
      }
    });
    const dead = await killOne(broker);
    const after = pairs.map(({ sent }) => sent);
    await eventually(
      () => pairs.every((pair, n) => !isWhole(pair) || pair.sent > after[n] + 200),
      'the others to go on',
    );
    isOver = true;
    await Promise.all(load);
    const whole = pairs.filter(isWhole);
    // 18 clients on 3 shards: 6 are gone, with 6 pairs when no pair shares a shard.
    assert.equal(whole.length, 3, `pairs left after the death of shard ${dead}`);
    for (const { subscriber, sent } of whole) {
      await subscriber.until(() => subscriber.messages.length >= sent, 'all messages');
      assert.deepEqual(subscriber.payloads, numbers(1, sent));
    }
    assert.equal(broker.server.stats().shardDeaths, 1);
    await checkWhole(broker);
  });

  /** New connections, of which some are on the new shard, reach each other and the old ones. */
  async function checkWhole(broker: Broker): Promise<void> {
    const topic = unique('after');
    const clients: TestClient[] = [];
    for (let n = 0; n < 9; n++) {
      const client = await broker.client({ clientId: unique('after') });
      await client.subscribe([topic, 1]);
      clients.push(client);
    }
    for (const client of clients) await client.publish(topic, 'm', { qos: 2 });
    for (const client of clients) await client.nextMessages(clients.length);
  }

  test('subscriptions of the other shards are known to the new one', async () => {
    await using broker = await startBroker({ workers: 2, authenticator });
    const topic = unique('known');
    const clients: TestClient[] = [];
    for (let n = 0; n < 4; n++) {
      const client = await broker.client({ clientId: unique('old') });
      await client.subscribe([`${topic}/+`, 1], [`${topic}/${n}`, 2]);
      clients.push(client);
    }
    await killOne(broker);
    await eventually(
      () => clients.filter(({ raw }) => raw.isClosed).length === 2,
      'two to be gone',
    );
    const left = clients.filter(({ raw }) => !raw.isClosed);
    for (let n = 0; n < 2; n++) {
      // Fewest connections: these sit on the new shard.
      const publisher = await broker.client({ clientId: unique('new') });
      await publisher.publish(`${topic}/x`, `from ${n}`, { qos: 1 });
      for (const client of left) assert.equal((await client.nextMessage()).payload, `from ${n}`);
    }
  });

  test('persistent sessions of other shards are kept, those of the dead one not', async () => {
    await using broker = await startBroker({ workers: 2, authenticator });
    const ids = [unique('session'), unique('session')];
    for (const clientId of ids) {
      const client = await broker.client({ clientId, cleanSession: false });
      await client.subscribe([`topic/${clientId}`, 1]);
    }
    await killOne(broker);
    const present = [];
    for (const clientId of ids) {
      const client = await broker.client({ clientId, cleanSession: false });
      present.push(client.sessionPresent);
      await client.subscribe([`topic/${clientId}`, 1]);
      await client.publish(`topic/${clientId}`, 'm', { qos: 1 });
      await client.nextMessage();
    }
    assert.deepEqual(present.sort(), [false, true]);
  });

  test('the fifth within a minute is the last: the server fails and closes', async () => {
    await using broker = await startBroker({ workers: 1, authenticator });
    const failed = once(broker.server, 'failed');
    const closed = once(broker.server, 'closed');
    for (let n = 0; n < 4; n++) await killOne(broker);
    const killer = await broker.raw();
    killer.send(connect({ clientId: unique('lethal') }));
    const [error] = await within(failed, 'the server to fail');
    assert.match(error.message, /shard/);
    await within(closed, 'the server to close');
    await killer.untilClosed();
  });
});
