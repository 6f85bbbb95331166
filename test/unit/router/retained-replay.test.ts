/** Replays on two shards whose links are queues: see replay-sides.ts. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Counter } from '../../../src/base/counters.js';
import {
  RETAINED_PART_BYTES,
  RETAINED_REPLAY_STEPS_MAX,
  RETAINED_STEPS_MAX,
  SUPERSEDED_BYTES_MAX,
} from '../../../src/base/limits.js';
import type { QoS } from '../../../src/protocol/packet.js';
import { RecordKind } from '../../../src/router/records.js';
import type { Replay } from '../../../src/router/replay.js';
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

describe('a replay of retained messages', () => {
  let here: Side;
  let there: Side;
  let reader: Reader;
  const [localTopic, secondLocal] = topicsOf(0, 2);
  const [remoteTopic, secondRemote] = topicsOf(1, 2);

  beforeEach(async () => {
    [here, there] = await makeSides();
    reader = new Reader(here);
  });

  function subscribe(...filters: [filterKey: string, qos: QoS][]): void {
    expectSubscribed(here, reader, filters);
    here.replays.start(reader.session, filters);
  }

  function unsubscribe(filterKey: string): void {
    reader.session.removeSubscription(filterKey);
    here.replays.leave(reader.session, filterKey);
  }

  /** Turns of both until nobody asks for one. */
  function settle(turnsMax = 1_000): number {
    return settleBoth(here, there, turnsMax);
  }

  test('sends nothing while it is held, and all when it is let go as often', () => {
    here.retain(localTopic, 'l');
    there.retain(remoteTopic, 'r');
    const filters: Filters = [['t/+', 0]];
    expectSubscribed(here, reader, filters);
    const replay = reader.session.replay!;
    for (let holds = 0; holds < 2; holds++) replay.hold();
    here.replays.start(reader.session, filters);
    settle();
    replay.release();
    settle();
    assert.deepEqual(reader.got, []);
    replay.release();
    settle();
    assert.deepEqual(reader.got.sort(), [`${localTopic}=l/0!`, `${remoteTopic}=r/0!`].sort());
    assert.equal(reader.session.replay, null);
  });

  test('holds nothing back for a SUBSCRIBE behind very many that wait', () => {
    const subscribeTo = (filterKey: string, times: number) => {
      const filters: Filters = [[filterKey, 0]];
      for (let n = 0; n < times; n++) here.replays.expect(reader.session, filters, () => {});
      reader.session.addSubscription(filterKey, 0);
      return reader.session.replay!.isHeldBack(filterKey);
    };
    assert.equal(subscribeTo('a', 64), true);
    assert.equal(subscribeTo('b', 1), false);
  });

  test('is let go by the end of its connection', () => {
    here.retain(localTopic, 'l');
    const filters: Filters = [['t/+', 0]];
    expectSubscribed(here, reader, filters);
    reader.session.replay!.hold();
    here.replays.start(reader.session, filters);
    here.replays.park(reader.session);
    here.replays.resume(reader.session);
    settle();
    assert.deepEqual(reader.got, [`${localTopic}=l/0!`]);
  });

  test('sends what both shards keep, with RETAIN and at the lesser QoS', () => {
    // [MQTT-3.3.1-6], [MQTT-3.3.1-8], [MQTT-3.8.4-6]
    here.retain(localTopic, 'l', 2);
    there.retain(remoteTopic, 'r', 1);
    there.retain(secondRemote, 's');
    subscribe(['t/+', 1]);
    settle();
    const expected = [`${localTopic}=l/1!`, `${remoteTopic}=r/1!`, `${secondRemote}=s/0!`];
    assert.deepEqual(reader.got.sort(), expected.sort());
    assert.equal(reader.session.replay, null);
  });

  test('counts what finds no room in the queue of its session, and tells whose it was', () => {
    const topics = topicsOf(0, 4);
    for (const topic of topics) here.retain(topic, 'x'.repeat(0.4 * LIMITS.maxQueuedBytes), 1);
    reader.outlet.isBlocked = true;
    reader.outlet.wake = () => {};
    subscribe(...topics.map((topic): [string, QoS] => [topic, 1]));
    settle();
    assert.equal(reader.session.window?.queuedMessages, 2);
    assert.equal(here.counters.get(Counter.droppedReplay), 2);
    const told: unknown[] = [];
    here.drops.tell(0, (clientId, dropped) => told.push(clientId, dropped));
    assert.deepEqual(told, ['reader', 2]);
  });

  test('lowers a retained message to QoS 0, without its packet id', () => {
    there.retain(remoteTopic, 'r', 2);
    subscribe([remoteTopic, 0]);
    settle();
    assert.deepEqual(reader.got, [`${remoteTopic}=r/0!`]);
  });

  test('asks only the owner of a filter without wildcards', () => {
    subscribe([localTopic, 0]);
    here.turn(there);
    here.turn(there);
    here.turn(there);
    assert.equal(here.sent.length, 0);
    subscribe([remoteTopic, 0]);
    here.turn(there);
    here.turn(there);
    assert.deepEqual(
      here.sent.map(({ kind, mask, body }) => [kind, mask, body.toString('latin1')]),
      [[RecordKind.retainedQuery, 2, remoteTopic]],
    );
  });

  test('comes in parts, the next when the session has taken the last', () => {
    const payload = 'x'.repeat(RETAINED_PART_BYTES / 3);
    for (const topic of topicsOf(1, 10)) there.retain(topic, payload);
    subscribe(['t/+', 0]);
    for (let turns = 0; there.sent.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
      there.turn(here);
    }
    const part = there.sent.map(({ kind }) => kind);
    assert.deepEqual(part, [...Array(3).fill(RecordKind.retainedMessage), RecordKind.retainedPart]);
    there.turn(here);
    assert.equal(there.sent.length, 4, 'nothing more before it is asked for');
    let asked = 0;
    for (let turns = 0; turns < 30; turns++) {
      // A turn for each message: a part may come in pieces.
      for (const message of there.sent.splice(0)) {
        here.receive(1, message);
        here.replays.pump();
      }
      asked += here.sent.filter(({ kind }) => kind === RecordKind.retainedMore).length;
      there.turn(here);
    }
    assert.equal(reader.got.length, 10);
    assert.equal(asked, 3, 'once for each part behind the first');
  });

  test('leaves out topics that came live meanwhile', () => {
    here.retain(localTopic, 'old');
    there.retain(remoteTopic, 'old');
    there.retain(secondRemote, 'old');
    const filters: Filters = [['t/+', 0]];
    expectSubscribed(here, reader, filters);
    reader.session.replay?.onLive(localTopic, 1);
    here.replays.start(reader.session, filters);
    for (let turns = 0; turns < 3; turns++) here.turn(there);
    there.turn(here);
    for (const message of there.sent.splice(0)) here.receive(1, message);
    // Read from another ring behind the owner's answer, in the same turn.
    reader.session.replay?.onLive(remoteTopic, 1);
    settle();
    assert.deepEqual(reader.got, [`${secondRemote}=old/0!`]);
  });

  test('remembers only so much of what comes live while it is held up', () => {
    here.retain(localTopic, 'l');
    subscribe(['t/+', 0]);
    reader.outlet.isHeavy = true;
    for (let topic = 0; topic < 100_000; topic++) {
      here.turn(there);
      const replay = reader.session.replay as Replay;
      replay.onLive(`t/live/${topic}`, 1);
      replay.onLive(`t/live/${topic}`, 1);
      assert.ok(replay.supersededBytes <= SUPERSEDED_BYTES_MAX);
    }
    reader.outlet.isHeavy = false;
    here.turn(there);
    settle();
    assert.deepEqual(reader.got, [`${localTopic}=l/0!`]);
  });

  test('sends the newest of a topic whose live message was dropped, and sends it once', () => {
    for (const topic of [localTopic, remoteTopic]) {
      const owner = topic === localTopic ? here : there;
      owner.retain(topic, 'old');
      const filters: Filters = [[topic, 0]];
      expectSubscribed(here, reader, filters);
      reader.session.replay?.onLive(topic, 1);
      // The client reads nothing meanwhile: it never gets what comes now.
      owner.retain(topic, 'new');
      reader.session.replay?.onLive(topic, -1);
      here.replays.start(reader.session, filters);
      settle();
      assert.deepEqual(reader.got.splice(0), [`${topic}=new/0!`]);
    }
  });

  test('asks again for what may be older than what came live and was forgotten', () => {
    there.retain(remoteTopic, 'old');
    there.retain(secondRemote, 'old');
    subscribe(['t/+', 0]);
    for (let turns = 0; there.sent.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
      there.turn(here);
    }
    // From a third shard: newer than what the owner had read when it answered.
    reader.session.replay?.onLive(remoteTopic, 1);
    for (let topic = 0; topic < SUPERSEDED_BYTES_MAX / 64; topic++) {
      reader.session.replay?.onLive(`x/${topic}`, 1);
    }
    for (const topic of [remoteTopic, secondRemote]) there.retain(topic, 'new');
    settle();
    const expected = [`${remoteTopic}=new/0!`, `${secondRemote}=new/0!`];
    assert.deepEqual(reader.got.sort(), expected.sort());
  });

  test('does not send the older message of a topic whose newer one was dropped', () => {
    there.retain(remoteTopic, 'old');
    subscribe(['t/+', 0]);
    for (let turns = 0; there.sent.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
      there.turn(here);
    }
    there.retain(remoteTopic, 'new');
    reader.session.replay?.onLive(remoteTopic, -1);
    settle();
    assert.deepEqual(reader.got, [`${remoteTopic}=new/0!`]);
  });

  test('waits for a heavy outlet without keeping the shard turning', () => {
    here.retain(localTopic, 'l');
    subscribe([localTopic, 0]);
    reader.outlet.isHeavy = true;
    settle(20);
    assert.deepEqual(reader.got, []);
    reader.outlet.isHeavy = false;
    // The turn that relieving an outlet asks for.
    here.turn(there);
    settle();
    assert.deepEqual(reader.got, [`${localTopic}=l/0!`]);
  });

  test('goes on when the shard that was asked dies', () => {
    here.retain(localTopic, 'l');
    there.retain(remoteTopic, 'r');
    subscribe(['t/+', 0]);
    for (let turns = 0; here.sent.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
    }
    here.sent.length = 0;
    here.peers = 0;
    here.replays.dropPeer(1);
    settle();
    assert.deepEqual(reader.got, [`${localTopic}=l/0!`]);
    assert.equal(reader.session.replay, null);
  });

  test('does not ask a shard that died before its turn came', () => {
    // The second shard's, which reads its own part first: a whole turn's worth.
    there.retain(remoteTopic, 'x'.repeat(RETAINED_PART_BYTES));
    const second = new Reader(there);
    const filters: Filters = [['t/+', 0]];
    expectSubscribed(there, second, filters);
    there.replays.start(second.session, filters);
    there.turn(here);
    assert.equal(second.got.length, 1);
    assert.notEqual(second.session.replay, null);
    there.peers = 0;
    there.replays.dropPeer(0);
    for (let turns = 0; turns < 5; turns++) there.turn(here);
    assert.equal(there.sent.length, 0);
    assert.equal(second.session.replay, null);
  });

  test('takes many filters in a turn, and not all of very many', () => {
    const filters = topicsOf(0, RETAINED_REPLAY_STEPS_MAX);
    for (const filter of filters) here.retain(filter, 'm');
    subscribe(...filters.map((filter): [string, QoS] => [filter, 0]));
    here.turn(there);
    // Three steps a filter: on to it, to this shard, through what it keeps.
    assert.equal(reader.got.length, Math.floor(RETAINED_REPLAY_STEPS_MAX / 3));
    assert.ok(settle() <= 3);
    assert.deepEqual(
      reader.got,
      filters.map((filter) => `${filter}=m/0!`),
    );
  });

  test('sends no more than a part in a turn, however many filters it is of', () => {
    const filters = topicsOf(0, 10);
    for (const filter of filters) here.retain(filter, 'x'.repeat(RETAINED_PART_BYTES / 3));
    subscribe(...filters.map((filter): [string, QoS] => [filter, 0]));
    here.turn(there);
    assert.equal(reader.got.length, 3);
    reader.outlet.isHeavy = true;
    settle();
    assert.equal(reader.got.length, 3);
    reader.outlet.isHeavy = false;
    here.turn(there);
    assert.equal(reader.got.length, 6);
    settle();
    assert.equal(reader.got.length, 10);
  });

  test('looks at no more levels in a turn for many filters than for one', () => {
    for (const topic of topicsOf(0, 400)) here.retain(`${topic}/x`, 'm');
    const wide = Array.from({ length: 100 }, (_, index): [string, QoS] => [`t/+/y${index}`, 0]);
    subscribe(...wide);
    here.peers = 0;
    const turns = settle();
    // 401 levels or more for each filter.
    const least = (400 * wide.length) / RETAINED_STEPS_MAX;
    assert.ok(turns >= least && turns < 5 * least, `${turns} turns`);
  });

  /** What the router does with a message that comes live. */
  function publishHere(topic: string, payload: string): void {
    reader.session.replay?.beforeLive(topic);
    here.retain(topic, payload);
    reader.got.push(`${topic}=${payload}/live`);
    reader.session.replay?.onLive(topic, 1);
  }

  // [MQTT-3.3.1-6]: something comes as retained, and the older never last.
  test('a topic that changes before its turn comes is sent first, once, as it was', () => {
    here.retain(localTopic, 'old', 1);
    here.retain(secondLocal, 'old');
    const filters: Filters = [
      ['t/+', 1],
      ['x', 0],
    ];
    expectSubscribed(here, reader, filters);
    publishHere(localTopic, 'new');
    here.replays.start(reader.session, filters);
    publishHere(localTopic, 'newer');
    publishHere(secondLocal, 'new');
    settle();
    assert.deepEqual(reader.got, [
      `${localTopic}=old/1!`,
      `${localTopic}=new/live`,
      `${localTopic}=newer/live`,
      `${secondLocal}=old/0!`,
      `${secondLocal}=new/live`,
    ]);
  });

  test('of a filter that is being read, what was sent is not sent again as it changes', () => {
    const topics = topicsOf(0, 4);
    const payload = 'x'.repeat(RETAINED_PART_BYTES / 2);
    for (const topic of topics) here.retain(topic, payload);
    subscribe(['t/+', 0]);
    for (let turns = 0; reader.got.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
      there.turn(here);
    }
    const [sent] = reader.got;
    assert.equal(reader.got.length, 2);
    const isSent = (topic: string) => reader.got.some((each) => each.startsWith(`${topic}=`));
    const other = topics.find((topic) => !isSent(topic)) as string;
    publishHere(sent.slice(0, sent.indexOf('=')), 'new');
    publishHere(other, 'new');
    settle();
    assert.equal(reader.got.filter((each) => each.endsWith('!')).length, 4);
    assert.equal(reader.got.filter((each) => each.startsWith(`${other}=`)).length, 2);
    assert.equal(reader.got[3], `${other}=xxxxxxxxx/0!`);
  });

  test('what does not match, or is unsubscribed, is not sent before it changes', () => {
    here.retain(localTopic, 'old');
    const filters: Filters = [
      [localTopic, 0],
      ['x', 0],
    ];
    expectSubscribed(here, reader, filters);
    unsubscribe(localTopic);
    publishHere(localTopic, 'new');
    here.replays.start(reader.session, filters);
    publishHere(localTopic, 'newer');
    settle();
    assert.deepEqual(reader.got, [`${localTopic}=new/live`, `${localTopic}=newer/live`]);
  });

  // [MQTT-3.8.4-3]
  test('what came live before a SUBSCRIBE takes nothing from it', () => {
    here.retain(localTopic, 'old');
    const first: Filters = [[localTopic, 0]];
    const second: Filters = [[localTopic, 0]];
    expectSubscribed(here, reader, first);
    publishHere(localTopic, 'new');
    expectSubscribed(here, reader, second);
    here.replays.start(reader.session, first);
    here.replays.start(reader.session, second);
    settle();
    assert.deepEqual(reader.got, [
      `${localTopic}=old/0!`,
      `${localTopic}=new/live`,
      `${localTopic}=new/0!`,
    ]);
  });

  // [MQTT-3.10.4-2]
  for (const shard of [0, 1]) {
    const where = shard === 0 ? 'this shard' : 'another shard';
    test(`an unsubscribed filter brings nothing more of ${where}, another one does`, () => {
      const topics = topicsOf(shard, 6);
      const owner = shard === 0 ? here : there;
      for (const topic of topics) owner.retain(topic, 'x'.repeat(RETAINED_PART_BYTES / 2));
      here.retain('other', 'o');
      there.retain('other', 'o');
      subscribe(['t/+', 0], [topics[0], 0], ['other', 0]);
      for (let turns = 0; reader.got.length === 0; turns++) {
        assert.ok(turns < 10);
        here.turn(there);
        there.turn(here);
      }
      const before = reader.got.length;
      assert.ok(before < topics.length);
      unsubscribe('t/+');
      unsubscribe(topics[0]);
      settle();
      assert.deepEqual(reader.got.slice(before), ['other=o/0!']);
      assert.equal(reader.session.replay, null);
    });
  }

  test('what the owner of an unsubscribed filter has sent is not delivered', () => {
    there.retain(remoteTopic, 'r');
    there.retain(secondRemote, 's');
    subscribe([remoteTopic, 0], [secondRemote, 0]);
    for (let turns = 0; there.sent.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
      there.turn(here);
    }
    // Its part has come, and is delivered in the turn's end.
    for (const message of there.sent.splice(0)) here.receive(1, message);
    unsubscribe(remoteTopic);
    settle();
    assert.deepEqual(reader.got, [`${secondRemote}=s/0!`]);
  });

  test('a filter that is unsubscribed before its SUBACK brings nothing', () => {
    here.retain(localTopic, 'l');
    const filters: Filters = [[localTopic, 0]];
    expectSubscribed(here, reader, filters);
    unsubscribe(localTopic);
    here.replays.start(reader.session, filters);
    settle();
    assert.deepEqual(reader.got, []);
    assert.equal(reader.session.replay, null);
  });

  test('a topic that is asked for again for an unsubscribed filter is not sent', () => {
    there.retain(remoteTopic, 'old');
    subscribe(['t/+', 0], [localTopic, 0]);
    for (let turns = 0; there.sent.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
      there.turn(here);
    }
    there.retain(remoteTopic, 'new');
    reader.session.replay?.onLive(remoteTopic, -1);
    // The part is found to be doubtful, and the topic is to be asked for.
    for (const message of there.sent.splice(0)) here.receive(1, message);
    reader.outlet.isHeavy = true;
    here.replays.pump();
    unsubscribe('t/+');
    reader.outlet.isHeavy = false;
    here.replays.pump();
    settle();
    assert.deepEqual(reader.got, []);
    assert.equal(reader.session.replay, null);
  });

  test('is given up with its connection: the owner sends nothing more', () => {
    const payload = 'x'.repeat(RETAINED_PART_BYTES);
    for (const topic of topicsOf(1, 5)) there.retain(topic, payload);
    subscribe(['t/+', 0]);
    for (let turns = 0; there.sent.length === 0; turns++) {
      assert.ok(turns < 10);
      here.turn(there);
      there.turn(here);
    }
    reader.session.end();
    settle();
    assert.deepEqual(reader.got, []);
    assert.equal(reader.session.replay, null);
    // A late word that it should go on is nobody's.
    there.replays.answers.onMore(0, 1, true);
    there.turn(here);
    assert.deepEqual(there.sent, []);
  });

  test('an answer is not made for an asker that has died', () => {
    there.retain(remoteTopic, 'r');
    there.replays.answers.onQuery(0, 7, remoteTopic);
    there.replays.dropPeer(0);
    there.turn(here);
    assert.deepEqual(there.sent, []);
  });

  test('an answer waits while the ring has no room, and is made when it has', () => {
    there.retain(remoteTopic, 'r');
    there.replays.answers.onQuery(0, 7, remoteTopic);
    there.link.backlogBytes = 1;
    there.turn(here);
    assert.deepEqual(there.sent, []);
    assert.equal(there.isScheduled, false, 'it does not keep the shard turning');
    there.link.backlogBytes = 0;
    there.replays.answers.onRingRoom();
    assert.equal(there.isScheduled, true);
    there.turn(here);
    assert.equal(there.sent.length, 2);
    there.isScheduled = false;
    there.replays.answers.onRingRoom();
    assert.equal(there.isScheduled, false);
  });

  test('a filter subscribed twice is replayed once, at the newer QoS', () => {
    // [MQTT-3.8.4-3] has the messages sent again; one that was not sent yet need not be sent twice.
    here.retain(localTopic, 'l', 2);
    here.retain(secondLocal, 'm', 2);
    const first: Filters = [
      [localTopic, 0],
      [secondLocal, 0],
    ];
    const second: Filters = [[localTopic, 2]];
    for (const filters of [first, second]) expectSubscribed(here, reader, filters);
    for (const filters of [first, second]) here.replays.start(reader.session, filters);
    settle();
    assert.deepEqual(reader.got, [`${secondLocal}=m/0!`, `${localTopic}=l/2!`]);
  });

  test('filters that come while others are replayed, or after all were, have their turn', () => {
    const filters = topicsOf(0, RETAINED_REPLAY_STEPS_MAX);
    for (const filter of filters) here.retain(filter, 'm');
    const requests = filters.map((filter): [string, QoS] => [filter, 0]);
    const ends = [0, 200, 210, 220];
    const parts = ends.map((end, at) => requests.slice(end - (at === 3 ? 1 : 0), ends[at + 1]));
    for (const part of parts) expectSubscribed(here, reader, part);
    here.replays.start(reader.session, parts[0]);
    here.turn(there);
    assert.ok(reader.got.length > 0 && reader.got.length < 200);
    here.replays.start(reader.session, parts[1]);
    settle();
    assert.equal(reader.got.length, 210);
    here.replays.start(reader.session, parts[2]);
    settle();
    here.replays.start(reader.session, parts[3]);
    settle();
    const expected = [...filters.slice(0, 220), ...filters.slice(219)];
    assert.deepEqual(
      reader.got,
      expected.map((filter) => `${filter}=m/0!`),
    );
    assert.equal(reader.session.replay, null);
  });

  test('topics are guarded until the last SUBSCRIBE is answered', () => {
    const first: Filters = [[localTopic, 0]];
    const second: Filters = [[secondLocal, 0]];
    for (const filters of [first, second]) expectSubscribed(here, reader, filters);
    here.replays.start(reader.session, first);
    settle();
    assert.notEqual(reader.session.replay, null);
    reader.session.replay?.onLive(secondLocal, 1);
    here.retain(secondLocal, 'live');
    here.replays.start(reader.session, second);
    settle();
    assert.deepEqual(reader.got, []);
    assert.equal(reader.session.replay, null);
  });

  test('filters that were subscribed again after they were sent are sent again', () => {
    // [MQTT-3.8.4-3]
    here.retain(localTopic, 'l');
    subscribe([localTopic, 0]);
    settle();
    subscribe([localTopic, 0]);
    settle();
    assert.deepEqual(reader.got, [`${localTopic}=l/0!`, `${localTopic}=l/0!`]);
  });
});
