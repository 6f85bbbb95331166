/** What waits in all sessions of a shard is bounded together, and counted once where shared. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  INFLIGHT_BYTES_WHEN_FULL,
  QUEUED_ENTRY_COST_BYTES,
  QUEUED_RUN_COST_BYTES,
} from '../../../src/base/limits.js';
import { OutgoingWindow } from '../../../src/sessions/outgoing-window.js';
import { QueuedTotal, queuedShare } from '../../../src/sessions/queued-total.js';
import { numberedRun, runOf } from './frames.js';

const LIMITS = { maxInflight: 10, maxQueuedMessages: 1_000, maxQueuedBytes: 1_000_000_000 };
const TARGET = Buffer.alloc(4 * INFLIGHT_BYTES_WHEN_FULL);

/** What a run costs that waits in `queues` queues. */
function costOf(bytes: number, queues: number): number {
  return bytes + QUEUED_RUN_COST_BYTES + queues * QUEUED_ENTRY_COST_BYTES;
}

test('shards have equal shares, rounded up', () => {
  assert.equal(queuedShare(1_000, 3), 334);
  assert.equal(queuedShare(0, 3), 0);
});

describe('the total of what waits', () => {
  test('counts a run once, and each queue that it is in', () => {
    const total = new QueuedTotal();
    const windows = [1, 2, 3].map(() => new OutgoingWindow(LIMITS, true, total));
    const run = numberedRun(1, 3);
    for (const window of windows) window.enqueue(run, 1, false);
    assert.equal(total.bytes, costOf(run.bytes.length, 3));
    windows[0].discard();
    assert.equal(total.bytes, costOf(run.bytes.length, 2));
    windows[1].fill(TARGET, 0, TARGET.length, 1);
    assert.equal(total.bytes, costOf(run.bytes.length, 2), 'what was sent is kept');
    for (let id = 1; id <= 3; id++) windows[1].onPuback(id);
    windows[2].takeRun();
    assert.equal(total.bytes, 0);
  });

  test('refuses messages for the absent beyond the limit, and takes them where room is', () => {
    const run = numberedRun(1, 3);
    const total = new QueuedTotal(costOf(run.bytes.length, 1));
    const [first, second] = [1, 2].map(() => new OutgoingWindow(LIMITS, true, total));
    assert.equal(first.enqueue(run, 1, false), 0);
    assert.equal(second.enqueue(numberedRun(1, 2), 1, false), 2);
    assert.equal(second.enqueue(run, 1, false), 3, 'an entry costs too');
    assert.deepEqual([total.takeRefused(), total.takeRefused()], [5, 0]);
    first.discard();
    assert.equal(second.enqueue(run, 1, false), 0);
  });

  test('costs those nothing who keep up or are waited for', () => {
    const total = new QueuedTotal(0);
    const window = new OutgoingWindow(LIMITS, true, total);
    assert.equal(window.enqueue(numberedRun(1, 3), 1, false, true, false), 0, 'nothing waits');
    assert.equal(window.enqueue(numberedRun(4, 3), 1, false, true, true), 0, 'it is waited for');
    assert.equal(
      window.enqueue(numberedRun(7, 3), 1, false, true, false),
      3,
      'nobody waits for it',
    );
    assert.equal(total.takeRefused(), 3);
  });

  test('lets little be in flight while there is little room, until acks come', () => {
    const half = runOf(['x'.repeat(INFLIGHT_BYTES_WHEN_FULL / 2)]);
    const total = new QueuedTotal(costOf(half.bytes.length, 1));
    const window = new OutgoingWindow(LIMITS, true, total);
    for (let n = 0; n < 4; n++) {
      window.enqueue(runOf(['x'.repeat(INFLIGHT_BYTES_WHEN_FULL / 2)]), 1, false, true, true);
    }
    window.fill(TARGET, 0, TARGET.length, 1);
    assert.deepEqual([window.inflight, window.sendable], [2, false]);
    window.onPuback(1);
    assert.equal(window.sendable, true);
  });
});
