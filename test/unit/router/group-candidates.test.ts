/** Whom a group may give messages to, as its members come, go and fall behind. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Rights } from '../../../src/access/rights.js';
import { Candidates, type Choosable } from '../../../src/router/group-candidates.js';
import { MemberState } from '../../../src/router/group-link.js';

interface Named extends Choosable {
  readonly name: number;
}

const STATES = [MemberState.absent, MemberState.here, MemberState.behind] as const;
/** May read topic `a` alone. */
const ONLY_A: Rights = {
  mayPublish: () => false,
  mayRead: (topicKey) => topicKey === 'a',
  maySubscribe: () => true,
};
const step = fc.tuple(
  fc.nat(9),
  fc.constantFrom(...STATES, null, 'other rights' as const),
  fc.constantFrom(null, ONLY_A),
);
const steps = fc.array(step, { maxLength: 60 });

describe('the candidates of a group', () => {
  // [MQTT 5.0, 4.8.2]: who is away, or behind, is passed over while others are here.
  test('are the members that are here and may read, or else those that are behind', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const candidates = new Candidates<Named>();
        const members = new Map<number, Named>();
        for (const [name, state, rights] of taken) {
          const known = members.get(name);
          if (state === null) {
            if (known !== undefined) candidates.remove(known);
            members.delete(name);
          } else if (state === 'other rights') {
            if (known !== undefined) candidates.setRights(known, rights);
          } else if (known === undefined) {
            const member = { name, state, rights, place: 0 };
            members.set(name, member);
            candidates.add(member);
          } else {
            candidates.setState(known, state);
          }
          const names = (list: readonly Named[]) => list.map((member) => member.name).sort();
          const expected = (wanted: (member: Named) => boolean) => {
            const named = (state: MemberState) =>
              [...members.values()].filter((each) => each.state === state && wanted(each));
            const here = named(MemberState.here);
            return names(here.length > 0 ? here : named(MemberState.behind));
          };
          const all = [...members.values()];
          assert.deepEqual(
            names(candidates.all),
            expected(() => true),
          );
          assert.deepEqual(
            names(candidates.of('a')),
            expected(() => true),
          );
          assert.deepEqual(
            names(candidates.of('b')),
            expected((each) => each.rights === null),
          );
          assert.equal(
            candidates.areRuled,
            all.some((each) => each.rights !== null),
          );
        }
      }),
    );
  });
});
