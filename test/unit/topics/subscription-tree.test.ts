import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  MatchResult,
  type Subscriber,
  SubscriptionTree,
  Unsubscribed,
} from '../../../src/topics/subscription-tree.js';
import { matches } from '../../../src/topics/topic.js';
import { filterKey, topicKey } from './arbitraries.js';

type QoS = 0 | 1 | 2;

interface Person extends Subscriber {
  readonly name: string;
}

function person(name: string): Person {
  return { name, matchIndex: 0 };
}

/** Names and QoS of a result, in the order of names. */
function found(result: MatchResult<Person>): [string, number][] {
  return Array.from({ length: result.count }, (_, i): [string, number] => [
    result.subscribers[i]!.name,
    result.grants[i]! & 3,
  ]).sort();
}

function match(tree: SubscriptionTree<Person>, topic: string): [string, number][] {
  const result = new MatchResult<Person>();
  tree.match(topic, result);
  return found(result);
}

test('the first local subscriber of a filter and the last are told', () => {
  const tree = new SubscriptionTree<Person>();
  const [a, b, c] = [person('a'), person('b'), person('c')];
  for (const filter of ['x/y', 'x/+', '#']) {
    assert.equal(tree.unsubscribe(filter, a), Unsubscribed.absent);
    assert.equal(tree.subscribe(filter, a, 1), true);
    assert.equal(tree.subscribe(filter, a, 2), false);
    assert.equal(tree.subscribe(filter, b, 0), false);
    assert.equal(tree.subscribe(filter, c, 0), false);
    assert.equal(tree.unsubscribe(filter, a), Unsubscribed.removed);
    assert.equal(tree.unsubscribe(filter, a), Unsubscribed.absent);
    assert.equal(tree.unsubscribe(filter, c), Unsubscribed.removed);
    assert.equal(tree.unsubscribe(filter, c), Unsubscribed.absent);
    assert.equal(tree.unsubscribe(filter, b), Unsubscribed.last);
    assert.equal(tree.unsubscribe(filter, b), Unsubscribed.absent);
    assert.equal(tree.filterCount, 0);
  }
});

// MQTT-3.8.4-3
test('subscribing again replaces the QoS, up and down', () => {
  const tree = new SubscriptionTree<Person>();
  const [a, b] = [person('a'), person('b')];
  for (const qos of [1, 2, 0] as const) {
    tree.subscribe('x', a, qos);
    assert.deepEqual(match(tree, 'x'), [['a', qos]]);
  }
  tree.subscribe('x', b, 1);
  for (const qos of [1, 2, 0] as const) {
    tree.subscribe('x', a, qos);
    assert.deepEqual(match(tree, 'x'), [
      ['a', qos],
      ['b', 1],
    ]);
  }
});

// MQTT-3.3.5-1
test('a subscriber with overlapping filters is found once, at the highest QoS', () => {
  const tree = new SubscriptionTree<Person>();
  const [a, b] = [person('a'), person('b')];
  tree.subscribe('x/y', a, 1);
  tree.subscribe('x/+', a, 2);
  tree.subscribe('x/#', a, 0);
  tree.subscribe('#', a, 1);
  tree.subscribe('x/#', b, 0);
  assert.deepEqual(match(tree, 'x/y'), [
    ['a', 2],
    ['b', 0],
  ]);
  tree.unsubscribe('x/+', a);
  assert.deepEqual(match(tree, 'x/y'), [
    ['a', 1],
    ['b', 0],
  ]);
});

// MQTT-3.10.4-1
test('unsubscribing takes exactly the filter named', () => {
  const tree = new SubscriptionTree<Person>();
  const a = person('a');
  tree.subscribe('x/+', a, 1);
  for (const filter of ['x/y', '#', 'x/#', '+/+', 'x', 'x/+/+']) {
    assert.equal(tree.unsubscribe(filter, a), Unsubscribed.absent, filter);
  }
  assert.deepEqual(match(tree, 'x/y'), [['a', 1]]);
});

test('the shards of all matching filters are found, shard 31 too', () => {
  const tree = new SubscriptionTree<Person>();
  tree.addShard('x/y', 0);
  tree.addShard('x/+', 31);
  tree.addShard('x/+', 5);
  tree.addShard('z', 7);
  const result = new MatchResult<Person>();
  tree.match('x/y', result);
  assert.equal(result.shardMask >>> 0, 0x80000021);
  assert.equal(result.count, 0);
  tree.removeShard('x/+', 31);
  tree.removeShard('x/+', 30);
  tree.removeShard('unknown', 31);
  tree.match('x/y', result);
  assert.equal(result.shardMask, 0x21);
  tree.match('nothing', result);
  assert.equal(result.shardMask, 0);
});

test('a filter stays while a subscriber or a shard wants it', () => {
  const tree = new SubscriptionTree<Person>();
  const a = person('a');
  tree.subscribe('x/+', a, 1);
  tree.addShard('x/+', 3);
  tree.addShard('y', 3);
  tree.addShard('y', 4);
  assert.deepEqual([tree.filterCount, [...tree.localFilters()]], [2, ['x/+']]);
  assert.equal(tree.unsubscribe('x/+', a), Unsubscribed.last);
  assert.deepEqual([tree.filterCount, [...tree.localFilters()]], [2, []]);
  for (const _ of tree.removeShardEverywhere(3));
  assert.equal(tree.filterCount, 1);
  for (const _ of tree.removeShardEverywhere(4));
  assert.equal(tree.filterCount, 0);
  // A filter that is added after another has left it its place starts from nothing.
  tree.subscribe('new', a, 0);
  const result = new MatchResult<Person>();
  tree.match('new', result);
  assert.equal(result.shardMask, 0);
});

test('local filters are listed while filters come and go', () => {
  const tree = new SubscriptionTree<Person>();
  const a = person('a');
  for (let i = 0; i < 100; i++) tree.subscribe(`kept/${i}`, a, 0);
  for (let i = 0; i < 100; i++) tree.subscribe(`gone/${i}/+`, a, 0);
  const listed: string[] = [];
  for (const filter of tree.localFilters()) {
    if (filter.startsWith('kept')) listed.push(filter);
    const i = listed.length;
    tree.unsubscribe(`gone/${i}/+`, a);
    tree.subscribe(`new/${i}`, a, 0);
  }
  assert.equal(listed.length, 100);
  assert.equal(new Set(listed).size, 100);
});

test('trees do not mix up the scratch words of a subscriber they share', () => {
  const [one, two] = [new SubscriptionTree<Person>(), new SubscriptionTree<Person>()];
  const people = Array.from({ length: 5 }, (_, i) => person(`p${i}`));
  for (const [i, who] of people.entries()) {
    one.subscribe('x', who, 1);
    if (i > 1) two.subscribe('+', who, 2);
    if (i > 2) two.subscribe('#', who, 0);
  }
  const [first, second] = [new MatchResult<Person>(), new MatchResult<Person>()];
  for (let round = 0; round < 3; round++) {
    one.match('x', first);
    two.match('x', second);
    assert.equal(first.count, 5);
    assert.deepEqual(
      found(second).map(([name]) => name),
      ['p2', 'p3', 'p4'],
    );
  }
});

test('a result lets go of the subscribers of the match before', () => {
  const tree = new SubscriptionTree<Person>();
  for (const name of ['a', 'b', 'c']) tree.subscribe('many', person(name), 0);
  tree.subscribe('one', person('d'), 0);
  const result = new MatchResult<Person>();
  tree.match('many', result);
  tree.match('one', result);
  assert.deepEqual(found(result), [['d', 0]]);
  assert.deepEqual(result.subscribers.slice(1), [undefined, undefined]);
});

test('a filter with 100,000 subscribers is joined, matched and left', () => {
  const tree = new SubscriptionTree<Person>();
  const people = Array.from({ length: 100_000 }, (_, i) => person(`${i}`));
  for (const [i, who] of people.entries()) {
    assert.equal(tree.subscribe('news/+', who, (i % 3) as QoS), i === 0);
  }
  const result = new MatchResult<Person>();
  tree.match('news/today', result);
  assert.equal(result.count, people.length);
  for (let i = 0; i < people.length - 1; i++) {
    const who = people[(i * 7_919) % people.length]!;
    assert.equal(tree.unsubscribe('news/+', who), Unsubscribed.removed);
  }
  const last = people[((people.length - 1) * 7_919) % people.length]!;
  assert.deepEqual(match(tree, 'news/today'), [[last.name, Number(last.name) % 3]]);
  assert.equal(tree.unsubscribe('news/+', last), Unsubscribed.last);
});

// ---- against a model ---------------------------------------------------------------------------

interface Wanted {
  readonly qosOf: Map<Person, number>;
  readonly shards: Set<number>;
}

/** The same as a SubscriptionTree, in the plainest way. */
class Model {
  readonly filters = new Map<string, Wanted>();

  at(filter: string): Wanted {
    const wanted = this.filters.get(filter) ?? { qosOf: new Map(), shards: new Set() };
    this.filters.set(filter, wanted);
    return wanted;
  }

  prune(): void {
    for (const [filter, { qosOf, shards }] of this.filters) {
      if (qosOf.size === 0 && shards.size === 0) this.filters.delete(filter);
    }
  }

  match(topic: string): { subscribers: [string, number][]; shardMask: number } {
    const best = new Map<string, number>();
    let shardMask = 0;
    for (const [filter, { qosOf, shards }] of this.filters) {
      if (!matches(filter, topic)) continue;
      for (const [{ name }, qos] of qosOf) best.set(name, Math.max(qos, best.get(name) ?? 0));
      for (const shard of shards) shardMask |= 1 << shard;
    }
    return { subscribers: [...best].sort(), shardMask };
  }
}

const people = Array.from({ length: 6 }, (_, i) => person(`p${i}`));
const who = fc.constantFrom(...people);
const shard = fc.constantFrom(0, 1, 30, 31);

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('subscribe' as const),
      filterKey,
      who,
      qos: fc.constantFrom<QoS>(0, 1, 2),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), filterKey, who }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('addShard' as const), filterKey, shard }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('removeShard' as const), filterKey, shard }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('removeShardEverywhere' as const), shard }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('match' as const), topicKey }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function perform(
  step: Step,
  tree: SubscriptionTree<Person>,
  model: Model,
  result: MatchResult<Person>,
): void {
  switch (step.kind) {
    case 'subscribe': {
      const { qosOf } = model.at(step.filterKey);
      assert.equal(tree.subscribe(step.filterKey, step.who, step.qos), qosOf.size === 0);
      qosOf.set(step.who, step.qos);
      break;
    }
    case 'unsubscribe': {
      const { qosOf } = model.at(step.filterKey);
      const wasHere = qosOf.delete(step.who);
      const isLast = qosOf.size === 0;
      const expected = !wasHere ? 'absent' : isLast ? 'last' : 'removed';
      assert.equal(tree.unsubscribe(step.filterKey, step.who), Unsubscribed[expected]);
      break;
    }
    case 'addShard':
      model.at(step.filterKey).shards.add(step.shard);
      tree.addShard(step.filterKey, step.shard);
      break;
    case 'removeShard':
      model.at(step.filterKey).shards.delete(step.shard);
      tree.removeShard(step.filterKey, step.shard);
      break;
    case 'removeShardEverywhere':
      for (const { shards } of model.filters.values()) shards.delete(step.shard);
      for (const _ of tree.removeShardEverywhere(step.shard));
      break;
    case 'match': {
      const expected = model.match(step.topicKey);
      tree.match(step.topicKey, result);
      assert.deepEqual(found(result), expected.subscribers);
      assert.equal(result.shardMask, expected.shardMask);
    }
  }
  model.prune();
}

test('after any subscribing and unsubscribing, a match is what the plain matcher says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const tree = new SubscriptionTree<Person>();
      const model = new Model();
      const result = new MatchResult<Person>();
      for (const step of steps) perform(step, tree, model, result);
      assert.equal(tree.filterCount, model.filters.size);
      const local = [...model.filters].filter(([, { qosOf }]) => qosOf.size > 0);
      assert.deepEqual([...tree.localFilters()].sort(), local.map(([filter]) => filter).sort());
      for (const topic of fc.sample(topicKey, { numRuns: 10, seed: steps.length })) {
        perform({ kind: 'match', topicKey: topic }, tree, model, result);
      }
    }),
    { numRuns: 400 },
  );
});
