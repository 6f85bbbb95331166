import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Counter,
  Counters,
  createCounterBlock,
  retireCounters,
  sumCounters,
} from '../../../src/base/counters.js';
import { CloseReason } from '../../../src/base/errors.js';

test('every counter has a word of its own', () => {
  const indexes = Object.values(Counter);
  assert.deepEqual(
    indexes.toSorted((a, b) => a - b),
    indexes.map((_, index) => index),
  );
  const block = createCounterBlock();
  const counters = new Counters(block);
  for (const index of indexes) counters.set(index, index + 1);
  for (const reason of Object.values(CloseReason)) counters.addClosed(reason);
  const totals = sumCounters([block]);
  for (const [name, index] of Object.entries(Counter)) {
    assert.equal(Reflect.get(totals, name), index + 1, name);
  }
  assert.deepEqual(
    totals.closed,
    Object.fromEntries(Object.values(CloseReason).map((reason) => [reason, 1])),
  );
});

test('the sum over shards is the sum of their words, also past 32 bits', () => {
  const blocks = [createCounterBlock(), createCounterBlock()];
  for (const block of blocks) new Counters(block).add(Counter.bytesSent, 2 ** 40);
  assert.equal(sumCounters(blocks).bytesSent, 2 ** 41);
  assert.equal(sumCounters([]).bytesSent, 0);
});

test('of the delays of event loops the longest counts', () => {
  const blocks = [30, 120, 5].map((delay) => {
    const block = createCounterBlock();
    new Counters(block).set(Counter.eventLoopDelayMs, delay);
    return block;
  });
  assert.equal(sumCounters(blocks).eventLoopDelayMs, 120);
});

test('of a dead shard the totals stay, its gauges go, its connections count as lost', () => {
  const [dead, heir] = [createCounterBlock(), createCounterBlock()];
  const counters = new Counters(dead);
  counters.add(Counter.connectionsOpened, 5);
  counters.add(Counter.connectionsOpen, 3);
  counters.add(Counter.sessions, 4);
  counters.addClosed(CloseReason.takenOver);
  counters.addClosed(CloseReason.connectionLost);
  retireCounters(dead, heir);
  const totals = sumCounters([heir]);
  assert.equal(totals.connectionsOpened, 5);
  assert.equal(totals.connectionsOpen, 0);
  assert.equal(totals.sessions, 0);
  assert.equal(totals.closed['taken-over'], 1);
  assert.equal(totals.closed['connection-lost'], 1 + 3);
});

test('a gauge falls as it rose', () => {
  const counters = new Counters();
  counters.add(Counter.connectionsOpen, 2);
  counters.add(Counter.connectionsOpen, -1);
  assert.equal(counters.get(Counter.connectionsOpen), 1);
});
