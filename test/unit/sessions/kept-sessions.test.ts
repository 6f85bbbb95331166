import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEPT_REFILLS_PER_TURN } from '../../../src/base/limits.js';
import { KeptSessions, type KeptSessionsParts } from '../../../src/sessions/kept-sessions.js';
import type { Session } from '../../../src/sessions/session.js';

/** A session with messages on disk, of which so many are found each time that they are read. */
function thinSession(found: number): { readonly session: Session; readonly reads: () => number } {
  let reads = 0;
  const refill = (): number => {
    reads++;
    return found;
  };
  const outlet = { isBlocked: false, wake() {} };
  const kept = { queue: { onDisk: 1 }, refill };
  const session = { kept, outlet, openWindow: () => ({ queuedBytes: 0 }) } as unknown as Session;
  return { session, reads: () => reads };
}

function watch(...sessions: readonly Session[]): KeptSessions {
  const kept = new KeptSessions({ shardIndex: 0, base: 0, waits: true } as KeptSessionsParts);
  for (const session of sessions) kept.watch(session);
  return kept;
}

test('a session whose rows are still on their way is looked at once a turn', () => {
  const [early, other] = [thinSession(0), thinSession(0)];
  const kept = watch(early.session, other.session);
  assert.equal(kept.onTurn(), false);
  assert.deepEqual([early.reads(), other.reads()], [1, 1]);
});

test('sessions are refilled by turns, so many in each', () => {
  const all = Array.from({ length: KEPT_REFILLS_PER_TURN + 1 }, () => thinSession(1));
  const kept = watch(...all.map(({ session }) => session));
  assert.equal(kept.onTurn(), true);
  assert.equal(all[KEPT_REFILLS_PER_TURN].reads(), 0);
  kept.onTurn();
  assert.equal(all[KEPT_REFILLS_PER_TURN].reads(), 1);
});
