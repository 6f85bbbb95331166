/** A publication of the embedding program is confirmed as PUBACK would: when it is on disk. */
import assert from 'node:assert/strict';
import { beforeEach, describe, type TestContext, test } from 'node:test';
import { SHARDS_MAX } from '../../../src/base/limits.js';
import { retainedOwnerOf } from '../../../src/router/route.js';
import { onPeerLoaded } from '../../../src/shard/peers.js';
import { publishForProgram } from '../../../src/shard/program-publication.js';
import { DURABLE_WORDS } from '../../../src/store/store-words.js';
import { eventually } from '../../support/waiting.js';
import { makeStoredShard, type StoredShard } from './stored-shard.js';

const THERE = 1;
const payload = new TextEncoder().encode('of the program');

describe('a publication of the embedding program', () => {
  let made: StoredShard;
  let confirmed: boolean[];

  beforeEach(async (context) => {
    made = await makeStoredShard(context as TestContext);
    for (const index of [0, THERE]) onPeerLoaded(made.shard, index);
    confirmed = [];
  });

  function publish(topic: string, qos: 0 | 1, retain = false): void {
    publishForProgram(made.shard, { topic, payload, qos, retain }, (isLost) =>
      confirmed.push(isLost),
    );
  }

  /** The other shard has a session on disk that subscribes to it. */
  function keepThere(topic: string): void {
    made.shard.topics.addShard(topic, THERE);
    made.shard.topics.keepShard(topic, THERE);
  }

  const isConfirmed = () => eventually(() => confirmed.length > 0, 'it to be confirmed');

  test('is confirmed at once at QoS 0, and where nothing is kept', () => {
    publish('a', 0, true);
    made.shard.turn.flush();
    assert.deepEqual(confirmed, [false]);
  });

  test('is confirmed when what it retains is on disk', async () => {
    const { shard } = made;
    const own = ['a', 'b', 'c', 'd'].filter((topic) => retainedOwnerOf(topic, 2) === 0);
    for (const topic of own) publish(topic, 1, true);
    assert.deepEqual(confirmed, []);
    await eventually(() => confirmed.length === own.length, 'all to be confirmed');
    const { journal } = shard.store!;
    assert.equal(journal.durable, journal.appended);
  });

  test('is confirmed when the other shard has it on disk', async () => {
    keepThere('a');
    publish('a', 1);
    made.shard.turn.flush();
    assert.deepEqual(confirmed, []);
    Atomics.store(new Int32Array(made.store.words), DURABLE_WORDS + THERE * SHARDS_MAX, 1);
    made.shard.schedule();
    await isConfirmed();
    assert.deepEqual(confirmed, [false]);
  });

  test('is said to be lost when the other shard dies before', async () => {
    keepThere('a');
    publish('a', 1);
    made.shard.turn.flush();
    made.shard.durable!.dropPeer(THERE);
    made.shard.schedule();
    await isConfirmed();
    assert.deepEqual(confirmed, [true]);
  });
});
