import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SubscriberList } from '../../../src/topics/subscriber-list.js';

test('a list holds each subscriber once, with its last QoS, however it grew and shrank', () => {
  const action = fc.record({
    who: fc.integer({ min: 0, max: 60 }),
    qos: fc.integer({ min: -1, max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 400, size: 'max' }), (actions) => {
      const people = Array.from({ length: 61 }, (_, who) => ({ who }));
      const list = new SubscriberList(people[0]!, 1, people[1]!, 2);
      const model = new Map([
        [people[0]!, 1],
        [people[1]!, 2],
      ]);
      for (const { who, qos } of actions) {
        const person = people[who]!;
        if (qos < 0) {
          assert.equal(list.delete(person), model.delete(person));
        } else {
          list.set(person, qos);
          model.set(person, qos);
        }
        assert.equal(list.subscribers.length, model.size);
        assert.equal(list.grants.length, model.size);
      }
      const held = new Map(list.subscribers.map((person, i) => [person, list.grants[i]!]));
      assert.deepEqual(held, model);
    }),
  );
});

test('100,000 subscribers leave in any order without a search for each', () => {
  const people = Array.from({ length: 100_000 }, (_, who) => ({ who }));
  const list = new SubscriberList(people[0]!, 0, people[1]!, 0);
  for (let i = 2; i < people.length; i++) list.set(people[i]!, 1);
  assert.equal(list.subscribers.length, people.length);
  // From the middle outwards: a search from either end would make 2,500,000,000 comparisons of it.
  for (let i = 0; i < people.length; i++) {
    const at = (people.length / 2 + (i % 2 === 0 ? i / 2 : -(i + 1) / 2)) % people.length;
    assert.equal(list.delete(people[at]!), true);
  }
  assert.deepEqual([list.subscribers, list.grants], [[], []]);
});
