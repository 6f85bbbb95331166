import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fifo } from '../../../src/client/fifo.js';

test('items leave in the order they came, whatever pushes and shifts are mixed', () => {
  const fifo = new Fifo<number>();
  const model: number[] = [];
  for (let i = 0; i < 10_000; i++) {
    // Grows to hundreds, wraps many times, and runs empty now and then.
    if ((i * 7919) % 1000 < (i % 2000 < 1000 ? 600 : 400)) {
      fifo.push(i);
      model.push(i);
    } else {
      assert.equal(fifo.shift(), model.shift());
    }
    assert.equal(fifo.length, model.length);
    assert.equal(fifo.peek(), model[0]);
  }
  while (model.length > 0) assert.equal(fifo.shift(), model.shift());
  assert.equal(fifo.shift(), undefined);
});

test('a cleared queue is empty and can be used again', () => {
  const fifo = new Fifo<number>();
  for (let i = 0; i < 100; i++) fifo.push(i);
  fifo.clear();
  assert.equal(fifo.length, 0);
  assert.equal(fifo.peek(), undefined);
  fifo.push(7);
  assert.equal(fifo.shift(), 7);
});
