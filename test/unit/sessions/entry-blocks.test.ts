/** Blocks of entries: each is its taker's alone, and arrays without any go back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BLOCK_ENTRIES, EntryBlocks } from '../../../src/sessions/entry-blocks.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { RunQueue } from '../../../src/sessions/run-queue.js';
import { numberedRun } from './frames.js';

function fill(blocks: EntryBlocks, block: number): void {
  for (let at = 0; at < BLOCK_ENTRIES; at++) blocks.set(block, at, block * BLOCK_ENTRIES + at);
}

function assertFilled(blocks: EntryBlocks, taken: Iterable<number>): void {
  for (const block of taken) {
    for (let at = 0; at < BLOCK_ENTRIES; at++) {
      assert.equal(blocks.get(block, at), block * BLOCK_ENTRIES + at);
    }
  }
}

describe('blocks of entries', () => {
  test('keep what was set while others come and go', () => {
    const blocks = new EntryBlocks();
    const taken = new Set<number>();
    let random = 1;
    for (let step = 0; step < 20_000; step++) {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 1;
      // It grows and shrinks over some arrays.
      const grows = step % 8_000 < 4_000;
      if (taken.size === 0 || (random % 4 === 0) !== grows) {
        const block = blocks.take();
        assert.ok(!taken.has(block));
        taken.add(block);
        fill(blocks, block);
      } else {
        const [block] = taken;
        taken.delete(block!);
        blocks.give(block!);
      }
      assert.equal(blocks.used, taken.size);
      if (step % 2_000 === 0) assertFilled(blocks, taken);
    }
    assertFilled(blocks, taken);
  });

  test('leave little behind when all are given back, in whatever order', () => {
    for (const reversed of [false, true]) {
      const blocks = new EntryBlocks();
      const round = (): number => {
        const taken = Array.from({ length: 20_000 }, () => blocks.take());
        assert.equal(new Set(taken).size, taken.length);
        for (const block of taken) fill(blocks, block);
        assertFilled(blocks, taken);
        if (reversed) taken.reverse();
        for (const block of taken) blocks.give(block);
        return blocks.free;
      };
      const free = round();
      assert.ok(free < 2_000, `${free} free`);
      assert.equal(round(), free);
      assert.equal(blocks.used, 0);
    }
  });

  test('are given back by a queue that is emptied or cleared', () => {
    for (const empty of [
      (queue: RunQueue) => queue.clear(),
      (queue: RunQueue) => {
        while (queue.length > 0) queue.shift();
      },
    ]) {
      const total = new QueuedTotal();
      const queues = Array.from({ length: 40 }, () => new RunQueue(total));
      const run = numberedRun(0, 1);
      for (const queue of queues) for (let n = 1; n <= 300; n++) queue.push(run, 0x32, n);
      assert.ok(total.blocks.used >= 40 * 8);
      for (const queue of queues) empty(queue);
      assert.equal(total.blocks.used, 0);
      assert.equal(total.bytes, 0);
    }
  });
});
