/** What SUBACKs wait for: two shards as in replay-sides.ts, and one alone of three. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  OPENING_BYTES_MAX,
  OPENING_LEVELS_MAX,
  OPENING_TOPIC_BYTES_MAX,
  OPENING_TOTAL_BYTES_MAX,
  OPENINGS_BYTES_MAX,
} from '../../../src/base/limits.js';
import { WordIds } from '../../../src/base/word-ids.js';
import type { QoS } from '../../../src/protocol/packet.js';
import { encodePublish } from '../../../src/protocol/publish-frame.js';
import { Openings } from '../../../src/router/opening.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';
import { makeSides, Reader, type Side, settleBoth, topicsOf } from './replay-sides.js';

type Filters = [filterKey: string, qos: QoS][];

/** A message published to be retained, as latin1. */
function retained(topic: string, payload: string): string {
  return encodePublish(topic, Buffer.from(payload), 0x31, 1).toString('latin1');
}

describe('a SUBACK', () => {
  let here: Side;
  let there: Side;
  let reader: Reader;
  let readied: Filters[];
  const [local] = topicsOf(0, 1) as [string];
  const [remote, second] = topicsOf(1, 2) as [string, string];

  beforeEach(async () => {
    [here, there] = await makeSides();
    reader = new Reader(here);
    readied = [];
  });

  /** A SUBSCRIBE. @returns its filters, and what is called when all shards route them. */
  function subscribe(...filters: Filters): [filters: Filters, onRouted: () => void] {
    const { session } = reader;
    const onRouted = here.replays.expect(session, filters, () => readied.push(filters));
    for (const [filterKey, qos] of filters) session.addSubscription(filterKey, qos);
    return [filters, onRouted];
  }

  const settle = () => settleBoth(here, there);
  const start = (filters: Filters) => here.replays.start(reader.session, filters);
  const keepNewer = (topic: string, payload: string | null, isLocal = false) => {
    assert.equal(reader.session.replay!.wantsNewer(topic, isLocal), true);
    const frame = payload === null ? null : retained(topic, payload);
    reader.session.replay!.keepNewer(topic, frame, isLocal);
  };

  // [MQTT-3.3.1-6]: something comes as retained, whatever is published behind the SUBACK.
  test('waits for what another shard retains, which follows it at once', () => {
    there.retain(remote, 'r', 1);
    here.retain(local, 'l');
    const [filters, onRouted] = subscribe(['t/+', 1]);
    settle();
    assert.deepEqual(readied, []);
    onRouted();
    assert.deepEqual(readied, [filters]);
    assert.deepEqual(reader.got, []);
    start(filters);
    assert.deepEqual(reader.got.sort(), [`${local}=l/0!`, `${remote}=r/1!`].sort());
    settle();
    assert.equal(reader.got.length, 2);
    assert.equal(reader.session.replay, null);
  });

  test('waits for nothing where this shard owns the topic', () => {
    const [filters, onRouted] = subscribe([local, 0]);
    onRouted();
    assert.deepEqual(readied, [filters]);
  });

  test('brings the newest of what has come meanwhile in place of what its owner has', () => {
    there.retain(remote, 'old');
    there.retain(second, 'cleared');
    const [filters, onRouted] = subscribe([remote, 1], ['t/+', 0]);
    settle();
    onRouted();
    keepNewer(remote, 'newer');
    keepNewer(remote, 'newest');
    keepNewer(second, null);
    keepNewer('t/first', 'f');
    assert.equal(reader.session.replay!.wantsNewer('other', false), false);
    start(filters);
    const expected = [`${remote}=newest/0!`, `${remote}=newest/0!`, 't/first=f/0!'];
    assert.deepEqual(reader.got.sort(), expected.sort());
  });

  // Before the other shard has confirmed, it may have sent one and answered with a newer one.
  test('leaves to the answer what the other shard has sent before it confirms', () => {
    const [, onRouted] = subscribe([remote, 1]);
    const replay = reader.session.replay!;
    assert.equal(replay.wantsNewer(remote, true), true);
    assert.equal(replay.wantsNewer(remote, false), false);
    onRouted();
    assert.equal(replay.wantsNewer(remote, false), true);
  });

  test('does not wait for more than is sent with it, and all is replayed then', () => {
    const topics = topicsOf(1, 10);
    for (const topic of topics) there.retain(topic, 'x'.repeat(OPENING_BYTES_MAX / 8));
    const [filters, onRouted] = subscribe(['t/+', 0], [second, 0]);
    onRouted();
    settle();
    assert.deepEqual(readied, [filters]);
    start(filters);
    assert.deepEqual(reader.got, [`${second}=xxxxxxxxx/0!`]);
    settle();
    assert.equal(reader.got.length, topics.length + 1);
  });

  test('does not wait for what takes long to find', () => {
    for (let topic = 0; topic < OPENING_LEVELS_MAX; topic++) there.retain(`t/${topic}/x`, 'x');
    there.retain('t/0/found', 'f');
    const [filters, onRouted] = subscribe(['t/+/found', 0]);
    onRouted();
    here.turn(there);
    there.turn(here);
    here.turn(there);
    assert.deepEqual(readied, [filters]);
    start(filters);
    settle();
    assert.deepEqual(reader.got, ['t/0/found=f/0!']);
  });

  test('does not wait where more comes meanwhile than is kept', () => {
    there.retain(remote, 'old');
    const [filters, onRouted] = subscribe([remote, 0]);
    onRouted();
    here.replays.beforeFlush();
    keepNewer(remote, 'x'.repeat(OPENING_BYTES_MAX));
    assert.deepEqual(readied, []);
    here.replays.beforeFlush();
    assert.deepEqual(readied, [filters]);
    assert.equal(reader.session.replay!.isHeldBack(remote), true);
    there.retain(remote, 'new');
    start(filters);
    settle();
    assert.deepEqual(reader.got, [`${remote}=new/0!`]);
  });

  test('goes out when the shard that it waits for dies', () => {
    there.retain(remote, 'r');
    const [filters, onRouted] = subscribe([remote, 0]);
    onRouted();
    here.peers = 0;
    here.replays.dropPeer(1);
    assert.deepEqual(readied, [filters]);
    start(filters);
    assert.deepEqual(reader.got, []);
    assert.equal(reader.session.replay, null);
  });

  // One that has sent DISCONNECT is sent the SUBACK all the same.
  test('goes out when its client leaves, to whom nothing is sent then', () => {
    there.retain(remote, 'r');
    const [filters, onRouted] = subscribe([remote, 0]);
    onRouted();
    here.replays.beforeFlush();
    here.replays.park(reader.session);
    assert.deepEqual(readied, []);
    here.replays.beforeFlush();
    assert.deepEqual(readied, [filters]);
    settle();
    start(filters);
    settle();
    assert.deepEqual(reader.got, []);
  });

  test('waits for nothing where its client does not take what it is sent', () => {
    there.retain(remote, 'r');
    reader.outlet.isHeavy = true;
    const [filters, onRouted] = subscribe([remote, 0]);
    onRouted();
    assert.deepEqual(readied, [filters]);
    reader.outlet.isHeavy = false;
    start(filters);
    settle();
    assert.deepEqual(reader.got, [`${remote}=r/0!`]);
  });

  test('brings nothing of what was unsubscribed before it, even if it is subscribed again', () => {
    there.retain(remote, 'r');
    const [first, onFirst] = subscribe([remote, 0]);
    reader.session.removeSubscription(remote);
    here.replays.leave(reader.session, remote);
    const [again, onAgain] = subscribe([remote, 0]);
    onFirst();
    onAgain();
    settle();
    start(first);
    assert.deepEqual(reader.got, []);
    assert.equal(reader.session.replay!.isHeldBack(remote), true);
    start(again);
    assert.deepEqual(reader.got, [`${remote}=r/0!`]);
  });
});

describe('the questions of a SUBSCRIBE', () => {
  let asked: { mask: number; id: number; bytesMax: number; filterKey: string }[];
  let readied: number;
  let openings: Openings;

  beforeEach(() => {
    asked = [];
    readied = 0;
    const send: PeerLink['send'] = (kind, mask, id, bytesMax, _2, _3, body) => {
      assert.equal(kind, RecordKind.retainedQuery);
      asked.push({ mask, id, bytesMax, filterKey: body.toString('latin1') });
    };
    openings = new Openings(
      {
        shardIndex: 0,
        shardCount: 3,
        link: { send } as unknown as PeerLink,
        rows: null,
        peers: () => 6,
        schedule: () => {},
      },
      new WordIds(),
      new Set(),
    );
  });

  const begin = (filters: Filters) => openings.begin(filters, () => readied++)!;

  // A third shard that does not route the filter yet may have a newer message for its owner alone.
  test('are asked when all of three shards route it, of each that may have something', () => {
    const opening = begin([['#', 0]]);
    openings.flush();
    assert.equal(asked.length, 0);
    openings.onRouted(opening);
    openings.flush();
    assert.deepEqual(
      asked.map(({ mask, bytesMax }) => [mask, bytesMax]),
      [
        [2, OPENING_BYTES_MAX],
        [4, OPENING_BYTES_MAX],
      ],
    );
    openings.onAnswered(asked[0]!.id, true);
    assert.equal(readied, 0);
    openings.onAnswered(asked[1]!.id, true);
    assert.equal(readied, 1);
    assert.ok(opening.isWhole('#'));
  });

  test('share what one SUBSCRIBE is set aside', () => {
    openings.onRouted(begin(Array.from({ length: 8 }, (_, at) => [`${at}/#`, 0])));
    openings.flush();
    assert.equal(asked.length, 16);
    for (const { bytesMax } of asked) assert.equal(bytesMax, OPENING_TOTAL_BYTES_MAX / 16);
  });

  test('are not asked where too many others are, and begin again when those are done', () => {
    const filters: Filters = [];
    for (let topic = 0; filters.length < 16; topic++) {
      if (openings.begin([[`t/${topic}`, 0]], () => {}) !== null) filters.push([`t/${topic}`, 0]);
    }
    const count = OPENINGS_BYTES_MAX / OPENING_TOPIC_BYTES_MAX / 16;
    const all = Array.from({ length: count }, () => begin(filters));
    for (const opening of all) openings.onRouted(opening);
    openings.flush();
    assert.equal(asked.length, count * 16);
    const [one] = filters as [[string, QoS]];
    const tooMany = begin([one]);
    openings.onRouted(tooMany);
    openings.flush();
    assert.equal(asked.length, count * 16);
    assert.equal(readied, 1);
    assert.ok(!tooMany.isWhole(one[0]));
    openings.end(all[0]!);
    openings.onRouted(begin([one]));
    openings.flush();
    assert.equal(asked.length, count * 16 + 1);
  });
});
