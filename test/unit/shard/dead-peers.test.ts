import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { RouteCache } from '../../../src/router/route.js';
import type { Session } from '../../../src/sessions/session.js';
import { DeadPeers } from '../../../src/shard/dead-peers.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';

const FILTERS = 2_000;
const DEAD = 3;

describe('what a dead shard was interested in', () => {
  let topics: TopicsProvider<Session, RetainedMessage>;
  let routes: RouteCache;
  let tested: DeadPeers;
  let isScheduled: boolean;

  beforeEach(async () => {
    topics = await createTopicsProvider('mem');
    routes = new RouteCache(topics, 4);
    isScheduled = false;
    const schedule = () => {
      isScheduled = true;
    };
    tested = new DeadPeers({ topics, routes, schedule });
    for (let n = 0; n < FILTERS; n++) topics.addShard(`f/${n}`, DEAD);
    topics.addShard('f/0', 1);
  });

  /** How many filters each turn forgets. */
  function turns(): number[] {
    const forgotten: number[] = [];
    while (isScheduled) {
      isScheduled = false;
      const before = topics.filterCount;
      tested.onTurn();
      forgotten.push(before - topics.filterCount);
    }
    return forgotten;
  }

  // 100,000 filters took half a second in one go, in which nobody was served.
  test('is forgotten in several turns, which its successor waits for', () => {
    let isWelcome = false;
    assert.equal(tested.drop(DEAD), false);
    tested.whenForgotten(DEAD, () => {
      isWelcome = true;
      assert.equal(topics.filterCount, 1, 'that of the other shard');
      assert.equal(routes.findKey('f/0').shardMask, 1 << 1);
      assert.equal(routes.findKey('f/1').shardMask, 0);
    });
    assert.equal(isWelcome, false);
    for (const forgotten of turns()) assert.ok(forgotten <= FILTERS / 4);
    assert.ok(isWelcome);
  });

  test('keeps the successor of none waiting', () => {
    let isWelcome = false;
    tested.whenForgotten(DEAD, () => {
      isWelcome = true;
    });
    assert.ok(isWelcome);
  });

  test('is forgotten once when the successor dies before its welcome, which is off', () => {
    tested.drop(DEAD);
    tested.whenForgotten(DEAD, () => assert.fail('a dead shard was welcomed'));
    assert.equal(tested.drop(DEAD), true);
    assert.equal(tested.drop(DEAD), false);
    turns();
    assert.equal(topics.filterCount, 1);
  });
});
