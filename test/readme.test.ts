import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { withSettingsTable } from '../scripts/readme-settings.js';
import { CONFIG_SETTINGS } from '../src/base/settings-table.js';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

test('the table of settings in the README is the one that the broker reads', () => {
  assert.equal(README, withSettingsTable(README), 'run node dist/scripts/readme-settings.js');
});

test('every setting stands in the README once, with its default', () => {
  for (const { environment, default: fallback } of Object.values(CONFIG_SETTINGS)) {
    const rows = README.split('\n').filter((line) => line.includes(`\`${environment}\``));
    assert.equal(rows.length, 1, environment);
    assert.ok(rows[0].includes(`| \`${fallback}\` |`), rows[0]);
  }
});

test('a README without marks for the table is refused', () => {
  assert.throws(() => withSettingsTable('# README\n'), /no marks/);
});
