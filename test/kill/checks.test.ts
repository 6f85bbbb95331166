/** What judges a run with kills: it finds each kind of fault, and nothing where there is none. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { GroupCheck, SubscriberCheck } from '../support/kill/checks.js';
import { Faults } from '../support/kill/faults.js';
import { matches, numberIn, payloadOf, TopicRecord } from '../support/kill/topics.js';

let faults: Faults;
let topic: TopicRecord;
let check: SubscriberCheck;

/** Publishes so many, all acknowledged. */
function publish(count: number): void {
  for (let left = count; left > 0; left--) {
    const number = topic.publish(false);
    topic.acknowledge(number, faults.kills);
    topic.complete(number);
  }
}

function take(...numbers: readonly number[]): void {
  for (const number of numbers) check.take({ topic, number, isOnce: topic.qos === 2 });
}

beforeEach(() => {
  faults = new Faults();
  topic = new TopicRecord('a/b', 2, false, 4);
  check = new SubscriberCheck('s', ['a/#'], new Map([[topic.name, topic]]), faults);
  publish(3);
  check.onSubscribe();
  check.onSubscribed();
  publish(5);
});

describe('a subscriber', () => {
  test('has no fault that gets each message from its SUBACK on once and in order', () => {
    take(3, 4, 5, 6, 7);
    check.settle();
    assert.deepEqual([faults.lines, check.missing()], [[], 0]);
  });

  test('misses what has not come, and has lost it in the end', () => {
    take(3, 4, 6);
    assert.equal(check.missing(), 2);
    faults.kills = 9;
    check.settle();
    assert.deepEqual([...faults.counts], [['lost', 2]]);
    assert.match(faults.lines[0], /^lost \(kill 9\): s: a\/b 5\.\.7, acknowledged after kill 0;/);
    check.settle();
    assert.equal(faults.total, 2);
  });

  test('need not get what was not acknowledged, was refused, or has no payload', () => {
    topic.publish(false);
    topic.refuse(topic.publish(false));
    const clearing = topic.publish(true);
    topic.acknowledge(clearing, 0);
    take(3, 4, 5, 6, 7);
    check.settle();
    assert.equal(faults.total, 0);
  });

  test('gets a message of QoS 2 twice: doubled; of QoS 1: repeated', () => {
    take(3, 4, 4);
    assert.deepEqual([...faults.counts], [['doubled', 1]]);
    check.take({ topic, number: 3, isOnce: false });
    assert.deepEqual([faults.total, check.repeated], [1, 1]);
  });

  test('gets a message behind a later one for the first time: disordered', () => {
    take(3, 5, 4, 6, 7);
    assert.deepEqual([...faults.counts], [['disordered', 1]]);
  });

  // Both were handled and not acknowledged, the first before the subscription was there.
  test('may get what it was not due as the publisher of QoS 1 says it again', () => {
    const again = new TopicRecord('a/c', 1, false, 4);
    const faulty = new SubscriberCheck('s', ['a/c'], new Map([[again.name, again]]), faults);
    again.publish(false);
    faulty.onSubscribe();
    faulty.onSubscribed();
    for (let left = 3; left > 0; left--) again.publish(false);
    for (const number of [1, 0, 1]) faulty.take({ topic: again, number, isOnce: false });
    assert.equal(faults.total, 0);
    for (const number of [3, 2]) faulty.take({ topic: again, number, isOnce: false });
    assert.equal(faults.counts.get('disordered'), 1);
  });

  test('must not get what was published and completed while it was not subscribed', () => {
    take(3, 4, 5, 6, 7);
    check.onUnsubscribe();
    publish(1);
    check.onUnsubscribed();
    publish(2);
    const late = topic.publish(false);
    check.onSubscribe();
    // 8 was under way when the UNSUBACK came, and so was the last when the SUBSCRIBE went out.
    take(8, late);
    assert.equal(faults.total, 0);
    take(9);
    assert.equal(faults.counts.get('undead'), 1);
  });

  test('gets a topic that none of its filters matches', () => {
    check.take({ topic: new TopicRecord('b', 1, false, 4), number: 0, isOnce: false });
    assert.deepEqual([...faults.counts], [['protocol', 1]]);
  });
});

test('of a group each message has to come to one member, in any order', () => {
  const group = new GroupCheck('g', 'a/+', new Map([[topic.name, topic]]), faults);
  publish(1);
  group.onSubscribed();
  publish(3);
  group.onSubscribed();
  for (const number of [11, 9, 11]) group.take({ topic, number, isOnce: true });
  assert.equal(group.missing(), 1);
  group.settle();
  assert.match(faults.lines[0], /g: a\/b 10, acknowledged/);
});

test('payloads say their numbers, and damaged ones do not', () => {
  for (const number of [0, 7, 60, 996, 123_456]) {
    assert.equal(numberIn(payloadOf(number)), number);
    assert.equal(numberIn(`${payloadOf(number)}x`), null);
  }
  assert.equal(numberIn(''), null);
});

test('filters match as the broker should', () => {
  for (const [filter, name, expected] of [
    ['a/#', 'a', true],
    ['a/+', 'a/b', true],
    ['a/+', 'a/b/c', false],
    ['a/b', 'a/bc', false],
    ['a/b/c', 'a/b', false],
  ] as const) {
    assert.equal(matches(filter, name), expected, `${filter} ${name}`);
  }
});
