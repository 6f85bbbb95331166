/** What a replay owes to a client that is cut, and comes back: see replay-sides.ts. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  BROUGHT_BYTES_MAX,
  PARKED_REPLAYS_MAX,
  RETAINED_PART_BYTES,
} from '../../../src/base/limits.js';
import type { QoS } from '../../../src/protocol/packet.js';
import { encodePublish } from '../../../src/protocol/publish-frame.js';
import { RecordKind } from '../../../src/router/records.js';
import type { MovedFilter } from '../../../src/router/replay-filters.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import {
  expectSubscribed,
  type Filters,
  LIMITS,
  makeSides,
  Reader,
  type Side,
  settleBoth,
  topicsOf,
} from './replay-sides.js';

const HALF_A_PART = RETAINED_PART_BYTES / 2;

/** Filters of a session of which all is still to be sent, as they are told another shard. */
function owedOf({ subscriptions, replay }: Session): MovedFilter[] {
  const owed: MovedFilter[] = [];
  for (const [filterKey, grant] of subscriptions) {
    const since = replay?.unbegunSince(filterKey) ?? 0;
    if (since > 0) owed.push([filterKey, grant, since]);
  }
  return owed;
}

describe('a replay to a persistent session that is cut', () => {
  let here: Side;
  let there: Side;
  let reader: Reader;
  const locals = topicsOf(0, 6);
  const remotes = topicsOf(1, 6);

  beforeEach(async () => {
    [here, there] = await makeSides();
    reader = new Reader(here, Number.POSITIVE_INFINITY);
  });

  function subscribe(...filters: Filters): void {
    expectSubscribed(here, reader, filters);
    here.replays.start(reader.session, filters);
  }

  function settle(): void {
    settleBoth(here, there);
  }

  /** Takes turns until so many messages have come. */
  function receive(messages: number): void {
    for (let turns = 0; reader.got.length < messages; turns++) {
      assert.ok(turns < 1_000, `${reader.got.length} have come`);
      here.turn(there);
      if (reader.got.length < messages) there.turn(here);
    }
  }

  /** The connection is gone. */
  function cut(): void {
    reader.session.detach();
    here.replays.park(reader.session);
  }

  /** What had come, and a new connection of the client. */
  function comeBack(side = here, session = reader.session): string[] {
    const { got } = reader;
    reader = new Reader(side, Number.POSITIVE_INFINITY, session);
    side.replays.resume(session);
    return got;
  }

  const all = (topics: readonly string[], text: string) => topics.map((each) => `${each}=${text}`);

  for (const [where, topics] of [
    ['here', locals],
    ['on another shard', remotes],
  ] as const) {
    test(`brings the rest, of topics kept ${where}, and nothing twice`, () => {
      const side = where === 'here' ? here : there;
      for (const topic of topics) side.retain(topic, 'x'.repeat(HALF_A_PART), 1);
      subscribe(['t/+', 1]);
      receive(2);
      cut();
      settle();
      const before = comeBack();
      assert.ok(before.length < topics.length);
      settle();
      const expected = all(topics, 'xxxxxxxxx/1!').sort();
      assert.deepEqual([...before, ...reader.got].sort(), expected);
      assert.equal(reader.session.replay, null);
    });
  }

  test('brings the filters that had not begun, over several cuts', () => {
    for (const topic of [...locals, ...remotes]) {
      (locals.includes(topic) ? here : there).retain(topic, 'x'.repeat(RETAINED_PART_BYTES), 2);
    }
    subscribe(...[...locals, ...remotes].map((topic): [string, QoS] => [topic, 2]));
    const got: string[] = [];
    for (let cuts = 0; cuts < 12; cuts++) {
      receive(1);
      cut();
      settle();
      got.push(...comeBack());
    }
    settle();
    assert.deepEqual(got.sort(), all([...locals, ...remotes], 'xxxxxxxxx/2!').sort());
    assert.deepEqual(reader.got, []);
  });

  test('brings what an owner had sent and the client had not been given', () => {
    for (const topic of remotes) there.retain(topic, 'r', 1);
    subscribe(['t/+', 1]);
    for (let turns = 0; there.sent.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
      there.turn(here);
    }
    for (const message of there.sent.splice(0)) here.receive(1, message);
    cut();
    settle();
    comeBack();
    settle();
    assert.deepEqual(reader.got.sort(), all(remotes, 'r/1!').sort());
  });

  test('asks nothing of the owners while the client is away', () => {
    for (const topic of remotes) there.retain(topic, 'x'.repeat(RETAINED_PART_BYTES), 1);
    subscribe(['t/+', 1]);
    receive(1);
    cut();
    settle();
    const got = comeBack();
    assert.ok(got.length < 3, `${got.length} were sent ahead`);
    // What it had asked for is nobody's: an answer is not kept for a client that may never come.
    there.replays.answers.onMore(0, 1, true);
    there.turn(here);
    assert.deepEqual(there.sent, []);
  });

  test('brings the newest of what changes while the client is away, once', () => {
    for (const topic of locals) here.retain(topic, 'x'.repeat(HALF_A_PART), 1);
    subscribe(['t/+', 1]);
    receive(1);
    const rest = locals.filter((topic) => !reader.got.some((each) => each.startsWith(`${topic}=`)));
    cut();
    settle();
    // Of QoS 0: it is not queued for the client.
    here.retain(rest[0]!, 'newer');
    // Of QoS 1: the older is brought first, as something has to come as retained.
    const session = reader.session;
    session.replay?.beforeLive(rest[1]!);
    const frame = encodePublish(rest[1]!, Buffer.from('live'), 0x32, 1);
    const topicLength = rest[1]!.length;
    const traits = { propertyBytes: 0, expiresAt: 0 };
    const run = { bytes: frame, header: 0x32, topicLength, count: 1, ...traits };
    session.enqueue(run, 1, false);
    session.replay?.onLive(rest[1]!, 1);
    here.retain(rest[1]!, 'live', 1);
    const before = comeBack().length;
    reader.outlet.wake();
    settle();
    assert.ok(reader.got.includes(`${rest[0]}=newer/0!`));
    const changed = reader.got.filter((each) => each.startsWith(`${rest[1]}=`));
    assert.deepEqual(changed, [`${rest[1]}=xxxxxxxxx/1!`, `${rest[1]}=live/1`]);
    assert.equal(before + reader.got.length, locals.length + 1);
  });

  test('ends with a new SUBSCRIBE of the filter, which brings all', () => {
    for (const topic of locals) here.retain(topic, 'x'.repeat(HALF_A_PART), 1);
    subscribe(['t/+', 1]);
    receive(2);
    cut();
    comeBack();
    subscribe(['t/+', 1]);
    settle();
    assert.deepEqual(reader.got.sort(), all(locals, 'xxxxxxxxx/1!').sort());
  });

  test('ends with UNSUBSCRIBE', () => {
    for (const topic of locals) here.retain(topic, 'x'.repeat(HALF_A_PART), 1);
    subscribe(['t/+', 1], ['t/#', 1]);
    receive(1);
    cut();
    comeBack();
    for (const filter of ['t/+', 't/#']) {
      reader.session.removeSubscription(filter);
      here.replays.leave(reader.session, filter);
    }
    settle();
    assert.deepEqual(reader.got, []);
    assert.equal(reader.session.replay, null);
  });

  test('ends with the session, whose owner hears of it', () => {
    for (const topic of remotes) there.retain(topic, 'x'.repeat(HALF_A_PART), 1);
    subscribe(['t/+', 1]);
    receive(1);
    cut();
    reader.session.end();
    assert.equal(reader.session.replay, null);
    settle();
    assert.deepEqual(there.sent, []);
  });

  test('is not waited for where all was sent, or no SUBACK', () => {
    here.retain(locals[0]!, 'l', 1);
    subscribe(['t/+', 1]);
    settle();
    cut();
    assert.equal(reader.session.replay, null);
    comeBack();
    expectSubscribed(here, reader, [['t/#', 1]]);
    cut();
    assert.equal(reader.session.replay, null);
  });

  test('begins a filter anew of which too much was sent to be noted', () => {
    const long = 'y'.repeat(BROUGHT_BYTES_MAX / 4);
    const topics = topicsOf(0, 8).map((topic) => `${topic}/${long}`);
    for (const topic of topics) here.retain(topic, 'x', 1);
    subscribe(['t/#', 1]);
    receive(4);
    cut();
    comeBack();
    settle();
    assert.equal(reader.got.length, topics.length);
  });

  test('of very many clients forgets the place of the oldest, and brings all it is owed', () => {
    for (const topic of locals) here.retain(topic, 'x'.repeat(HALF_A_PART), 1);
    subscribe(['t/+', 1]);
    receive(2);
    cut();
    const first = reader;
    for (let clients = 0; clients < PARKED_REPLAYS_MAX; clients++) {
      reader = new Reader(here, Number.POSITIVE_INFINITY);
      expectSubscribed(here, reader, [[locals[0]!, 1]]);
      const filters: Filters = [[locals[0]!, 1]];
      here.replays.expect(reader.session, filters, () => {});
      here.replays.start(reader.session, filters);
      cut();
    }
    reader = first;
    comeBack();
    settle();
    assert.deepEqual(reader.got.sort(), all(locals, 'xxxxxxxxx/1!').sort());
  });

  test('goes on where the session has moved, and brings nothing twice', () => {
    for (const topic of [...locals, ...remotes]) {
      (locals.includes(topic) ? here : there).retain(topic, 'x'.repeat(HALF_A_PART), 1);
    }
    const { session } = reader;
    subscribe(['t/+', 1], [remotes[0]!, 1]);
    receive(3);
    cut();
    settle();
    const place = session.replay!.place();
    const moved = new Session('reader', Number.POSITIVE_INFINITY, 4, 2, LIMITS, new AbsentQueues());
    const owed = owedOf(session);
    for (const [filterKey, qos] of session.subscriptions) moved.addSubscription(filterKey, qos);
    session.end();
    there.replays.expectMoved(moved, owed);
    there.replays.restore(moved, JSON.parse(JSON.stringify(place)));
    const before = comeBack(there, moved);
    settle();
    const expected = all([...locals, ...remotes, remotes[0]!], 'xxxxxxxxx/1!');
    assert.deepEqual([...before, ...reader.got].sort(), expected.sort());
    assert.equal(moved.replay, null);
    assert.ok(!here.sent.concat(there.sent).some(({ kind }) => kind === RecordKind.retainedQuery));
  });

  // What a SUBSCRIBE is owed is not changed by a later one of other filters.
  for (const [asks, then, comes] of [
    ['is left out where the session has moved', [], []],
    ['comes all the same for a SUBSCRIBE behind it', [remotes[0]!], ['old/1!']],
  ] as const) {
    test(`what came live before its replay ${asks}`, () => {
      for (const topic of remotes) there.retain(topic, 'old', 1);
      const { session } = reader;
      subscribe([remotes[0]!, 1], [remotes[1]!, 1]);
      session.replay!.onLive(remotes[0]!, 1);
      subscribe(['other', 1]);
      for (const topic of then) subscribe([topic, 1]);
      cut();
      const place = session.replay!.place();
      const moved = new Session(
        'reader',
        Number.POSITIVE_INFINITY,
        4,
        2,
        LIMITS,
        new AbsentQueues(),
      );
      const owed = owedOf(session);
      for (const [filterKey, qos] of session.subscriptions) moved.addSubscription(filterKey, qos);
      session.end();
      there.replays.expectMoved(moved, owed);
      there.replays.restore(moved, JSON.parse(JSON.stringify(place)));
      comeBack(there, moved);
      settle();
      const expected = [`${remotes[1]!}=old/1!`, ...comes.map((each) => `${remotes[0]!}=${each}`)];
      assert.deepEqual(reader.got.sort(), expected.sort());
    });
  }
});

// A message may come for the sake of another subscriber of the filter, who leaves: a newer one is
// not sent here any more, and only the owner of the topic has it.
describe('a filter that not all shards have confirmed', () => {
  test('leaves what is published with RETAIN to the replay', async () => {
    const [here] = await makeSides();
    const { session } = new Reader(here, Number.POSITIVE_INFINITY);
    const subscribe = (...filters: Filters): Filters => {
      here.replays.expect(session, filters, () => {});
      for (const [filterKey, qos] of filters) session.addSubscription(filterKey, qos);
      return filters;
    };
    const first = subscribe(['t/+', 1]);
    const again = subscribe(['t/+', 0]);
    assert.equal(session.replay!.isHeldBack('t/x'), true);
    assert.equal(session.replay!.isHeldBack('u/x'), false);
    // What is published behind the first SUBACK comes live, whatever the second one waits for.
    here.replays.start(session, first);
    assert.equal(session.replay!.isHeldBack('t/x'), false);
    here.replays.start(session, again);
    assert.equal(session.replay!.isHeldBack('t/x'), false);
    // What is subscribed to is owed all that comes, whatever else is subscribed to.
    const wider = subscribe(['t/+', 1], ['#', 1]);
    assert.equal(session.replay!.isHeldBack('t/x'), false);
    assert.equal(session.replay!.isHeldBack('u/x'), true);
    here.replays.start(session, wider);
    assert.equal(session.replay!.isHeldBack('u/x'), false);
  });
});
