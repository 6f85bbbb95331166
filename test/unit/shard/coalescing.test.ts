import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  COALESCED_READS_MAX,
  COALESCING_RECENT_READS,
  COALESCING_TURNS_BETWEEN_MAX,
} from '../../../src/base/limits.js';
import { Coalescing, type Readable } from '../../../src/shard/coalescing.js';

describe('coalescing of reads', () => {
  let waits: number;
  let coalescing: Coalescing;
  let next: number;

  beforeEach(() => {
    waits = 0;
    next = 0;
    coalescing = new Coalescing(() => waits++);
  });

  /** Clients that have all been read once, by turns too large to wait behind. */
  function clients(count: number): Readable[] {
    const all = Array.from({ length: count }, () => ({ readSerial: 0 }));
    for (const client of all) coalescing.onRead(client);
    coalescing.onTurnEnd(false);
    return all;
  }

  /** A turn that reads so many clients, each in its turn. @returns whether it waited. */
  function turn(all: readonly Readable[], reads: number): boolean {
    for (let n = 0; n < reads; n++) coalescing.onRead(all[next++ % all.length]);
    return coalescing.onTurnEnd(false);
  }

  test('it waits behind every turn as long as several clients are read behind each wait', () => {
    const all = clients(100);
    for (let n = 0; n < 50; n++) assert.equal(turn(all, 3), true, `turn ${n}`);
    assert.equal(waits, 50);
  });

  test('a wait behind which nobody was read is followed by no other', () => {
    const all = clients(100);
    assert.equal(turn(all, 1), true);
    assert.equal(turn(all, 0), false);
    assert.equal(waits, 1);
  });

  test('a wait that does not pay is tried again after twice as many turns each time', () => {
    const all = clients(100);
    const gaps: number[] = [];
    let gap = 0;
    for (let n = 0; n < 5 * COALESCING_TURNS_BETWEEN_MAX; n++) {
      gap++;
      if (!turn(all, 1)) continue;
      gaps.push(gap);
      gap = 0;
    }
    // One turn shows that the wait has not paid, and is the first of those without.
    const doubled = [1, 3, 5, 9, 17, 33, 65, 129, 257, 513];
    const longest = COALESCING_TURNS_BETWEEN_MAX + 1;
    assert.deepEqual(gaps.slice(0, 10), doubled);
    assert.deepEqual(new Set(gaps.slice(10)), new Set([longest]));
  });

  test('one that pays is followed by others at once', () => {
    const all = clients(100);
    for (let n = 0; n < 100; n++) turn(all, 1);
    while (!turn(all, 2));
    assert.equal(turn(all, 2), true);
    assert.equal(turn(all, 2), true);
  });

  test('few clients that come back for answers are not made to wait', () => {
    const all = clients(COALESCING_RECENT_READS);
    for (let n = 0; n < 1_000; n++) turn(all, 4);
    assert.ok(waits < 12, `${waits} waits`);
  });

  test('what other shards send counts as one read', () => {
    const all = clients(100);
    for (let n = 0; n < 50; n++) {
      coalescing.onRead(all[next++ % all.length]);
      assert.equal(coalescing.onTurnEnd(true), true, `turn ${n}`);
    }
    for (let n = 0; n < 1_000; n++) coalescing.onTurnEnd(true);
    assert.ok(waits < 62, `${waits} waits`);
  });

  test('clients that have just connected are not made to wait', () => {
    for (let n = 0; n < 1_000; n++) {
      coalescing.onRead({ readSerial: 0 });
      coalescing.onRead({ readSerial: 0 });
      coalescing.onTurnEnd(false);
    }
    assert.ok(waits < 12, `${waits} waits`);
  });

  test('a turn with many reads has coalesced by itself', () => {
    const all = clients(1_000);
    assert.equal(turn(all, COALESCED_READS_MAX + 1), false);
    assert.equal(turn(all, COALESCED_READS_MAX), true);
  });

  test('a wait that brings many reads does not pay', () => {
    const all = clients(1_000);
    for (let n = 0; n < 1_000; n++) turn(all, n % 2 === 0 ? 2 : COALESCED_READS_MAX + 1);
    assert.ok(waits < 12, `${waits} waits`);
  });
});
