/** What is said of a store that is not as it should be. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { checkStore, type StoreCounts } from '../../../src/store/check-store.js';
import { dumpStore } from '../../../src/store/dump-store.js';
import {
  bitsKey,
  entryKey,
  owedKey,
  ReplayRow,
  runKey,
  sentKey,
  sessionKey,
} from '../../../src/store/keys.js';
import { StoreSnapshot } from '../../../src/store/store-snapshot.js';
import { runOf, TemporaryStore } from './temporary-store.js';
import { Workload } from './workload.js';

const NOTHING = Buffer.from([0]);

interface Found {
  readonly counts: StoreCounts;
  readonly faults: string[];
}

async function found({ folder }: TemporaryStore): Promise<Found> {
  const snapshot = new StoreSnapshot(folder);
  const faults: string[] = [];
  const counts = checkStore(snapshot, (fault) => faults.push(fault.replace(/ \(row.*/, '')));
  await snapshot.close();
  return { counts, faults };
}

/** A store with two sessions that have one message, and another with one of its own. */
async function filled(context: TestContext): Promise<TemporaryStore> {
  const store = new TemporaryStore(context);
  const { journal, settled } = store.journal();
  const run = runOf('shared', 2);
  for (const number of [1, 2]) {
    journal.putSession(number, `client ${number}`, { version: 5 });
    journal.putSubscription(number, 'a/+', 1);
    journal.putReplay(number, ReplayRow.filter, 9, 'a/+', number);
    journal.queue(number, 10, run, run.bytes.length, 0x32, 2, [3]);
  }
  const alone = runOf('alone', 1, 1);
  journal.queue(1, 12, alone, alone.bytes.length, 0x34, 1, [], 'group');
  journal.putReplay(1, ReplayRow.topic, 9, 'a/b', 1);
  journal.incoming(1, 7);
  journal.received(1, 12, 1);
  journal.given(2, 10, 1);
  journal.retain('a/ü', runOf('retained').bytes.toString('latin1'));
  await settled();
  return store;
}

describe('the check of a store', () => {
  test('finds nothing wrong with what journals have said, and counts it', async (context) => {
    const { counts, faults } = await found(await filled(context));
    assert.deepEqual(faults, []);
    const expected = {
      sessions: 2,
      subscriptions: 2,
      messages: 5,
      entries: 3,
      runs: 1,
      retained: 1,
      pending: 0,
    };
    assert.deepEqual(counts, expected);
  });

  test('finds nothing wrong behind random work', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const workload = new Workload(7, 0);
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 100; n++) workload.step(journal);
      await settled();
    }
    // What the workload retains is no PUBLISH packet, and is not looked at.
    assert.deepEqual((await found(store)).faults, []);
  });

  test('says in words what is wrong', async (context) => {
    const store = await filled(context);
    const { tables } = store.environment;
    const cases: readonly (readonly [RegExp, () => void])[] = [
      [
        /^subscriptions: there is no session 2$/,
        () => tables.sessions.removeSync(sessionKey('client 2')),
      ],
      [/^queue: message 0 is missing$/, () => tables.runs.removeSync(runKey(0))],
      [
        /^holders: message 0 is said to be in 2 queues, and is in 1$/,
        () => tables.queue.removeSync(entryKey(2, 10)),
      ],
      [
        /^queue: an entry begins before the one ahead of it ends$/,
        () => tables.queue.putSync(entryKey(1, 11), tables.queue.get(entryKey(1, 12))!),
      ],
      [
        /^queue: a row cannot be read/,
        () => tables.queue.putSync(entryKey(1, 20), Buffer.from([1, 2, 0x80])),
      ],
      [
        /^queue: 1 messages are not as long as they say$/,
        () => {
          const row = tables.queue.get(entryKey(1, 12))!;
          tables.queue.putSync(entryKey(1, 12), row.subarray(0, -1));
        },
      ],
      [
        /^bits: bits of an unknown kind, 9$/,
        () => tables.bits.putSync(bitsKey(9 as 0, 1, 0), Buffer.alloc(64)),
      ],
      [
        /^replays: a row of an unknown kind, 9$/,
        () => tables.replays.putSync(Buffer.concat([Buffer.from([9]), owedKey(1)]), NOTHING),
      ],
      [
        /^replays: a filter that is owed is at a wrong place$/,
        () => tables.replays.putSync(owedKey(1, 'a'), Buffer.from('00000000b')),
      ],
      [
        /^replays: a topic that was sent is at a wrong place$/,
        () => tables.replays.putSync(sentKey(1, 9, 'a'), Buffer.from('0000b')),
      ],
      [
        /^replays: there is no session 7$/,
        () => tables.replays.putSync(sentKey(7, 9, 'a'), Buffer.from('0000a')),
      ],
      [
        /^retained: "a\/ü" stands at another's place$/,
        () => {
          const [row] = tables.retained.getRange({ limit: 1 });
          tables.retained.putSync(Buffer.from('b'), row!.value);
        },
      ],
      [
        /^sessions: a row cannot be read/,
        () => tables.sessions.putSync(sessionKey('client 1'), Buffer.from([1])),
      ],
    ];
    for (const [fault, damage] of cases) {
      damage();
      const { faults } = await found(store);
      assert.ok(
        faults.some((each) => fault.test(each)),
        `${fault}: ${faults.join('; ')}`,
      );
    }
  });
});

describe('the dump of a store', () => {
  test('is a line of JSON for each thing', async (context) => {
    const store = await filled(context);
    const snapshot = new StoreSnapshot(store.folder);
    const lines = [...dumpStore(snapshot)].map((line) => JSON.parse(line) as object);
    await snapshot.close();
    const shared = { deliveryQos: 1, topic: 'a/b', qos: 1, retain: false };
    const payload = Buffer.from('shared').toString('base64');
    const session = { kind: 'session', head: { version: 5 } };
    const message = { kind: 'message', ...shared, payload, subscriptionIdentifiers: [3] };
    const subscription = { kind: 'subscription', filter: 'a/+', grant: 1 };
    const { expires } = lines[7] as { readonly expires: string };
    const replay = { clientId: 'client 1', since: 1 };
    assert.deepEqual(lines.slice(0, 7), [
      { kind: 'store', version: 1 },
      { ...session, clientId: 'client 1', number: 1, incomingPacketIds: [7] },
      { ...subscription, clientId: 'client 1' },
      { ...replay, kind: 'owed', filter: 'a/+', generation: 9 },
      { ...replay, kind: 'sent', topic: 'a/b' },
      { ...message, clientId: 'client 1', position: 10 },
      { ...message, clientId: 'client 1', position: 11 },
    ]);
    assert.deepEqual(lines[7], {
      kind: 'message',
      clientId: 'client 1',
      position: 12,
      deliveryQos: 2,
      topic: 'a/b',
      qos: 1,
      retain: false,
      payload: Buffer.from('alone').toString('base64'),
      expires,
      group: 'group',
      isReceived: true,
    });
    assert.equal(lines.length, 14);
    assert.deepEqual(lines.at(-1), {
      kind: 'retained',
      topic: 'a/b',
      qos: 1,
      retain: false,
      payload: Buffer.from('retained').toString('base64'),
    });
  });
});
