import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  RUN_BUFFER_BYTES,
  RUN_BUFFER_BYTES_MIN,
  RUN_BUFFERS_MAX,
} from '../../../src/base/limits.js';
import type { Run } from '../../../src/protocol/run.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';

const LENGTH = RUN_BUFFER_BYTES_MIN;

function copy(total: QueuedTotal, fill: number, length = LENGTH): Run {
  return total.copyRun(Buffer.alloc(length, fill), 0, length, 0x32, 1, 1);
}

/** Whether a run made now would lie where this one lies. */
function isReused(total: QueuedTotal, run: Run): boolean {
  const next = copy(total, 0xff);
  return next.bytes.buffer === run.bytes.buffer;
}

describe('the memory of a run that waits a moment', () => {
  test('is reused when the last queue has let go of it', () => {
    const total = new QueuedTotal();
    const run = copy(total, 1);
    const place = total.hold(run);
    total.hold(run);
    total.delivered(run);
    total.letGo(place);
    assert.equal(run.bytes[0], 1);
    assert.equal(isReused(total, run), false);
    total.letGo(place);
    assert.equal(isReused(total, run), true);
  });

  test('is not reused before its delivery is over', () => {
    const total = new QueuedTotal();
    const run = copy(total, 1);
    total.letGo(total.hold(run));
    assert.equal(isReused(total, run), false);
    total.letGo(total.hold(run));
    total.delivered(run);
    assert.equal(isReused(total, run), true);
  });

  test('of a run that no queue took is reused at once', () => {
    const total = new QueuedTotal();
    const run = copy(total, 1);
    total.delivered(run);
    assert.equal(isReused(total, run), true);
  });

  test('is never reused when somebody beside the queues keeps its bytes', () => {
    const total = new QueuedTotal();
    const run = copy(total, 1);
    const place = total.hold(run);
    total.delivered(run);
    total.keepBytes(place);
    total.letGo(place);
    assert.equal(isReused(total, run), false);
    assert.equal(run.bytes[0], 1);
  });

  test('is taken for so many runs of a fitting size, the others have their own', () => {
    const total = new QueuedTotal();
    for (const length of [LENGTH - 1, RUN_BUFFER_BYTES + 1]) {
      const run = copy(total, 1, length);
      assert.equal(run.bytes.length, length);
      total.delivered(run);
      assert.equal(isReused(total, run), false);
    }
    const other = new QueuedTotal();
    const runs = Array.from({ length: RUN_BUFFERS_MAX + 10 }, () => copy(other, 1));
    const reusable = runs.filter(({ buffer }) => buffer !== null);
    assert.equal(reusable.length, RUN_BUFFERS_MAX);
  });
});
