/** What journals say, written by the one writer, and read again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sharedMs } from '../../../src/base/clock.js';
import { SHARDS_MAX, STORE_DROPPED_ROWS } from '../../../src/base/limits.js';
import { POSITION_MAX, partitionOf, ReplayRow } from '../../../src/store/keys.js';
import { eventually } from '../../support/waiting.js';
import { retainedIn, runOf, TemporaryStore, temporaryFolder } from './temporary-store.js';

describe('the store', () => {
  test('gives back sessions and subscriptions as they were put last', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const id = `é${'x'.repeat(3_000)}`;
    journal.putSession(2 ** 53 - 2, id, { version: 5, will: Buffer.from('w') });
    journal.putSession(33, 'b', { version: 4 });
    journal.putSession(33, 'b', { version: 5 });
    journal.putSubscription(33, 'a/+', 0x8000_0001);
    journal.putSubscription(33, `a/${'l'.repeat(60_000)}`, 2);
    journal.putSubscription(33, 'gone', 1);
    await settled();
    journal.removeSubscription(33, 'gone');
    journal.putSubscription(33, 'a/+', 7);
    await settled();
    const all = [...store.reader.sessions(() => true)];
    assert.deepEqual(all.map(({ number, clientId }) => [number, clientId]).sort(), [
      [33, 'b'],
      [2 ** 53 - 2, id],
    ]);
    assert.deepEqual(all.find(({ number }) => number === 33)?.head, { version: 5 });
    const wanted = [...store.reader.sessions((partition) => partition === partitionOf('b'))];
    assert.ok(wanted.some(({ clientId }) => clientId === 'b'));
    const subscriptions = store.reader.subscriptions(33).sort((a, b) => a.grant - b.grant);
    assert.deepEqual(
      subscriptions.map(({ filterKey, grant }) => [filterKey.length, grant]),
      [
        [60_002, 2],
        [3, 7],
      ],
    );
  });

  test('gives back what replays owe, until they or their sessions end', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const { filter, topic } = ReplayRow;
    const long = `a/${'l'.repeat(60_000)}`;
    const last = 2 ** 32 - 1;
    for (const session of [5, 6, 300]) journal.putSession(session, `client ${session}`, {});
    journal.putReplay(5, filter, 1, 'a/+', 7);
    journal.putReplay(5, filter, 1, long, 8);
    journal.putReplay(5, topic, 1, 'a/b', last);
    journal.putReplay(6, topic, last, 'a/b', 1);
    journal.putReplay(300, filter, last, '#', 1);
    await settled();
    const { reader } = store;
    const owed = (session: number) => reader.owedRetained(session);
    assert.deepEqual([...reader.allOwedRetained().keys()], [5, 300]);
    assert.deepEqual(reader.allOwedRetained().get(5), owed(5));
    assert.deepEqual(owed(5), [
      { filterKey: 'a/+', since: 7, generation: 1 },
      { filterKey: long, since: 8, generation: 1 },
    ]);
    assert.deepEqual([owed(6), reader.sentRetained(6, last, 'a/b')], [[], 1]);
    assert.deepEqual(
      [1, 2].map((each) => reader.sentRetained(5, each, 'a/b')),
      [last, 0],
    );

    journal.removeReplay(5, filter, 1, 'a/+');
    journal.removeReplay(5, filter, 1, 'never');
    journal.putReplay(300, filter, last, 'early', 2);
    journal.endReplay(300, last);
    journal.putReplay(300, filter, 0, 'late', 3);
    journal.putReplay(300, filter, 0, 'later', 3);
    journal.removeReplay(300, filter, 0, 'later');
    journal.endReplay(6, last);
    await settled();
    assert.deepEqual(owed(5), [{ filterKey: long, since: 8, generation: 1 }]);
    assert.deepEqual(owed(300), [{ filterKey: 'late', since: 3, generation: 0 }]);
    assert.equal(reader.sentRetained(6, last, 'a/b'), 0);

    journal.dropSession(5, 'client 5');
    await settled();
    assert.deepEqual([owed(5), reader.sentRetained(5, 1, 'a/b')], [[], 0]);
    assert.deepEqual([...reader.allOwedRetained().keys()], [300]);
  });

  // Nobody waits for a million of them.
  test('takes the topics of a replay that has ended away some at a time', async (context) => {
    const folder = temporaryFolder(context);
    const store = new TemporaryStore(context, folder);
    const { journal, settled } = store.journal();
    const topics = 5 * STORE_DROPPED_ROWS;
    for (let n = 0; n < topics; n++) journal.putReplay(1, ReplayRow.topic, 7, `${n}`, 1);
    for (let n = 0; n < topics; n++) journal.putReplay(2, ReplayRow.topic, 7, `${n}`, 1);
    await settled();
    journal.endReplay(1, 7);
    journal.putReplay(1, ReplayRow.topic, 8, 'of the next', 1);
    journal.dropSession(2, 'b');
    await settled();
    const { replays = 0 } = store.rows();
    assert.ok(replays > topics / 2 && replays < 2 * topics, `${replays} rows`);
    await store.close();
    // What is left goes with the next process.
    const next = new TemporaryStore(context, folder);
    await eventually(() => next.rows().replays === 1, 'all rows but one to go');
    next.reader.renew();
    assert.equal(next.reader.sentRetained(1, 8, 'of the next'), 1);
  });

  test('gives back a queue in its order', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const run = runOf('a', 3, sharedMs() + 60_000);
    journal.queue(5, 2 ** 40, run, run.bytes.length, 0x35, 3, [1, 200, 268_435_455], 'group/é');
    journal.queue(5, 2 ** 40 + 3, runOf('b'), 5, 0x32, 1);
    journal.queue(6, 0, runOf('c'), 5, 0x32, 1);
    await settled();
    assert.deepEqual(store.reader.ends(5), { first: 2 ** 40, firstCount: 3, next: 2 ** 40 + 4 });
    assert.equal(store.reader.ends(4), null);
    const [first, second, ...others] = store.reader.entries(5, 0, 1_000);
    assert.equal(others.length, 0);
    assert.ok(Math.abs(first.run.expiresAt - run.expiresAt) < 1_000);
    assert.deepEqual(
      { ...first, run: 0 },
      {
        position: 2 ** 40,
        run: 0,
        deliveryHeader: 0x35,
        count: 3,
        identifiers: [1, 200, 268_435_455],
        group: 'group/é',
      },
    );
    assert.deepEqual({ ...first.run, expiresAt: 0 }, { ...run, expiresAt: 0 });
    assert.deepEqual(second.run.bytes, runOf('b').bytes.subarray(0, 5));
    assert.equal(second.group, '');
    assert.equal(store.reader.entries(5, 0, 1).length, 1);
    assert.equal(store.reader.entries(5, 2 ** 40 + 1, 1)[0].position, 2 ** 40 + 3);
  });

  // What a session has been given of them is known by a number.
  test('gives runs on their way numbers that none has had, in no process', async (context) => {
    const folder = temporaryFolder(context);
    const numbers: number[] = [];
    for (let process = 0; process < 3; process++) {
      const store = new TemporaryStore(context, folder);
      const { journal, settled } = store.journal();
      for (let n = 0; n < 2; n++) {
        journal.pend(0, 2, 2, new Int32Array(SHARDS_MAX).fill(1_000), runOf('a'));
        await settled();
        const [{ row }] = store.reader.pending();
        numbers.push(row);
        journal.arrived(row, 2);
        await settled();
        assert.equal(store.rows().pending, undefined);
      }
      await store.close();
    }
    const sorted = [...new Set(numbers)].sort((a, b) => a - b);
    assert.equal(sorted.length, 6);
    assert.deepEqual(numbers, sorted);
  });

  test('has a message once, however many hold it, and until the last of them', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const run = runOf('shared');
    for (let session = 1; session <= 100; session++) {
      journal.queue(session, 10, run, run.bytes.length, 0x32, 1);
    }
    await settled();
    assert.deepEqual(store.rows(), { queue: 100, runs: 1, holders: 1 });
    assert.deepEqual(store.reader.entries(77, 0, 1)[0].run, run);
    for (let session = 1; session < 100; session++) journal.left(session, 11);
    await settled();
    assert.deepEqual(store.rows(), { queue: 1, runs: 1, holders: 1 });
    journal.dropSession(100, 'a');
    await settled();
    assert.deepEqual(store.rows(), {});
  });

  test('writes no row for a subscriber that keeps up', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const run = runOf('a');
    for (let position = 0; position < 10; position++) {
      journal.queue(1, position, run, run.bytes.length, 0x32, 1);
      journal.queue(2, position, run, run.bytes.length, 0x32, 1);
    }
    journal.left(1, 10);
    await settled();
    assert.deepEqual(store.rows(), { queue: 10, runs: 1, holders: 1 });
    assert.equal(store.reader.ends(1), null);
  });

  test('drops a session with all its rows, and with those of the same moment', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const fill = () => {
      journal.putSession(1, 'a', {});
      journal.putSubscription(1, 'f', 1);
      journal.queue(1, 0, runOf('a'), 5, 0x34, 1);
      journal.received(1, 0, 1);
      journal.incoming(1, 7);
    };
    fill();
    await settled();
    const kinds = { sessions: 1, subscriptions: 1, queue: 1, bits: 2 };
    assert.deepEqual(store.rows(), kinds);
    fill();
    journal.dropSession(1, 'a');
    await settled();
    assert.deepEqual(store.rows(), {});
    // A client that begins anew has another session.
    fill();
    journal.dropSession(1, 'a');
    journal.putSession(2, 'a', {});
    await settled();
    assert.deepEqual(store.rows(), { sessions: 1 });
    journal.dropSession(1, 'a');
    await settled();
    assert.equal([...store.reader.sessions(() => true)][0].number, 2);
  });

  // Nobody else waits for it.
  test('takes a long queue away part by part', async (context) => {
    const folder = temporaryFolder(context);
    const store = new TemporaryStore(context, folder);
    const { journal, settled } = store.journal();
    const entries = 25 * STORE_DROPPED_ROWS;
    const run = runOf('a');
    journal.putSession(1, 'a', {});
    for (let n = 0; n < entries; n++) journal.queue(1, n, run, run.bytes.length, 0x32, 1);
    await settled();
    journal.dropSession(1, 'a');
    await settled();
    const { queue = 0, doomed } = store.rows();
    assert.ok(queue > 0 && queue < entries, `${queue} entries`);
    assert.equal(doomed, 1);
    await store.close();
    // What is left goes with the next process.
    const next = new TemporaryStore(context, folder);
    await eventually(() => Object.keys(next.rows()).length === 0, 'all rows to go');
  });

  // A shard may die before it has said whose they are: its successor gives other numbers.
  test('counts the number of a session that has messages alone', async (context) => {
    const store = new TemporaryStore(context, temporaryFolder(context));
    const { journal, settled } = store.journal();
    const run = runOf('a');
    journal.queue(9, 0, run, run.bytes.length, 0x32, 1);
    await settled();
    assert.equal(store.writer.sessionMax, 9);
  });

  // MQTT-4.3.3-2: a packet id is noted until its PUBREL.
  test('lets single entries go, in whatever order', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const shared = runOf('shared');
    for (const session of [5, 6]) journal.queue(session, 0, shared, shared.bytes.length, 0x32, 1);
    for (const position of [1, 2, 3, 4]) {
      journal.queue(5, position, runOf('own'), 5, 0x32, 1);
    }
    // Some are not on disk yet, others are.
    for (const position of [3, 9]) journal.gone(5, position);
    await settled();
    const positions = () => store.reader.entries(5, 0, 1_000).map(({ position }) => position);
    assert.deepEqual(positions(), [0, 1, 2, 4]);
    for (const position of [2, 0, 3]) journal.gone(5, position);
    await settled();
    assert.deepEqual(positions(), [1, 4]);
    assert.equal(String(store.reader.entries(6, 0, 1_000)[0].run.bytes), String(shared.bytes));
    journal.gone(6, 0);
    journal.dropSession(5, 'a');
    journal.gone(5, 1);
    await settled();
    assert.deepEqual(store.rows(), {});
  });

  test('keeps packet ids of QoS 2 until they are released', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    for (const id of [1, 511, 512, 65_535]) journal.incoming(1, id);
    journal.incoming(2, 9);
    await settled();
    assert.deepEqual(store.reader.incoming(1), [1, 511, 512, 65_535]);
    journal.released(1, 512);
    journal.incoming(1, 513);
    journal.released(1, 513);
    await settled();
    assert.deepEqual(store.reader.incoming(1), [1, 511, 65_535]);
    assert.deepEqual(store.rows(), { bits: 3 });
  });

  test('keeps what has become of single messages until they have left', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    journal.queue(1, 500, runOf('a', 600), 10, 0x34, 600);
    journal.received(1, 510, 4);
    journal.received(1, 1_023, 2);
    journal.given(1, 512, 2);
    await settled();
    assert.deepEqual([...store.reader.given(1, 510, 5)], [0, 0, 1, 1, 0]);
    assert.deepEqual([...store.reader.received(1, 509, 6)], [0, 1, 1, 1, 1, 0]);
    assert.deepEqual([...store.reader.received(1, 1_023, 3)], [1, 1, 0]);
    // A row goes as a whole; positions that begin anew then know nothing of those before.
    journal.left(1, 1_100);
    await settled();
    assert.deepEqual(store.rows(), {});
  });

  test('tells positions that begin anew from those before, in one cut too', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const run = runOf('a', 3);
    journal.queue(1, 0, run, run.bytes.length, 0x34, 3);
    journal.received(1, 0, 3);
    await settled();
    journal.left(1, POSITION_MAX);
    journal.queue(1, 0, run, run.bytes.length, 0x34, 3);
    journal.received(1, 1, 1);
    await settled();
    assert.deepEqual(store.reader.ends(1), { first: 0, firstCount: 3, next: 3 });
    assert.deepEqual([...store.reader.received(1, 0, 3)], [0, 1, 0]);
  });

  test('keeps the last retained message of a topic, with its expiry', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const expiresAt = Buffer.alloc(8);
    expiresAt.writeDoubleLE(sharedMs() + 5_000);
    const of5 = `\u0005${expiresAt.toString('latin1')}frame`;
    journal.retain('a', '1 old');
    journal.retain('a', '1 frame of 3.x ÿ');
    journal.retain('b/é', of5);
    journal.retain('gone', '1');
    await settled();
    journal.retain('gone', null);
    await settled();
    const found = retainedIn(store.reader);
    const all = new Map(found.map(({ topicKey, message }) => [topicKey, message]));
    assert.equal(all.get('a'), '1 frame of 3.x ÿ');
    const message = Buffer.from(all.get('b/é')!, 'latin1');
    assert.equal(message.toString('latin1', 9), 'frame');
    assert.ok(Math.abs(message.readDoubleLE(1) - expiresAt.readDoubleLE()) < 1_000);
    assert.deepEqual([...all.keys()].sort(), ['a', 'b/é']);
    const wanted = retainedIn(store.reader, (topicKey) => topicKey === 'a');
    assert.equal(wanted.length, 1);
  });

  test('reads more sessions than it reads at a time', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const count = 10_000;
    for (let n = 0; n < count; n++) journal.putSession(n, `client ${n}`, {});
    await settled();
    const numbers = new Set([...store.reader.sessions(() => true)].map(({ number }) => number));
    assert.equal(numbers.size, count);
  });

  test('tells when its bytes are used up, and when they are not any more', async (context) => {
    const store = new TemporaryStore(context, undefined, 400_000);
    const { journal, settled } = store.journal();
    const run = runOf('x'.repeat(1_000));
    assert.equal(journal.isStoreFull, false);
    for (let n = 0; n < 500; n++) journal.queue(1, n, run, run.bytes.length, 0x32, 1);
    journal.submit();
    for (let n = 0; n < 500; n++) journal.queue(1, 500 + n, runOf('y'), 9, 0x32, 1);
    await settled();
    const big = runOf('z'.repeat(500_000));
    journal.queue(2, 0, big, big.bytes.length, 0x32, 1);
    await settled();
    assert.equal(journal.isStoreFull, true);
    journal.dropSession(2, 'b');
    await settled();
    while (journal.isStoreFull) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(store.fullness, [true, false]);
  });

  // Of a message that many wait for, the rows take several times what the segment has of them.
  test('is full with the cut that uses up its bytes, however small its rows', async (context) => {
    // The look that comes each second would tell, too.
    context.mock.timers.enable({ apis: ['setInterval'] });
    const store = new TemporaryStore(context, undefined, 1_000_000);
    const { journal, settled } = store.journal();
    let before = 0;
    for (let position = 0; !journal.isStoreFull; position++) {
      before = store.environment.usedBytes();
      assert.ok(before < 1_000_000, `${before} bytes`);
      const run = runOf(`${position}`);
      for (let session = 1; session <= 500; session++) {
        journal.queue(session, position, run, run.bytes.length, 0x32, 1);
      }
      await settled();
    }
    assert.ok(store.environment.usedBytes() >= 1_000_000);
  });
});
