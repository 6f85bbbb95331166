/** Rows on disk of what a member of a group has whose own session is not kept. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KeptRow } from '../../../src/sessions/membership.js';
import { OutgoingWindow } from '../../../src/sessions/outgoing-window.js';
import { runOf } from './frames.js';

const LIMITS = { maxInflight: 3, maxQueuedMessages: 100, maxQueuedBytes: 10_000 };
const MEMBERSHIP = { groupKey: '$share/g/t' };

class Row implements KeptRow {
  left = 0;

  leave(): void {
    this.left++;
  }
}

/** A window of a member that was given these runs, each with a row, and has sent what it may. */
function windowOf(...runs: readonly (readonly string[])[]): {
  window: OutgoingWindow;
  rows: Row[];
} {
  const window = new OutgoingWindow(LIMITS as never, false);
  const rows = runs.map((payloads) => {
    const row = new Row();
    const note = { ...MEMBERSHIP, of: MEMBERSHIP, row };
    assert.equal(window.enqueue(runOf(payloads), 1, false, true, true, undefined, note), 0);
    return row;
  });
  const target = Buffer.alloc(4_096);
  window.fill(target, 0, target.length, 0);
  return { window, rows };
}

/** How often each was told that it is not wanted any more. */
function leftOf(rows: readonly Row[]): number[] {
  return rows.map(({ left }) => left);
}

/** Takes back. @returns how many messages, of each stretch. */
function takeBack(window: OutgoingWindow, isSentToo: boolean): number[] {
  const counts: number[] = [];
  window.takeBack(MEMBERSHIP, isSentToo, (_run, _start, _end, count, note) => {
    assert.equal(note.of, MEMBERSHIP);
    counts.push(count);
  });
  return counts;
}

describe('the row of messages that a member has', () => {
  test('stays until all of them are acknowledged', () => {
    const { window, rows } = windowOf(['a', 'b'], ['c']);
    window.onPuback(1);
    window.onPuback(3);
    assert.deepEqual(leftOf(rows), [0, 0]);
    window.onPuback(2);
    assert.deepEqual(leftOf(rows), [1, 1]);
  });

  test('goes when the member has left, whatever of them was sent', () => {
    const { window, rows } = windowOf(['a', 'b'], ['c', 'd'], ['e']);
    window.onPuback(1);
    assert.deepEqual(takeBack(window, true), [1, 2, 1]);
    window.discard();
    assert.deepEqual(leftOf(rows), [1, 1, 1]);
  });

  test('stays for what was sent, when the rest is taken back', () => {
    const { window, rows } = windowOf(['a', 'b'], ['c', 'd'], ['e']);
    assert.deepEqual(takeBack(window, false), [1, 1]);
    assert.deepEqual(leftOf(rows), [0, 0, 1]);
    for (const packetId of [1, 2, 3]) window.onPuback(packetId);
    window.fill(Buffer.alloc(64), 0, 64, 0);
    assert.deepEqual(leftOf(rows), [1, 1, 1]);
    assert.deepEqual(takeBack(window, true), []);
  });
});
