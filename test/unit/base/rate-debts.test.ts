import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RATE_DEBT_MS_MAX, RATE_DEBT_PLACES } from '../../../src/base/limits.js';
import { RateDebts } from '../../../src/base/rate-debts.js';

describe('debts of a rate', () => {
  test('are found by all threads, of the same client of the same user alone', () => {
    const memory = RateDebts.createMemory();
    const [one, other] = [new RateDebts(memory), new RateDebts(memory)];
    one.note('ann', 'a', 500, 1_000);
    assert.equal(other.owedMs('ann', 'a', 1_000), 500);
    assert.equal(other.owedMs('ann', 'a', 1_400), 100);
    assert.equal(other.owedMs('ann', 'a', 2_000), 0);
    assert.equal(other.owedMs('bob', 'a', 1_000), 0);
    assert.equal(other.owedMs(null, 'a', 1_000), 0);
    assert.equal(other.owedMs('ann', 'b', 1_000), 0);
    // A newer one stands in the place of the older.
    other.note('ann', 'a', 50, 1_000);
    assert.equal(one.owedMs('ann', 'a', 1_000), 50);
  });

  test('are as long as they may be, and over with other rates', () => {
    const debts = new RateDebts(RateDebts.createMemory());
    debts.note(null, 'a', Number.POSITIVE_INFINITY, 1_000);
    assert.equal(debts.owedMs(null, 'a', 1_000), RATE_DEBT_MS_MAX);
    debts.clear();
    assert.equal(debts.owedMs(null, 'a', 1_000), 0);
  });

  test('are forgotten of who owes least, where there is no place', () => {
    const debts = new RateDebts(RateDebts.createMemory(RATE_DEBT_PLACES));
    for (let n = 1; n <= RATE_DEBT_PLACES; n++) debts.note(null, `${n}`, n * 100, 1_000);
    debts.note(null, 'least', 50, 1_000);
    assert.equal(debts.owedMs(null, 'least', 1_000), 0);
    debts.note(null, 'most', 5_000, 1_000);
    assert.equal(debts.owedMs(null, 'most', 1_000), 5_000);
    assert.equal(debts.owedMs(null, '1', 1_000), 0);
    assert.equal(debts.owedMs(null, '2', 1_000), 200);
    // A place whose time is past is anybody's.
    debts.note(null, 'later', 1, 10_000);
    assert.equal(debts.owedMs(null, 'later', 10_000), 1);
  });
});
