import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Run } from '../../../src/protocol/run.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { RunQueue } from '../../../src/sessions/run-queue.js';
import { numberedRun } from './frames.js';

test('entries come out in the order they went in, with what was said of them', () => {
  const queue = new RunQueue(new QueuedTotal());
  const runs = [numberedRun(0, 1), numberedRun(1, 2)];
  queue.push(runs[0], 0x32, 1);
  queue.push(runs[1], 0x35, 65_536);
  assert.equal(queue.length, 2);
  assert.equal(queue.runAt(0), runs[0]);
  assert.deepEqual([queue.headerAt(0), queue.countAt(0)], [0x32, 1]);
  queue.shift();
  assert.equal(queue.runAt(0), runs[1]);
  assert.deepEqual([queue.headerAt(0), queue.countAt(0)], [0x35, 65_536]);
});

test('it is an array with push and shift, however it grows and shrinks', () => {
  const property = fc.property(
    // Short steps keep a queue nearly full while it goes round; long ones make it grow and shrink.
    fc.array(
      fc.tuple(
        fc.boolean(),
        fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 200 })),
      ),
      { maxLength: 80 },
    ),
    (steps) => {
      const queue = new RunQueue(new QueuedTotal());
      const model: { run: Run; header: number; count: number }[] = [];
      for (const [isPush, times] of steps) {
        for (let n = 0; n < times; n++) {
          if (isPush) {
            const entry = { run: numberedRun(0, 1), header: 0x30 + (n & 7), count: n + 1 };
            model.push(entry);
            queue.push(entry.run, entry.header, entry.count);
          } else if (model.length > 0) {
            model.shift();
            queue.shift();
          }
        }
        if (times % 5 === 0) queue.release();
        assert.equal(queue.length, model.length);
        for (const [index, entry] of model.entries()) {
          assert.equal(queue.runAt(index), entry.run);
          assert.equal(queue.headerAt(index), entry.header);
          assert.equal(queue.countAt(index), entry.count);
        }
      }
    },
  );
  fc.assert(property, { numRuns: 100 });
});

test('it is an array with what is removed, replaced and cut in the middle, too', () => {
  const kind = fc.constantFrom('push', 'push', 'push', 'shift', 'remove', 'replace', 'cut');
  const times = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 150 }));
  const property = fc.property(
    fc.array(fc.tuple(kind, times, fc.double({ min: 0, max: 0.999, noNaN: true })), {
      maxLength: 60,
    }),
    (steps) => {
      const total = new QueuedTotal();
      const queue = new RunQueue(total);
      const model: { run: Run; count: number; ids: readonly number[] | undefined }[] = [];
      let pushed = 0;
      assert.equal(queue.left, 0);
      for (const [what, count, part] of steps) {
        for (let n = 0; n < count; n++) {
          const entry = { run: numberedRun(pushed, 1), count: n + 1, ids: n % 3 ? undefined : [n] };
          const index = Math.floor(part * model.length);
          if (what === 'push') {
            pushed++;
            model.push(entry);
            queue.push(entry.run, 0x32, entry.count, entry.ids);
          } else if (model.length > 0) {
            if (what === 'shift') {
              model.shift();
              queue.shift();
            } else if (what === 'remove') {
              model.splice(index, 1);
              queue.remove(index);
            } else if (what === 'replace') {
              model[index] = entry;
              queue.replace(index, entry.run, 0x32, entry.count, entry.ids);
            } else {
              model[index] = { ...model[index]!, count: 1 };
              queue.cut(index, 1);
            }
          }
        }
        assert.equal(queue.length, model.length);
        assert.equal(queue.left + queue.length, pushed);
        for (const [index, { run, count, ids }] of model.entries()) {
          assert.equal(queue.runAt(index), run);
          assert.deepEqual([queue.countAt(index), queue.identifiersAt(index)], [count, ids]);
        }
      }
      while (queue.length > 0) queue.shift();
      queue.release();
      assert.deepEqual([total.bytes, total.blocks.used], [0, 0]);
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test('what is removed behind many in flight costs no more than they do', () => {
  const queue = new RunQueue(new QueuedTotal());
  const run = numberedRun(0, 1);
  const inFlight = 1_000;
  for (let n = 0; n < inFlight + 10; n++) queue.push(run, 0x32, 1 + n);
  for (let n = 0; n < 20_000; n++) {
    queue.remove(inFlight);
    queue.push(run, 0x32, 1 + inFlight + 10 + n);
  }
  assert.equal(queue.countAt(inFlight - 1), inFlight);
  assert.equal(queue.countAt(inFlight), 1 + inFlight + 20_000);
  // Each entry in flight was moved once for as many that were removed.
  assert.ok(queue.moved <= 20_000, `${queue.moved} moved`);
});

test('a queue that stays nearly full goes round without losing an entry', () => {
  const queue = new RunQueue(new QueuedTotal());
  const run = numberedRun(0, 1);
  for (let n = 1; n <= 15; n++) queue.push(run, 0x32, n);
  for (let n = 16; n <= 100; n++) {
    queue.push(run, 0x32, n);
    queue.shift();
    const counts = Array.from({ length: queue.length }, (_, index) => queue.countAt(index));
    assert.deepEqual(
      counts,
      Array.from({ length: 15 }, (_, index) => n - 14 + index),
    );
  }
});
