import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALL_LATE, NONE_LIVE, Placement } from '../../../src/primary/placement.js';

/** Shards that count what a test says. */
function setUp(shardCount: number) {
  const open = new Array<number>(shardCount).fill(0);
  const taken = new Array<number>(shardCount).fill(0);
  const late = new Set<number>();
  const placement = new Placement(shardCount, {
    isLate: (index) => late.has(index),
    open: (index) => open[index],
    taken: (index) => taken[index],
  });
  for (let index = 0; index < shardCount; index++) placement.setLive(index, true);
  return { placement, open, taken, late };
}

function placeMany(placement: Placement, count: number): number[] {
  return Array.from({ length: count }, () => placement.place());
}

describe('Placement', () => {
  it('lets equals take turns, though no shard has counted anything yet', () => {
    const { placement } = setUp(3);
    assert.deepEqual(placeMany(placement, 7), [0, 1, 2, 0, 1, 2, 0]);
    assert.equal(placement.totalLoad(), 7);
  });

  it('prefers the shard with the fewest connections until it has caught up', () => {
    const { placement, open, taken } = setUp(2);
    open[0] = 3;
    taken[0] = 3;
    // What it took before does not make up for what it is given from now on.
    placement.setLive(0, true);
    assert.deepEqual(placeMany(placement, 3), [1, 1, 1]);
    assert.deepEqual(placeMany(placement, 4).sort(), [0, 0, 1, 1]);
  });

  it('counts a connection once, on its way or taken', () => {
    const { placement, open, taken } = setUp(2);
    placeMany(placement, 4);
    assert.deepEqual([placement.load(0), placement.load(1)], [2, 2]);
    taken[0] = 2;
    open[0] = 2;
    assert.deepEqual([placement.load(0), placement.load(1)], [2, 2]);
    open[0] = 1;
    assert.equal(placement.load(0), 1);
    assert.equal(placement.place(), 0);
    assert.equal(placement.load(0), 2);
  });

  it('gives nothing to a shard that is not live, and -1 when none is', () => {
    const { placement } = setUp(2);
    placement.setLive(0, false);
    assert.deepEqual(placeMany(placement, 2), [1, 1]);
    placement.setLive(1, false);
    assert.equal(placement.place(), -1);
    assert.equal(placement.totalLoad(), 0);
  });

  it('gives nothing to a shard that is late, and tells when all that are live are', () => {
    const { placement, late } = setUp(3);
    late.add(1);
    assert.deepEqual(placeMany(placement, 4), [0, 2, 0, 2]);
    placement.setLive(0, false);
    late.add(2);
    assert.equal(placement.place(), ALL_LATE);
    late.clear();
    assert.equal(placement.place(), 1);
    placement.setLive(1, false);
    placement.setLive(2, false);
    assert.equal(placement.place(), NONE_LIVE);
  });

  it('begins anew with a shard that has come back', () => {
    const { placement, taken, open } = setUp(2);
    placeMany(placement, 10);
    placement.setLive(1, false);
    taken[1] = 0;
    open[1] = 0;
    placement.setLive(1, true);
    assert.equal(placement.load(1), 0);
    assert.deepEqual(placeMany(placement, 5), [1, 1, 1, 1, 1]);
  });

  it('takes back what did not reach its shard', () => {
    const { placement } = setUp(1);
    placeMany(placement, 2);
    placement.takeBack(0);
    assert.equal(placement.totalLoad(), 1);
  });
});
