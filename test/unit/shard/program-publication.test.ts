/** A publication of the embedding program is confirmed as PUBACK would: when it is on disk. */
import assert from 'node:assert/strict';
import { beforeEach, describe, type TestContext, test } from 'node:test';
import { SHARDS_MAX } from '../../../src/base/limits.js';
import { retainedOwnerOf } from '../../../src/router/route.js';
import { onPeerLoaded } from '../../../src/shard/peers.js';
import { publishForProgram } from '../../../src/shard/program-publication.js';
import { DURABLE_WORDS, FULL_WORD } from '../../../src/store/store-words.js';
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
    publishForProgram(made.shard, { topic, payload, qos, retain }, (why) =>
      confirmed.push(why !== null),
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

  // As a publisher of MQTT 5.0 is told 0x97: else a program alone would have the store grow on.
  test('is refused while the store is full, if it is to be kept', () => {
    const { shard, store } = made;
    Atomics.store(new Int32Array(store.words), FULL_WORD, 1);
    const { appended } = shard.store!.journal;
    publish('a', 1, true);
    assert.deepEqual(confirmed, [true]);
    assert.equal(shard.store!.journal.appended, appended);
    publish('a', 1);
    shard.turn.flush();
    assert.deepEqual(confirmed, [true, false]);
  });

  // A disk that fails takes nothing for as long as it likes, and the journal is in memory. Wills go
  // the same way.
  test('waits while as much waits for the disk as may', async () => {
    const { shard } = made;
    const { journal } = shard.store!;
    let isFull = true;
    Object.defineProperty(journal, 'isFull', { get: () => isFull });
    const { appended } = journal;
    publish('a', 1, true);
    publish('a', 1, true);
    shard.turn.flush();
    assert.equal(journal.appended, appended);
    assert.deepEqual(confirmed, []);
    assert.ok(shard.router.made.bytes > 0);
    isFull = false;
    shard.schedule();
    await eventually(() => confirmed.length === 2, 'both to be confirmed');
    assert.deepEqual(confirmed, [false, false]);
  });
});
