/** Retained messages on disk, and those on their way there, found as if all were in memory. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import {
  RETAINED_RUN_CHANGES,
  RETAINED_WAIT_TICKS,
  RETAINED_WAITING_SLICE,
} from '../../../src/base/limits.js';
import { retainedOwnerOf } from '../../../src/router/route.js';
import { KeptRetained } from '../../../src/store/kept-retained.js';
import { matches, matchesKey } from '../../../src/topics/topic.js';
import { filterKey, oddTopicKey, topicKey } from '../topics/arbitraries.js';
import { TemporaryStore, type TestJournal } from './temporary-store.js';

/** Longer than what a key has room for, and alike up to there. */
const longTopicKey = fc
  .tuple(fc.constantFrom('a/', '$', ''), fc.constantFrom('x', 'x/b', '/y/z'))
  .map(([first, last]) => `${first}${'l/'.repeat(90)}${'x'.repeat(1_900)}${last}`);
const anyTopicKey = fc.oneof(
  { arbitrary: topicKey, weight: 5 },
  { arbitrary: oddTopicKey, weight: 5 },
  { arbitrary: longTopicKey, weight: 1 },
);
const anyFilterKey = fc.oneof(
  filterKey,
  oddTopicKey,
  longTopicKey.map((topic) => `${topic.slice(0, topic.lastIndexOf('/'))}/#`),
);

interface Kept {
  readonly store: TemporaryStore;
  readonly kept: KeptRetained;
  readonly test: TestJournal;
}

/** Those of one shard of several. @param atOnceMax topics from which on others wait. */
function keptIn(store: TemporaryStore, index = 0, count = 1, atOnceMax = 0): Kept {
  const journal = store.journal(() => kept.onDurable());
  const settled = (): Promise<void> => {
    kept.beforeSubmit();
    return journal.settled();
  };
  const isOwn = (topicKey: string) => retainedOwnerOf(topicKey, count) === index;
  const parts = { journal: journal.journal, reader: store.reader, isOwn };
  const where = { shardIndex: index, shardCount: count, atOnceMax };
  const kept: KeptRetained = new KeptRetained({ ...parts, ...where });
  return { store, kept, test: { ...journal, settled } };
}

/** What the shard says behind each change. */
function noteAll(kept: KeptRetained, model: ReadonlyMap<string, string>): void {
  let bytes = 0;
  for (const message of model.values()) bytes += message.length;
  kept.noteTotals(model.size, bytes);
}

/** So much time passes that whatever waits is due. */
function wait(kept: KeptRetained): void {
  for (let tick = 0; tick < RETAINED_WAIT_TICKS; tick++) kept.onTick();
}

/** Until nothing waits, and all is durable. */
async function settleAll({ kept, test: journal }: Kept): Promise<void> {
  wait(kept);
  while (kept.onTick()) await journal.settled();
}

/** So many shards that have one store. */
function shardsIn(store: TemporaryStore, count: number): Kept[] {
  return Array.from({ length: count }, (_, index) => keptIn(store, index, count));
}

function makeKept(context: TestContext): Kept {
  return keptIn(new TemporaryStore(context));
}

type Match = [topicKey: string, message: string];

/** What a search finds, and how often it let others have their turn. */
function search(
  kept: KeptRetained,
  filter: string,
  stepsMax = Number.POSITIVE_INFINITY,
): { found: Match[]; breaths: number } {
  const matched = kept.match(filter, stepsMax);
  const found: Match[] = [];
  let breaths = 0;
  for (let next = matched.next(); !next.done; next = matched.next()) {
    if (next.value === null) breaths++;
    else found.push(next.value);
  }
  return { found, breaths };
}

function topicsOf(kept: KeptRetained, filter: string): string[] {
  return search(kept, filter)
    .found.map(([topic]) => topic)
    .sort();
}

function sum(
  parts: Iterable<{ readonly messages: number; readonly bytes: number }>,
): [number, number] {
  let [messages, bytes] = [0, 0];
  for (const part of parts) {
    messages += part.messages;
    bytes += part.bytes;
  }
  return [messages, bytes];
}

const change = fc.record({ topicKey: anyTopicKey, isSet: fc.boolean(), isAwaited: fc.boolean() });
const step = fc.oneof(
  { arbitrary: change, weight: 8 },
  { arbitrary: fc.constant('wait' as const), weight: 1 },
  { arbitrary: fc.constant('submit' as const), weight: 1 },
  { arbitrary: fc.constant('settle' as const), weight: 1 },
);

/** Takes all away that an earlier run has left. */
function clear(kept: KeptRetained, model: Map<string, string>): void {
  for (const topic of model.keys()) kept.delete(topic, true);
  model.clear();
  noteAll(kept, model);
}

describe('kept retained messages', () => {
  // MQTT-3.3.1-5, MQTT-3.3.1-10
  test('a topic has the message set last, on disk or on its way there', async (context) => {
    const { kept, test: journal } = makeKept(context);
    assert.equal(kept.get('a'), undefined);
    assert.equal(kept.set('a', '1one', true), 0);
    assert.equal(kept.get('a'), '1one');
    await journal.settled();
    assert.deepEqual([kept.get('a'), kept.lengthOf('a')], ['1one', 4]);
    assert.equal(kept.set('a', '1again', true), 4);
    // On disk is still the older one.
    assert.deepEqual([kept.get('a'), kept.lengthOf('a')], ['1again', 6]);
    assert.deepEqual(search(kept, '#').found, [['a', '1again']]);
    await journal.settled();
    assert.deepEqual(search(kept, '#').found, [['a', '1again']]);
    assert.equal(kept.delete('a', true), 6);
    assert.equal(kept.delete('a', true), 0);
    assert.deepEqual(
      [kept.get('a'), topicsOf(kept, '#'), topicsOf(kept, 'a')],
      [undefined, [], []],
    );
    await journal.settled();
    assert.deepEqual([kept.get('a'), topicsOf(kept, '+')], [undefined, []]);
  });

  test('any filter finds what the plain matcher finds, durable or not', async (context) => {
    const { kept, test: journal } = makeKept(context);
    const model = new Map<string, string>();
    let version = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 80, size: 'max' }),
        fc.array(anyFilterKey, { minLength: 1, maxLength: 8 }),
        async (steps, filters) => {
          clear(kept, model);
          for (const each of steps) {
            if (each === 'submit') journal.journal.submit();
            else if (each === 'settle') await journal.settled();
            else if (each === 'wait') wait(kept);
            else {
              const { topicKey, isSet, isAwaited } = each;
              const older = model.get(topicKey)?.length ?? 0;
              const message = `1 ${version++}`;
              if (isSet) {
                assert.equal(kept.set(topicKey, message, isAwaited), older);
                model.set(topicKey, message);
              } else {
                assert.equal(kept.delete(topicKey, isAwaited), older);
                model.delete(topicKey);
              }
              noteAll(kept, model);
            }
          }
          for (const filter of filters) {
            const expected = [...model].filter(([topic]) => matches(filter, topic));
            assert.deepEqual(search(kept, filter).found.sort(), expected.sort(), filter);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test('while a search is left topics change, those left alone come once', async (context) => {
    const { kept, test: journal } = makeKept(context);
    const model = new Map<string, string>();
    let version = 0;
    const set = (topic: string, isAwaited = true) => {
      const message = `1 ${version++}`;
      kept.set(topic, message, isAwaited);
      model.set(topic, message);
      noteAll(kept, model);
    };
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anyTopicKey, { maxLength: 60, size: 'max' }),
        fc.uniqueArray(anyTopicKey, { maxLength: 20, size: 'max' }),
        anyFilterKey,
        fc.array(fc.array(step, { maxLength: 5 }), { maxLength: 30, size: 'max' }),
        fc.constantFrom(1, 40, Number.POSITIVE_INFINITY),
        async (durable, changed, filter, pauses, stepsMax) => {
          clear(kept, model);
          for (const topic of durable) set(topic);
          await journal.settled();
          for (const topic of changed) set(topic);
          const untouched = new Set([...model.keys()].filter((topic) => matches(filter, topic)));
          const found: string[] = [];
          const matched = kept.match(filter, stepsMax);
          let paused = 0;
          for (let next = matched.next(); !next.done; next = matched.next()) {
            if (next.value !== null) {
              // What comes is there, now.
              assert.equal(model.get(next.value[0]), next.value[1]);
              assert.ok(matchesKey(filter, next.value[0]));
              found.push(next.value[0]);
            }
            for (const each of pauses[paused++] ?? []) {
              if (each === 'submit') journal.journal.submit();
              else if (each === 'settle') await journal.settled();
              else if (each === 'wait') wait(kept);
              else {
                untouched.delete(each.topicKey);
                if (each.isSet) set(each.topicKey, each.isAwaited);
                else {
                  kept.delete(each.topicKey, each.isAwaited);
                  model.delete(each.topicKey);
                }
                noteAll(kept, model);
              }
            }
          }
          const once = found.filter((topic) => untouched.has(topic)).sort();
          assert.deepEqual(once, [...untouched].sort());
        },
      ),
      { numRuns: 150 },
    );
  });

  test('many that are on their way are found in parts, beside those on disk', async (context) => {
    const { kept, test: journal } = makeKept(context);
    const count = 6 * RETAINED_RUN_CHANGES;
    const expected: string[] = [];
    for (let n = 0; n < count; n++) {
      // Scattered, in both.
      const topic = `site/${(n * 7_919) % count}/${n % 3}`;
      expected.push(topic);
      kept.set(topic, `1${n}`, true);
      if (n === count / 2) await journal.settled();
    }
    expected.sort();
    assert.deepEqual(topicsOf(kept, 'site/#'), expected);
    assert.deepEqual(
      topicsOf(kept, 'site/+/1'),
      expected.filter((topic) => topic.endsWith('/1')),
    );
    for (const topic of expected.slice(0, count / 2)) kept.delete(topic, true);
    assert.deepEqual(topicsOf(kept, '+/+/+'), expected.slice(count / 2));
    await journal.settled();
    assert.deepEqual(topicsOf(kept, '+/+/+'), expected.slice(count / 2));
  });

  test('a search that finds nothing stops for breath, and holds no snapshot', async (context) => {
    const { kept, test: journal, store } = makeKept(context);
    for (let n = 0; n < 5_000; n++) kept.set(`${n}/temperature`, '1', true);
    await journal.settled();
    const { found, breaths } = search(kept, '+/pressure', 1_000);
    assert.deepEqual(found, []);
    assert.ok(breaths >= 10, `${breaths} breaths`);
    const left = kept.match('#', 100);
    for (let n = 0; n < 10; n++) left.next();
    await new Promise((resolve) => setImmediate(resolve));
    store.reader.renew();
    for (let n = 0; n < 5_000; n++) kept.delete(`${n}/temperature`, true);
    await journal.settled();
    for (let next = left.next(); !next.done; next = left.next()) assert.equal(next.value, null);
  });

  test('topics longer than a key are found among many, by filters as long', async (context) => {
    const { kept, test: journal } = makeKept(context);
    const long = 'x'.repeat(2_500);
    const expected: string[] = [];
    for (let n = 0; n < 2 * RETAINED_RUN_CHANGES; n++) {
      kept.set(`${long.slice(0, 1_000 + n)}/${n}`, '1', true);
      kept.set(`${long}/${n}`, '1', true);
      expected.push(`${long}/${n}`);
    }
    for (const settle of [() => {}, journal.settled]) {
      await settle();
      assert.deepEqual(topicsOf(kept, `${long}/+`), [...expected].sort());
      assert.deepEqual(topicsOf(kept, `${long}/7/#`), [`${long}/7`]);
      assert.deepEqual(
        topicsOf(kept, '+/1000'),
        [`${long}/1000`, `${long.slice(0, 2_000)}/1000`].sort(),
      );
    }
  });

  for (const count of [2, 3, 4, 6, 8]) {
    test(`each of ${count} shards finds its own`, async (context) => {
      const shards = shardsIn(new TemporaryStore(context), count);
      const owner = (topic: string) => retainedOwnerOf(topic, count);
      const topics = Array.from({ length: 1_000 }, (_, n) => `a/${n % 7}/${n}`);
      for (const topic of topics) shards[owner(topic)]!.kept.set(topic, '1', true);
      for (const { test: journal } of shards) await journal.settled();
      for (const [index, { kept }] of shards.entries()) {
        const own = topics.filter((topic) => owner(topic) === index).sort();
        assert.deepEqual(topicsOf(kept, '#'), own);
        assert.deepEqual(topicsOf(kept, 'a/+/+'), own);
      }
    });
  }

  test('one who comes after finds the same, by whichever number of shards', async (context) => {
    const store = new TemporaryStore(context);
    const topics = Array.from({ length: 1_200 }, (_, n) => `t/${'x'.repeat(n % 50)}/${n}`);
    const expected = (count: number) =>
      Array.from({ length: count }, (_, index): [number, number] => {
        const own = topics.filter((topic) => retainedOwnerOf(topic, count) === index);
        return [own.length, own.reduce((bytes, topic) => bytes + topic.length + 1, 0)];
      });
    const two = shardsIn(store, 2);
    for (const topic of topics) two[retainedOwnerOf(topic, 2)]!.kept.set(topic, `1${topic}`, true);
    for (const { test: journal } of two) await journal.settled();
    // Nobody has said how many there are, so that they are counted.
    const counted = two.map(({ kept }) => sum(kept.totals()));
    assert.deepEqual(counted, expected(2));
    assert.equal(store.reader.retainedTotals(0, 2), null);
    for (const [index, { kept, test: journal }] of two.entries()) {
      kept.noteTotals(...counted[index]!);
      await journal.settled();
    }
    const [messages, bytes] = expected(2)[1]!;
    assert.deepEqual(store.reader.retainedTotals(1, 2), { shardCount: 2, messages, bytes });
    const three = shardsIn(store, 3);
    const found = three.flatMap(({ kept }) => topicsOf(kept, '#'));
    assert.deepEqual(found.sort(), [...topics].sort());
    assert.deepEqual(
      three.map(({ kept }) => sum(kept.totals())),
      expected(3),
    );
    // What one of three says makes what was said before worthless.
    three[0]!.kept.noteTotals(...expected(3)[0]!);
    await three[0]!.test.settled();
    assert.equal(store.reader.retainedTotals(0, 3), null);
    assert.equal(store.reader.retainedTotals(1, 2), null);
    assert.deepEqual(sum(shardsIn(store, 2)[0]!.kept.totals()), expected(2)[0]);
  });

  test('how many there were said to be does not stand against what there is', async (context) => {
    const { kept, test: journal, store } = makeKept(context);
    kept.set('a', '1', true);
    kept.noteTotals(1, 1);
    await journal.settled();
    assert.deepEqual(sum(kept.totals()), [1, 1]);
    assert.notEqual(store.reader.retainedTotals(0, 1), null);
    kept.set('b', '22', true);
    await journal.settled();
    assert.equal(store.reader.retainedTotals(0, 1), null);
    assert.deepEqual(sum(kept.totals()), [2, 3]);
  });

  test('what is set again and again at QoS 0 is one row a second', async (context) => {
    const all = makeKept(context);
    const { kept, store, test: journal } = all;
    const topics = 3 * RETAINED_WAITING_SLICE;
    for (const round of [1, 2, 3]) {
      for (let n = 0; n < topics; n++) kept.set(`t/${n}`, `1 ${round}`, false);
      kept.noteTotals(topics, 3 * topics);
      await journal.settled();
      assert.equal(journal.journal.appended, 0);
    }
    assert.equal(kept.get('t/7'), '1 3');
    await settleAll(all);
    // Beside what is said of how many there are.
    assert.equal(journal.journal.appended, topics + 3);
    assert.deepEqual(store.rows().retained, topics);
    assert.deepEqual(kept.get('t/7'), '1 3');
  });

  test('one is journaled at once where few change, and waits where many do', async (context) => {
    const { kept, test: journal } = keptIn(new TemporaryStore(context), 0, 1, 3);
    const { journal: own } = journal;
    for (const topic of ['a', 'b', 'c']) kept.set(topic, '1 at once', false);
    assert.equal(own.appended, 3);
    for (const topic of ['a', 'd']) kept.set(topic, '1 waits', false);
    assert.equal(own.appended, 3);
    kept.noteTotals(4, 32);
    await journal.settled();
    // The two that wait are few; of these nothing overtakes what waits.
    const before = own.appended;
    kept.set('e', '1 at once', false);
    assert.equal(own.appended, before + 1);
    kept.set('d', '1 waits too', false);
    assert.equal(own.appended, before + 1);
    assert.equal(kept.get('d'), '1 waits too');
  });

  test('one that waits gives way to one that is awaited, and to a later one', async (context) => {
    const all = makeKept(context);
    const { kept, test: journal } = all;
    kept.set('a', '1 waits', false);
    kept.set('a', '1 awaited', true);
    kept.noteTotals(1, 9);
    await journal.settled();
    const reader = keptIn(all.store);
    assert.equal(reader.kept.get('a'), '1 awaited');
    await settleAll(all);
    assert.equal(journal.journal.appended, 2);
    kept.set('a', '1 awaited again', true);
    kept.set('a', '1 later', false);
    kept.noteTotals(1, 7);
    await journal.settled();
    assert.equal(kept.get('a'), '1 later');
    all.store.reader.renew();
    assert.equal(reader.kept.get('a'), '1 awaited again');
    await settleAll(all);
    assert.equal(reader.kept.get('a'), '1 later');
    kept.delete('a', false);
    kept.noteTotals(0, 0);
    assert.equal(kept.get('a'), undefined);
    await settleAll(all);
    assert.deepEqual([kept.lengthOf('a'), all.store.rows().retained], [0, undefined]);
  });

  test('the disk is told of as many as it has, whatever waits', async (context) => {
    const all = makeKept(context);
    const { kept, store, test: journal } = all;
    kept.set('a', '1', true);
    kept.set('b', '22', true);
    kept.noteTotals(2, 3);
    await journal.settled();
    kept.set('a', '1 longer', false);
    kept.set('c', '1 new', false);
    kept.delete('b', false);
    kept.noteTotals(2, 13);
    await journal.settled();
    assert.deepEqual(store.reader.retainedTotals(0, 1), { shardCount: 1, messages: 2, bytes: 3 });
    kept.set('c', '1 newest', true);
    kept.noteTotals(2, 16);
    await journal.settled();
    assert.deepEqual(store.reader.retainedTotals(0, 1), { shardCount: 1, messages: 3, bytes: 11 });
    await settleAll(all);
    await journal.settled();
    assert.deepEqual(store.reader.retainedTotals(0, 1), { shardCount: 1, messages: 2, bytes: 16 });
  });

  test('while the disk takes nothing QoS 0 adds nothing to the journal', async (context) => {
    const all = makeKept(context);
    const { kept, store, test: journal } = all;
    store.isDiskFull = true;
    let appended = 0;
    for (let round = 0; round < 10; round++) {
      for (let n = 0; n < 2_000; n++) kept.set(`t/${n}`, `1 ${round}`, false);
      kept.noteTotals(2_000, 6_000);
      wait(kept);
      kept.beforeSubmit();
      journal.journal.submit();
      if (round === 0) ({ appended } = journal.journal);
    }
    assert.equal(appended, RETAINED_WAITING_SLICE + 1);
    assert.equal(journal.journal.appended, appended);
    store.isDiskFull = false;
    await settleAll(all);
    assert.equal(store.rows().retained, 2_000);
    assert.equal(keptIn(store).kept.get('t/1999'), '1 9');
    assert.equal(keptIn(store).kept.get('t/0'), '1 9');
  });

  test('a stop has all that waits on disk', async (context) => {
    const all = makeKept(context);
    const { kept, store, test: journal } = all;
    const topics = 2 * RETAINED_WAITING_SLICE;
    for (let n = 0; n < topics; n++) kept.set(`t/${n}`, '1 due', false);
    wait(kept);
    for (let n = 1; n <= topics; n++) kept.set(`t/${n}`, '1 later', false);
    kept.noteTotals(topics + 1, 5 + 7 * topics);
    kept.beforeClose();
    await journal.journal.close();
    assert.equal(store.rows().retained, topics + 1);
    store.reader.renew();
    const { kept: found } = keptIn(store);
    assert.deepEqual([found.get('t/0'), found.get('t/1')], ['1 due', '1 later']);
    assert.equal(store.reader.retainedTotals(0, 1)?.messages, topics + 1);
  });
});
