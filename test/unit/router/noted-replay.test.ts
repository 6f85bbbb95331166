/** What a replay owes to a session that is kept on disk, and finds there: see replay-sides.ts. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { RETAINED_PART_BYTES } from '../../../src/base/limits.js';
import type { ReplayRows } from '../../../src/router/replay-notes.js';
import type { Session } from '../../../src/sessions/session.js';
import { ReplayRow } from '../../../src/store/keys.js';
import type { OwedFilter } from '../../../src/store/stored-replay.js';
import {
  expectSubscribed,
  type Filters,
  makeSides,
  Reader,
  type Side,
  settleBoth,
  topicsOf,
} from './replay-sides.js';

const PERSISTENT = Number.POSITIVE_INFINITY;
const HALF_A_PART = 'x'.repeat(RETAINED_PART_BYTES / 2);

/** The rows of one session. */
class Rows implements ReplayRows {
  readonly filters = new Map<string, OwedFilter>();
  /** By generation and topic. */
  readonly topics = new Map<string, number>();

  put(_session: Session, kind: ReplayRow, generation: number, text: string, since: number): void {
    if (kind === ReplayRow.topic) this.topics.set(`${generation} ${text}`, since);
    else this.filters.set(text, { filterKey: text, since, generation });
  }

  remove(_session: Session, kind: ReplayRow, generation: number, text: string): void {
    if (kind === ReplayRow.topic) this.topics.delete(`${generation} ${text}`);
    else this.filters.delete(text);
  }

  /** Its topics go later. */
  end(): void {
    this.filters.clear();
  }

  owed(): OwedFilter[] {
    return [...this.filters.values()];
  }

  sentSince(_session: Session, generation: number, topicKey: string): number {
    return this.topics.get(`${generation} ${topicKey}`) ?? 0;
  }
}

describe('a replay to a session that is kept on disk', () => {
  let rows: Rows;
  let here: Side;
  let there: Side;
  let reader: Reader;
  const locals = topicsOf(0, 4);
  const remotes = topicsOf(1, 4);
  const topics = [...locals, ...remotes];

  /** Shards that begin, with the same retained messages. */
  async function begin(qos: 1 | 2): Promise<void> {
    [here, there] = await makeSides(rows);
    for (const topic of topics) {
      (locals.includes(topic) ? here : there).retain(topic, HALF_A_PART, qos);
    }
  }

  beforeEach(async () => {
    rows = new Rows();
    await begin(2);
    reader = new Reader(here, PERSISTENT);
  });

  function subscribe(...filters: Filters): void {
    expectSubscribed(here, reader, filters);
    here.replays.start(reader.session, filters);
  }

  /** Takes turns until so many messages have come. */
  function receive(messages: number): void {
    for (let turns = 0; reader.got.length < messages; turns++) {
      assert.ok(turns < 1_000, `${reader.got.length} have come`);
      here.turn(there);
      if (reader.got.length < messages) there.turn(here);
    }
  }

  /** The process ends, and another one begins; the client is back. @returns what had come. */
  async function restart(qos: 1 | 2 = 2): Promise<string[]> {
    const { got, session } = reader;
    await begin(qos);
    reader = new Reader(here, PERSISTENT);
    for (const [filterKey, grant] of session.subscriptions) {
      reader.session.addSubscription(filterKey, grant);
    }
    reader.session.detach();
    here.replays.recall(reader.session);
    reader = new Reader(here, PERSISTENT, reader.session);
    here.replays.resume(reader.session);
    return got;
  }

  const all = (qos: 1 | 2, of = topics) => of.map((topic) => `${topic}=xxxxxxxxx/${qos}!`).sort();

  // MQTT-4.3.3-1
  test('brings the rest when the process has ended, and nothing of QoS 2 twice', async () => {
    subscribe(['t/+', 2]);
    receive(3);
    const before = await restart();
    settleBoth(here, there);
    assert.deepEqual([...before, ...reader.got].sort(), all(2));
    assert.equal(rows.filters.size, 0);
  });

  // MQTT-4.3.2-1
  test('brings all of a filter again at QoS 1 when the process has ended', async () => {
    subscribe(['t/+', 1]);
    receive(3);
    await restart();
    settleBoth(here, there);
    assert.deepEqual(reader.got.sort(), all(1));
    assert.equal(rows.topics.size, 0);
  });

  test('is noted before its SUBACK, and begins though nothing was sent', async () => {
    expectSubscribed(here, reader, [['t/+', 1]]);
    assert.deepEqual([...rows.filters.keys()], ['t/+']);
    await restart();
    settleBoth(here, there);
    assert.deepEqual(reader.got.sort(), all(1));
  });

  test('goes on twice when two processes end', async () => {
    subscribe(['t/+', 2]);
    subscribe([locals[0]!, 1]);
    receive(3);
    const first = await restart();
    receive(2);
    const second = await restart();
    settleBoth(here, there);
    const expected = [...all(2), `${locals[0]!}=xxxxxxxxx/1!`].sort();
    const got = [...first, ...second, ...reader.got].sort();
    // The filter of one topic begins anew, which was sent at QoS 2 for the other.
    assert.deepEqual(new Set(got), new Set(expected));
    assert.deepEqual(
      got.filter((each) => each.endsWith('/2!')),
      all(2),
    );
  });

  test('knows what was sent from what an earlier one has sent', async () => {
    subscribe(['t/+', 2]);
    settleBoth(here, there);
    assert.equal(rows.topics.size, topics.length);
    reader.got.length = 0;
    expectSubscribed(here, reader, [['t/+', 2]]);
    await restart();
    settleBoth(here, there);
    assert.deepEqual(reader.got.sort(), all(2));
  });

  test('does not send again at QoS 2 what has come live since', async () => {
    subscribe(['t/+', 2]);
    reader.session.replay!.onLive(remotes[3]!, 2);
    await restart();
    settleBoth(here, there);
    const others = topics.filter((topic) => topic !== remotes[3]);
    assert.deepEqual(reader.got.sort(), all(2, others));
  });

  test('sends again the newest of a topic that was dropped when it came live', async () => {
    subscribe(['t/+', 2]);
    reader.session.replay!.onLive(remotes[3]!, 2);
    reader.session.replay!.onLive(remotes[3]!, -1);
    await restart();
    settleBoth(here, there);
    assert.deepEqual(reader.got.sort(), all(2));
  });

  test('is sent whole for a SUBSCRIBE behind the restart, whatever was before', async () => {
    subscribe(['t/+', 2]);
    receive(3);
    await restart();
    subscribe(['t/+', 2]);
    settleBoth(here, there);
    assert.deepEqual(reader.got.sort(), all(2));
  });

  test('is not noted any more when it is sent, or not wanted', () => {
    subscribe([locals[0]!, 1]);
    settleBoth(here, there);
    assert.equal(reader.got.length, 1);
    assert.equal(rows.filters.size, 0);
    subscribe(['t/+', 1]);
    reader.session.removeSubscription('t/+');
    here.replays.leave(reader.session, 't/+');
    assert.equal(rows.filters.size, 0);
  });

  test('is not noted for a SUBSCRIBE whose connection was cut before its SUBACK', () => {
    subscribe(['t/+', 1]);
    expectSubscribed(here, reader, [
      ['u/+', 1],
      ['t/+', 2],
    ]);
    reader.session.detach();
    here.replays.park(reader.session);
    assert.deepEqual([...rows.filters.keys()], ['t/+']);
    reader = new Reader(here, PERSISTENT, reader.session);
    here.replays.resume(reader.session);
    settleBoth(here, there);
    assert.equal(rows.filters.size, 0);
  });

  test('stays noted for a later SUBSCRIBE when an earlier one is sent', () => {
    subscribe([locals[0]!, 1]);
    expectSubscribed(here, reader, [[locals[0]!, 1]]);
    settleBoth(here, there);
    assert.deepEqual([...rows.filters.keys()], [locals[0]]);
    assert.equal(reader.got.length, 1);
  });

  test('of a session that ends with its connection nothing is noted', () => {
    reader = new Reader(here, 0);
    subscribe(['t/+', 2]);
    receive(2);
    assert.deepEqual([rows.filters.size, rows.topics.size], [0, 0]);
  });
});
