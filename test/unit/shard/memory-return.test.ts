import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  MEMORY_RETURN_BYTES_MIN,
  MEMORY_RETURN_HEAP_BYTES_MAX,
  MEMORY_RETURN_SECONDS_MIN,
} from '../../../src/base/limits.js';
import { MemoryReturn } from '../../../src/shard/memory-return.js';

describe('memory', () => {
  let done: string[];
  let heapBytes: number;
  let memory: MemoryReturn;

  beforeEach(() => {
    done = [];
    heapBytes = 0;
    memory = new MemoryReturn({
      heapBytes: () => heapBytes,
      collect: () => void done.push('collect'),
      trim: () => void done.push('trim'),
    });
  });

  /** Seconds pass, with so much that waits at the end of each. */
  function pass(...kept: number[]): string[] {
    for (const part of kept) memory.onSecond(part * MEMORY_RETURN_BYTES_MIN);
    return done.splice(0);
  }

  test('goes back when much has gone, once that is over: freed first, then returned', () => {
    assert.deepEqual(pass(1, 10, 10, 6, 3), [], 'it is still falling');
    assert.deepEqual(pass(3), ['collect']);
    assert.deepEqual(pass(3), ['trim']);
    assert.deepEqual(pass(3, 3, 3), []);
  });

  test('is left where it is while little has gone, however often it comes and goes', () => {
    assert.deepEqual(pass(0, 0.9, 0, 0, 0.9, 0, 0), []);
  });

  test('goes back now and then at most', () => {
    assert.deepEqual(pass(2, 0, 0, 0), ['collect', 'trim']);
    assert.deepEqual(pass(2, 0, 0, 0), []);
    for (let second = 0; second < MEMORY_RETURN_SECONDS_MIN; second++) memory.onSecond(0);
    assert.deepEqual(done, ['collect', 'trim']);
  });

  test('of a large heap is collected when V8 sees fit', () => {
    heapBytes = MEMORY_RETURN_HEAP_BYTES_MAX + 1;
    assert.deepEqual(pass(2, 0, 0, 0), ['trim']);
  });
});
