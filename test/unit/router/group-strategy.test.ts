/** Whom a group gives how many of its messages, by how fast they come. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SharedStrategy } from '../../../src/base/shared-strategy.js';
import { GroupPace } from '../../../src/router/group-pace.js';
import { type Candidate, GroupChoice } from '../../../src/router/group-strategy.js';

const INFLIGHT_MAX = 1_024;

/** A group with a clock of its own, and what each of its members has been given. */
class Dealer {
  now = 1_000;
  pieces: number[] = [];
  readonly given: number[];
  readonly #members: Candidate[];
  readonly #choice: GroupChoice;

  constructor(
    among: number,
    strategy: SharedStrategy = 'round-robin',
    inflightMax: number = INFLIGHT_MAX,
  ) {
    this.#choice = new GroupChoice(strategy, new GroupPace(() => this.now));
    this.#members = Array.from({ length: among }, () => ({ load: 0, due: 0, inflightMax }));
    this.given = this.#members.map(() => 0);
  }

  /** Deals out a run. */
  deal(count: number): void {
    this.pieces = [];
    for (let left = count; left > 0; ) {
      const { at, count: taken } = this.#choice.next(this.#members, 't', 0, 1, count, left);
      assert.ok(taken > 0 && taken <= left, `${taken} of ${left}`);
      this.#members[at]!.load += taken;
      this.given[at]! += taken;
      this.pieces.push(taken);
      left -= taken;
    }
  }

  /** Deals out runs of so many messages, one each millisecond, for half a second. */
  flood(count: number): void {
    for (let run = 0; run < 500; run++) {
      this.now += 1;
      this.deal(count);
    }
  }

  get longest(): number {
    return Math.max(...this.pieces);
  }

  /** By how many messages one member is ahead of another. */
  get spread(): number {
    return Math.max(...this.given) - Math.min(...this.given);
  }
}

describe('round-robin', () => {
  test('gives each member one message in turn where they come one at a time', () => {
    const dealer = new Dealer(4);
    for (let message = 1; message <= 200; message++) {
      dealer.now += 1;
      dealer.deal(1);
      assert.ok(dealer.spread <= 1, `${dealer.given} after ${message}`);
    }
  });

  test('deals out what comes at once in equal pieces', () => {
    const dealer = new Dealer(4);
    dealer.deal(100);
    assert.deepEqual(dealer.given, [25, 25, 25, 25]);
    dealer.now += 10_000;
    dealer.deal(3);
    dealer.deal(1);
    assert.deepEqual(dealer.given, [26, 26, 26, 26]);
  });

  test('gives each what it would get in twenty milliseconds where very many come', () => {
    const dealer = new Dealer(10);
    // 200,000 a second, 20,000 of them for each member.
    dealer.flood(200);
    dealer.now += 1;
    dealer.deal(1_000);
    assert.equal(dealer.longest, 400);
    assert.ok(dealer.spread <= 400, `${dealer.given}`);
  });

  test('gives a run to one member where a piece is longer, and each as many as the others', () => {
    const dealer = new Dealer(10);
    dealer.flood(50);
    const before = [...dealer.given];
    // Every other run goes with another member, of whom there is an even number.
    for (let run = 0; run < 1_000; run++) {
      dealer.deal(run % 2 === 0 ? 30 : 80);
      assert.equal(dealer.pieces.length, 1, `${dealer.pieces}`);
      const more = dealer.given.map((given, at) => given - before[at]!);
      assert.ok(Math.max(...more) - Math.min(...more) <= 200, `${more} after ${run}`);
    }
  });

  // Whose messages come one by one may take long over each.
  test('gives one each where runs are short, however many come', () => {
    const dealer = new Dealer(10);
    dealer.flood(400);
    const before = [...dealer.given];
    for (let message = 0; message < 500; message++) dealer.deal(1);
    for (let run = 0; run < 50; run++) dealer.deal(10);
    const more = dealer.given.map((given, at) => given - before[at]!);
    assert.deepEqual(new Set(more), new Set([100]));
  });

  test('deals out evenly again behind a pause', () => {
    const dealer = new Dealer(4);
    dealer.flood(400);
    dealer.now += 200;
    const before = [...dealer.given];
    dealer.deal(100);
    const more = dealer.given.map((given, at) => given - before[at]!);
    // What a turn was due when the pause began is no more than twice as much.
    assert.ok(Math.max(...more) < 50, `${more}`);
  });

  // [MQTT-3.3.4-9]: what a member may not be sent would wait for it while others have nothing.
  test('gives none at a time more than half of what it may have in flight', () => {
    const dealer = new Dealer(10, 'round-robin', 40);
    dealer.flood(1_000);
    dealer.deal(100);
    assert.equal(dealer.longest, 20);
    dealer.deal(400);
    assert.equal(dealer.longest, 40);
  });

  test('has no member ahead of another by more than two pieces, however long the runs are', () => {
    const size = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), size, fc.nat(50), (among, count, wait) => {
        const dealer = new Dealer(among);
        const even = Math.ceil(count / among);
        for (let run = 0; run < 100; run++) {
          dealer.now += 200 + wait;
          dealer.deal(count);
          assert.ok(dealer.spread <= 2 * even, `${dealer.given}`);
        }
      }),
    );
  });
});

describe('least', () => {
  test('gives in longer pieces, too, where very many come', () => {
    const dealer = new Dealer(10, 'least');
    dealer.deal(100);
    assert.equal(dealer.longest, 16);
    dealer.flood(200);
    dealer.deal(1_000);
    assert.equal(dealer.longest, 400);
    assert.ok(dealer.spread <= 400, `${dealer.given}`);
  });
});
