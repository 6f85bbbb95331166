import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TokenBucket } from '../../../src/connection/rate-limit.js';

describe('a token bucket', () => {
  test('has a second of its rate at once, then as much as comes', () => {
    const bucket = new TokenBucket(100, 5_000);
    assert.equal(bucket.take(100, 5_000), false);
    assert.ok(bucket.msOwed(5_000) <= 0);
    assert.equal(bucket.take(50, 5_000), true);
    assert.equal(bucket.msOwed(5_000), 500);
    assert.equal(bucket.msOwed(5_400), 100);
    assert.ok(bucket.msOwed(5_500) <= 0);
  });

  test('gives what was more than it had, and is owed it', () => {
    const bucket = new TokenBucket(10, 0);
    assert.equal(bucket.take(1_010, 0), true);
    assert.equal(bucket.msOwed(0), 100_000);
    assert.equal(bucket.take(10, 1_000), true);
    assert.equal(bucket.msOwed(1_000), 100_000);
  });

  test('gathers no more than a second of its rate', () => {
    const bucket = new TokenBucket(100, 0);
    bucket.take(1, 0);
    assert.equal(bucket.msOwed(3_600_000), -1_000);
    bucket.take(200, 3_600_000);
    assert.equal(bucket.msOwed(3_600_000), 1_000);
  });

  test('has no more than that for who comes after an hour, and was not asked meanwhile', () => {
    const bucket = new TokenBucket(100, 0);
    bucket.take(1, 0);
    assert.equal(bucket.take(200, 3_600_000), true);
    assert.equal(bucket.msOwed(3_600_000), 1_000);
  });

  test('of rate 0 owes nothing, whatever is taken', () => {
    const bucket = new TokenBucket(0, 0);
    assert.equal(bucket.take(Number.MAX_SAFE_INTEGER, 0), false);
    assert.equal(bucket.msOwed(0), 0);
  });
});
