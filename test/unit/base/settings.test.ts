import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSettings, type SettingsTable } from '../../../src/base/settings.js';
import { trueOrFalse, wholeNumber } from '../../../src/base/value-type.js';

interface Sample {
  readonly clients: number;
  readonly isQuiet: boolean;
}

const TABLE: SettingsTable<Sample> = {
  clients: {
    environment: 'SAMPLE_CLIENTS',
    flag: 'clients',
    option: 'clients',
    type: wholeNumber({ min: 1, max: 10 }),
    default: '4',
    summary: 'Clients.',
  },
  isQuiet: {
    environment: 'SAMPLE_QUIET',
    flag: 'quiet',
    option: 'quiet',
    type: trueOrFalse(),
    default: 'false',
    summary: 'Quiet.',
  },
};

test('a table of its own is read from the sources that are there', () => {
  const sources = { environment: { SAMPLE_CLIENTS: '7' }, flags: { quiet: 'true' } };
  const { values, faults } = loadSettings(TABLE, sources, { prefix: 'SAMPLE_' });
  assert.deepEqual(faults, []);
  assert.deepEqual(values, { clients: 7, isQuiet: true });
  assert.deepEqual(loadSettings(TABLE, {}, { prefix: 'SAMPLE_' }).values, {
    clients: 4,
    isQuiet: false,
  });
});

test('a relation is checked only between settings that are allowed by themselves', () => {
  const relations = [
    {
      settings: ['clients', 'isQuiet'],
      severity: 'fault',
      check: ({ clients, isQuiet }: Sample) =>
        isQuiet && clients > 5 ? 'too many to be quiet' : undefined,
    },
  ] as const;
  const load = (clients: unknown) =>
    loadSettings(
      TABLE,
      { environment: { SAMPLE_QUIET: 'true' }, options: { clients } },
      { prefix: 'SAMPLE_', relations },
    ).faults;
  assert.deepEqual(load(5), []);
  assert.deepEqual(load(6), ['option clients is 6, SAMPLE_QUIET is true; too many to be quiet']);
  assert.equal(load(60).length, 1);
  assert.match(load(60)[0], /^option clients is 60; allowed: a whole number from 1 to 10$/);
});

test('whatever a program gives for an option is shown on one short line', () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  for (const clients of [circular, 5n, () => 1, Symbol('s'), 'x'.repeat(1_000), null, Number.NaN]) {
    const { faults } = loadSettings(TABLE, { options: { clients } }, { prefix: 'SAMPLE_' });
    assert.equal(faults.length, 1);
    assert.ok(faults[0].length < 150 && !faults[0].includes('\n'), faults[0]);
  }
});

test('names of Object.prototype are no flags', () => {
  const { faults, warnings } = loadSettings(TABLE, { flags: {} }, { prefix: 'SAMPLE_' });
  assert.deepEqual([faults, warnings], [[], []]);
});

test('a number that JSON does not know is shown as it is', () => {
  const { faults } = loadSettings(TABLE, { options: { clients: Number.NaN } }, { prefix: 'S_' });
  assert.match(faults[0], /^option clients is NaN; /);
});
