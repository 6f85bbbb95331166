/** What is published for sessions that are about to be cut waits for the disk. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Route } from '../../../src/router/route.js';
import type { Session } from '../../../src/sessions/session.js';
import { CutHolds } from '../../../src/shard/cut-holds.js';

/** Shards, a bit each. */
const A = 1;
const B = 2;
const C = 4;

function makeHolds() {
  const waits: { readonly shards: number; readonly done: () => void }[] = [];
  const cut: string[] = [];
  const holds = new CutHolds({
    whenKept: (shards, done) => waits.push({ shards, done }),
    schedule() {},
  });
  const add = (name: string, session: Session | null, former: number, shards: number) =>
    holds.add(session, former, shards, () => cut.push(name));
  return { holds, waits, cut, add };
}

/** A route to these sessions here, and to other shards. */
function routeTo(keptMask: number, ...subscribers: Session[]): Route {
  return Object.assign(new Route('a', 0), { keptMask, subscribers });
}

describe('sessions that are about to be cut', () => {
  test('have their publishers wait, and no others', () => {
    const { holds, waits, cut, add } = makeHolds();
    const [session, other] = [{} as Session, {} as Session];
    add('x', session, A, A);
    assert.equal(holds.mustHold(routeTo(A, session)), false);
    holds.onTurn();
    assert.equal(holds.mustHold(routeTo(A | B, other, session)), true);
    assert.equal(holds.mustHold(routeTo(A, other)), false);
    // Nothing of it is sent there, so nothing can be lost there.
    assert.equal(holds.mustHold(routeTo(B, session)), false);
    waits[0]!.done();
    assert.deepEqual([cut, holds.areAny], [['x'], false]);
  });

  test('that move between other shards have what goes to both wait', () => {
    const { holds, waits, add } = makeHolds();
    add('x', null, A, A | B);
    holds.onTurn();
    assert.equal(waits[0]!.shards, A);
    assert.equal(holds.mustHold(routeTo(A | B | C)), true);
    assert.equal(holds.mustHold(routeTo(A | C)), false);
  });

  // Else publishers to many sessions that come would never go on.
  test('wait for each other, and a turn more, where they come one after the other', () => {
    const { holds, waits, cut, add } = makeHolds();
    add('first', null, A, A | B);
    holds.onTurn();
    add('second', null, A, A | B);
    add('third', null, B, B | C);
    holds.onTurn();
    assert.equal(waits.length, 1);
    waits[0]!.done();
    holds.onTurn();
    assert.deepEqual([cut, holds.areAny], [['first'], false]);
    holds.onTurn();
    assert.equal(waits[1]!.shards, A | B);
    waits[1]!.done();
    assert.deepEqual(cut, ['first', 'second', 'third']);
  });
});
