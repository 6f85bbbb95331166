/** Wills that wait for their delay. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { RecordError } from '../../../src/base/errors.js';
import { DELAYED_WILLS_BYTES_MAX } from '../../../src/base/limits.js';
import type { Run } from '../../../src/protocol/run.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { DelayedWills } from '../../../src/sessions/delayed-wills.js';
import { Session } from '../../../src/sessions/session.js';
import { prepareWill } from '../../../src/sessions/will.js';

const LIMITS = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1 };

function makeSession(): Session {
  return new Session('c', 1_000, 5, 1, LIMITS, new AbsentQueues());
}

function willOf(payloadBytes: number) {
  const properties = { contentType: 'text', messageExpiryInterval: 60, willDelayInterval: 5 };
  const payload = Buffer.alloc(payloadBytes);
  return prepareWill({ topic: 'w', payload, qos: 1, retain: true, properties });
}

describe('delayed wills', () => {
  let published: { run: Run; topicKey: string }[];
  let wills: DelayedWills;

  beforeEach(() => {
    published = [];
    wills = new DelayedWills((run, topicKey, _, onPublished) => {
      published.push({ run, topicKey });
      onPublished();
    });
  });

  test('are published once, as they were left', () => {
    const session = makeSession();
    assert.equal(wills.keep(session, willOf(3), 5_000), true);
    wills.publish(session);
    wills.publish(session);
    assert.equal(published.length, 1);
    const { run, topicKey } = published[0];
    // Without the delay and the expiry, which counts from now on.
    const frame = '33 10 0001 77 0001 07 03 0004 74657874 000000';
    assert.equal(run.bytes.toString('hex'), frame.replaceAll(' ', ''));
    assert.deepEqual([run.header, run.topicLength, run.propertyBytes], [0x33, 1, 8]);
    assert.ok(run.expiresAt > 0);
    assert.equal(topicKey, 'w');
    assert.equal(wills.bytes, 0);
  });

  test('move with their sessions, with what is left of their delay', () => {
    const [here, there] = [makeSession(), makeSession()];
    wills.keep(here, willOf(3), 5_000);
    const moved = wills.move(here, 2_000);
    assert.equal(moved?.leftMs, 3_000);
    assert.equal(wills.move(here, 2_000), null);
    wills.arrive(there, moved, 100_000);
    assert.equal(there.delayedWill?.dueAt, 103_000);
    wills.publish(here);
    wills.publish(there);
    assert.deepEqual(published[0].run.bytes, willOf(3).bytes);
    assert.equal(published.length, 1);
  });

  test('that are none are not taken from another shard', () => {
    const session = makeSession();
    wills.keep(session, willOf(3), 5_000);
    const moved = wills.move(session, 0)!;
    for (const wrong of [
      null,
      {},
      { ...moved, topicLength: 2 },
      { ...moved, propertyBytes: 7 },
      { ...moved, header: 0x82 },
      { ...moved, bytes: moved.bytes.subarray(1) },
      { ...moved, leftMs: 'soon' },
    ]) {
      assert.throws(() => wills.arrive(session, wrong, 0), RecordError);
    }
    assert.equal(session.delayedWill, null);
  });

  test('are bounded: one beyond is to be published at once', () => {
    const bytes = 60_000;
    const fitting = Math.floor(DELAYED_WILLS_BYTES_MAX / (willOf(bytes).bytes.length + 256));
    for (let n = 0; n < fitting; n++) {
      assert.equal(wills.keep(makeSession(), willOf(bytes), 1), true);
    }
    assert.equal(wills.keep(makeSession(), willOf(bytes), 1), false);
  });
});
