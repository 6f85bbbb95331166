/** A session that takes over what another shard had for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { brief, fillFrames, moveRuns, numberedRun } from './frames.js';

const LIMITS = { maxInflight: 10, maxQueuedMessages: 5, maxQueuedBytes: 1_000 };

function makeSession(): Session {
  return new Session('c', Number.POSITIVE_INFINITY, 4, 1, LIMITS, new AbsentQueues());
}

/** Restores `session` with what `old` has. @returns how many of its newer messages were dropped. */
function move(old: Session, session: Session): number {
  const head = old.head();
  const arrived = session.makeWindow();
  moveRuns(old, arrived);
  return session.restore(head, arrived);
}

test('what came meanwhile goes behind what is in flight and what waits', () => {
  const [old, session] = [makeSession(), makeSession()];
  old.enqueue(numberedRun(1, 2), 1, false);
  assert.deepEqual(brief(fillFrames(old.openWindow())), ['1:1', '2:2']);
  old.enqueue(numberedRun(3, 1), 1, false);
  session.enqueue(numberedRun(4, 2), 1, false);
  assert.equal(move(old, session), 0);
  const window = session.openWindow();
  window.beginResend();
  assert.deepEqual(brief(fillFrames(window)), ['1:1 dup', '2:2 dup', '3:3', '4:4', '5:5']);
});

test('what came meanwhile is dropped and counted beyond the bound of the queue', () => {
  const [old, session] = [makeSession(), makeSession()];
  old.enqueue(numberedRun(1, 4), 1, false);
  session.enqueue(numberedRun(5, 3), 1, false);
  assert.equal(move(old, session), 2);
  assert.deepEqual(brief(fillFrames(session.openWindow())), ['1:1', '2:2', '3:3', '4:4', '5:5']);
});

test('ids of QoS 2 messages received before are known', () => {
  const [old, session] = [makeSession(), makeSession()];
  assert.equal(old.acceptQos2(7), true);
  move(old, session);
  assert.deepEqual([session.acceptQos2(7), session.acceptQos2(8)], [false, true]);
});
