/** What windows weigh: most sessions of a broker are quiet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { OutgoingWindow } from '../../../src/sessions/outgoing-window.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { numberedRun } from './frames.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const LIMITS = { maxInflight: 1_024, maxQueuedMessages: 100_000, maxQueuedBytes: 1e8 };
const WINDOWS = 400;
const COLLECTIONS = 6;
const ONE = numberedRun(0, 1);
const THOUSAND = numberedRun(0, 1_000);
const target = Buffer.alloc(65_536);

/**
 * Heap and array buffers in use, in bytes: the least of several collections, since one may still
 * find what a compiler on another thread holds, or what is being freed on another thread.
 */
async function bytesInUse(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let left = COLLECTIONS; left > 0; left--) {
    // Nothing is on the stack then but what is asked for here.
    await nextTurn();
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

function makeWindows(use: (window: OutgoingWindow) => void): OutgoingWindow[] {
  const total = new QueuedTotal();
  return Array.from({ length: WINDOWS }, () => {
    const window = new OutgoingWindow(LIMITS, true, total);
    use(window);
    return window;
  });
}

/** Bytes of one window after `use`, and of what it holds. */
async function bytesEach(use: (window: OutgoingWindow) => void): Promise<number> {
  // What is compiled, and noted for compiling, is in the heap too, and no window's.
  makeWindows(use);
  const before = await bytesInUse();
  const windows = makeWindows(use);
  return ((await bytesInUse()) - before) / windows.length;
}

/** Sends a run and acknowledges all of it. */
function deliver(window: OutgoingWindow, run = ONE): void {
  let { oldestId } = window.head();
  window.enqueue(run, 1, false);
  window.fill(target, 0, target.length, 0);
  for (let left = run.count; left > 0; left--) window.onPuback(oldestId++);
  assert.equal(window.inflight + window.queuedMessages, 0);
}

test('an idle window takes less than a kilobyte, whatever it has done before', async () => {
  const unused = await bytesEach(() => {});
  assert.ok(unused < 700, `unused: ${unused} bytes`);
  const released = await bytesEach((window) => {
    deliver(window, THOUSAND);
    window.expire(0, 1_000);
  });
  assert.ok(released < 1_000, `after a thousand messages: ${released} bytes`);
});

test('a window that needed much and needs little shrinks while it is used', async () => {
  const once = await bytesEach((window) => deliver(window, THOUSAND));
  assert.ok(once > 4_000, `just after a thousand at once: ${once} bytes`);
  const later = await bytesEach((window) => {
    deliver(window, THOUSAND);
    for (let n = 0; n < 2_500; n++) deliver(window);
  });
  assert.ok(later < 2_000, `after as many single ones: ${later} bytes`);
});

test('a hundred thousand waiting messages in long runs take a few entries', async () => {
  const bytes = await bytesEach((window) => {
    for (let n = 0; n < 100; n++) window.enqueue(THOUSAND, 1, false);
    assert.equal(window.queuedMessages, 100_000);
  });
  assert.ok(bytes < 4_096, `${bytes} bytes`);
});

test('a queue of single messages takes 8 bytes an entry and shrinks as it empties', async () => {
  const full = await bytesEach((window) => {
    for (let n = 0; n < 1_000; n++) window.enqueue(ONE, 1, false);
  });
  assert.ok(full < 1_024 * 8 + 3_000, `full: ${full} bytes`);
  const emptied = await bytesEach((window) => {
    for (let n = 0; n < 1_000; n++) window.enqueue(ONE, 1, false);
    window.fill(target, 0, target.length, 0);
    for (let id = 1; id <= 1_000; id++) window.onPuback(id);
    for (let n = 0; n < 2_500; n++) deliver(window);
  });
  assert.ok(emptied < 2_000, `emptied: ${emptied} bytes`);
});
