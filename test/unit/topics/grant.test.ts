import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Grant,
  grantedQos,
  identifierOf,
  KEEPS_RETAIN,
  makeGrant,
  matchedGrant,
  mergeGrants,
  NO_LOCAL,
  ownQos,
  RETAIN_AS_PUBLISHED,
} from '../../../src/topics/grant.js';
import { MatchResult, SubscriptionTree } from '../../../src/topics/subscription-tree.js';

const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
const options = fc.tuple(qos, fc.boolean(), fc.boolean(), fc.nat(268_435_455));

test('a grant of 3.x is its QoS, and has neither flags nor an identifier', () => {
  for (const each of [0, 1, 2] as const) {
    assert.equal(makeGrant(each, false, false, 0), each);
    assert.deepEqual([grantedQos(each), identifierOf(each)], [each, 0]);
  }
});

test('a grant fits 32 bits and gives back what it was made of', () => {
  fc.assert(
    fc.property(options, ([granted, noLocal, retainAsPublished, identifier]) => {
      const grant = makeGrant(granted, noLocal, retainAsPublished, identifier);
      assert.equal(grant, grant | 0);
      assert.deepEqual([grantedQos(grant), identifierOf(grant)], [granted, identifier]);
      assert.equal((grant & NO_LOCAL) !== 0, noLocal);
      assert.equal((grant & RETAIN_AS_PUBLISHED) !== 0, retainAsPublished);
    }),
  );
});

// [MQTT-3.3.4-2] [MQTT-3.8.3-3] [MQTT-3.3.1-13]
// Of what the client itself publishes, that of those without No Local.
test('overlapping subscriptions grant the highest QoS among them', () => {
  fc.assert(
    fc.property(fc.array(options, { minLength: 1, maxLength: 5 }), (all) => {
      const grants = all.map((each) => makeGrant(...each));
      const merged = grants.map(matchedGrant).reduce(mergeGrants);
      const own = all.filter(([, noLocal]) => !noLocal).map(([granted]) => granted);
      assert.equal(merged & 3, Math.max(...all.map(([granted]) => granted)));
      assert.equal(ownQos(merged), own.length === 0 ? -1 : Math.max(...own));
      assert.equal(
        (merged & KEEPS_RETAIN) !== 0,
        all.some(([, , retainAsPublished]) => retainAsPublished),
      );
    }),
  );
});

// [MQTT-3.3.4-4] [MQTT-3.3.4-5]
test('a match has the identifiers of all subscriptions of a subscriber, and of nobody else', () => {
  const tree = new SubscriptionTree<{ matchIndex: number }>();
  const [one, two] = [{ matchIndex: 0 }, { matchIndex: 0 }];
  const subscribe = (filter: string, who: typeof one, grant: Grant) =>
    tree.subscribe(filter, who, grant);
  subscribe('a/b', one, makeGrant(1, false, false, 268_435_455));
  subscribe('a/+', one, makeGrant(2, false, false, 7));
  subscribe('#', one, 0);
  subscribe('a/b', two, 1);
  const result = new MatchResult<typeof one>();
  tree.match('a/b', result);
  const at = result.subscribers.indexOf(one);
  assert.deepEqual(result.identifiers[at]!.sort(), [268_435_455, 7].sort());
  assert.equal(result.identifiers[result.subscribers.indexOf(two)], undefined);
  tree.match('b', result);
  assert.deepEqual([result.count, result.identifiers.length], [1, 0]);
});
