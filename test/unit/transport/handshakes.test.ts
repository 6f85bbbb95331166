import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Counter, Counters } from '../../../src/base/counters.js';
import { type Deadline, Deadlines } from '../../../src/base/deadlines.js';
import { HANDSHAKES_PER_TURN } from '../../../src/base/limits.js';
import { Handshake, HandshakeFault, Handshakes } from '../../../src/transport/handshakes.js';

const TIMEOUT_MS = 1_000;

class TestHandshake extends Handshake {
  hasBegun = false;
  fault: HandshakeFault | null = null;
  readonly #all: Handshakes;

  constructor(all: Handshakes) {
    super();
    this.#all = all;
  }

  begin(): void {
    this.hasBegun = true;
  }

  fail(fault: HandshakeFault, detail: string): void {
    this.fault = fault;
    this.#all.noteFailed(this, fault, detail, '192.0.2.1');
  }
}

function setUp(handshakesMax = 100) {
  const lines: object[] = [];
  const counters = new Counters();
  const deadlines = new Deadlines<Deadline>(0, (due) => (due as Handshake).onDeadline());
  const all = new Handshakes({
    deadlines,
    counters,
    handshakeTimeoutMs: TIMEOUT_MS,
    handshakesMax,
    log: (_level, fields) => lines.push(fields),
  });
  const make = (count: number): TestHandshake[] =>
    Array.from({ length: count }, () => {
      const handshake = new TestHandshake(all);
      all.expect(handshake);
      all.admit(handshake);
      return handshake;
    });
  return { all, make, lines, counters, deadlines };
}

describe('handshakes', () => {
  test('are gone on with a few in a turn, in their order', async () => {
    const { make, all } = setUp();
    const made = make(HANDSHAKES_PER_TURN + 1);
    assert.equal(made[0].hasBegun, false, 'not in the midst of a read');
    await nextTurn();
    assert.deepEqual([made.at(-2)?.hasBegun, made.at(-1)?.hasBegun], [true, false]);
    await nextTurn();
    assert.equal(made.at(-1)?.hasBegun, true);
    for (const handshake of made) all.succeed(handshake);
    assert.equal(all.size, 0);
    all.close();
  });

  test('beyond their bound the oldest make room; those that are over do not count', async () => {
    const { make, all, counters } = setUp(3);
    const [first, second, third] = make(3);
    await nextTurn();
    all.succeed(second);
    make(2);
    await nextTurn();
    assert.deepEqual([first.fault, second.fault, third.fault], ['displaced', null, null]);
    assert.equal(counters.get(Counter.handshakesDisplaced), 1);
    assert.equal(counters.get(Counter.handshakes), 1);
    all.close();
  });

  test('end at their time-out, and with their end it is cancelled', async () => {
    const { make, all, counters, deadlines } = setUp();
    const [late, done] = make(2);
    await nextTurn();
    all.succeed(done);
    deadlines.advance(2 * TIMEOUT_MS);
    assert.deepEqual([late.fault, done.fault], ['timeout', null]);
    assert.deepEqual([counters.get(Counter.handshakeTimeouts), deadlines.size], [1, 0]);
    all.close();
  });

  test('that fail are a line at once, then one a second; who only left is none', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { make, all, lines } = setUp();
    const made = make(6);
    made[0].fail(HandshakeFault.left, 'it left');
    assert.equal(lines.length, 0);
    for (const handshake of made.slice(1)) handshake.fail(HandshakeFault.protocol, 'garbage');
    assert.equal(lines.length, 1);
    t.mock.timers.tick(1_000);
    const address = '192.0.2.1';
    assert.deepEqual(lines[1], { reason: 'protocol', count: 4, detail: 'garbage', address });
    t.mock.timers.tick(10_000);
    assert.equal(lines.length, 2);
    all.close();
  });
});
