import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IncomingQos2 } from '../../../src/sessions/incoming-qos2.js';

test('a QoS 2 PUBLISH is a duplicate until its id is released', () => {
  // [MQTT-4.3.3-2]
  const ids = new IncomingQos2();
  assert.equal(ids.add(7), true);
  assert.equal(ids.add(7), false);
  assert.equal(ids.has(7), true);
  assert.equal(ids.release(7), true);
  assert.equal(ids.release(7), false);
  assert.equal(ids.has(7), false);
  assert.equal(ids.add(7), true);
  assert.equal(ids.size, 1);
});

test('all 65,535 ids can be unreleased at once', () => {
  const ids = new IncomingQos2();
  for (let id = 65_535; id >= 1; id--) assert.equal(ids.add(id), true);
  for (let id = 1; id <= 65_535; id++) assert.equal(ids.add(id), false);
  assert.equal(ids.size, 65_535);
  assert.equal(ids.snapshot().length, 65_535);
  for (let id = 1; id <= 65_535; id++) assert.equal(ids.release(id), true);
  assert.equal(ids.size, 0);
  assert.deepEqual(ids.snapshot(), []);
});

test('a snapshot has the ids in ascending order and restores them', () => {
  const ids = new IncomingQos2();
  for (const id of [65_535, 1, 300, 40_000]) ids.add(id);
  const snapshot = ids.snapshot();
  assert.deepEqual(snapshot, [1, 300, 40_000, 65_535]);
  const moved = new IncomingQos2();
  moved.restore(snapshot);
  assert.deepEqual(moved.snapshot(), snapshot);
  assert.equal(moved.add(300), false);
  assert.deepEqual(new IncomingQos2().snapshot(), []);
});

test('it holds what a plain set would, whatever order ids come and go in', () => {
  // Ids that share a slot of the small table (512 apart) and ones in a row are both likely.
  const idArb = fc.oneof(
    fc.integer({ min: 1, max: 65_535 }),
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 0, max: 127 }).map((n) => n * 512 + 1),
  );
  const property = fc.property(
    fc.array(fc.tuple(fc.boolean(), idArb), { maxLength: 300 }),
    (steps) => {
      const ids = new IncomingQos2();
      const model = new Set<number>();
      for (const [isAdd, id] of steps) {
        if (isAdd) {
          assert.equal(ids.add(id), !model.has(id));
          model.add(id);
        } else {
          assert.equal(ids.release(id), model.delete(id));
        }
        assert.equal(ids.has(id), model.has(id));
        assert.equal(ids.size, model.size);
      }
      assert.deepEqual(
        ids.snapshot(),
        [...model].sort((a, b) => a - b),
      );
    },
  );
  fc.assert(property, { numRuns: 300 });
});
