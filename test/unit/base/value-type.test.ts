import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as type from '../../../src/base/value-type.js';

/** Value given, value read; undefined stands for "not allowed". */
type Cases = readonly (readonly [unknown, unknown])[];

function check(valueType: type.ValueType<unknown>, cases: Cases): void {
  for (const [given, expected] of cases) {
    assert.equal(valueType.read(given), expected, `${JSON.stringify(given)} ${typeof given}`);
  }
}

test('a whole number is read from text and numbers, within its range', () => {
  check(type.wholeNumber({ min: 1, max: 1_000_000 }), [
    ['1', 1],
    [' 42 ', 42],
    [1_000_000, 1_000_000],
    ['1000001', undefined],
    [0, undefined],
    ['1.5', undefined],
    ['-1', undefined],
    ['0x10', undefined],
    ['1e3', undefined],
    ['1k', undefined],
    ['', undefined],
    [Number.NaN, undefined],
    [true, undefined],
    [null, undefined],
  ]);
});

test('bytes are plain or in binary units', () => {
  check(type.bytes({ min: 0, max: 2 ** 40 }), [
    ['0', 0],
    ['64KiB', 65_536],
    ['64 kib', 65_536],
    ['1m', 1_048_576],
    ['1.5MiB', 1_572_864],
    ['2G', 2_147_483_648],
    [12, 12],
    ['5M', 5_242_880],
    ['1KB', 1_024],
    ['5MB', 5_242_880],
    ['1 gb', 1_073_741_824],
    ['12B', 12],
    ['0.3KiB', undefined],
    ['MiB', undefined],
    ['1constructor', undefined],
    [Number.POSITIVE_INFINITY, undefined],
  ]);
});

test('durations are seconds or carry a unit', () => {
  check(type.duration({ min: 0, max: 10_000_000 }, 1), [
    ['2', 2_000],
    [2, 2_000],
    ['0.5', 500],
    ['500ms', 500],
    ['2s', 2_000],
    ['1m', 60_000],
    ['1.5m', 90_000],
    ['1h', 3_600_000],
    [0.0015, undefined],
    ['2d', undefined],
    ['-1s', undefined],
  ]);
  check(type.duration({ min: 1, max: 65_535 }, 1_000), [
    ['1m', 60],
    ['2000ms', 2],
    ['1.5', undefined],
    [65_536, undefined],
  ]);
});

test('true and false have two spellings each', () => {
  check(type.trueOrFalse(), [
    ['true', true],
    ['FALSE', false],
    ['1', true],
    ['0', false],
    [true, true],
    ['yes', undefined],
    [1, undefined],
  ]);
});

test('one of some words is that word, in any case, and no other', () => {
  check(type.oneOf(['info', 'warn']), [
    ['info', 'info'],
    [' warn ', 'warn'],
    ['INFO', 'info'],
    ['information', undefined],
    [undefined, undefined],
  ]);
});

test('what is shown is read back as the same value', () => {
  const bytes = type.bytes({ min: 0, max: 2 ** 50 });
  for (const value of [0, 1, 1023, 1024, 1025, 2 ** 20, 3 * 2 ** 20, 2 ** 40, 268_435_455]) {
    assert.equal(bytes.read(bytes.show(value)), value);
  }
  for (const unit of [1, 1_000] as const) {
    const duration = type.duration({ min: 0, max: 2 ** 40 }, unit);
    for (const value of [0, 1, 999, 1_000, 1_500, 60_000, 61_000, 3_600_000]) {
      assert.equal(duration.read(duration.show(value)), value);
    }
  }
});
