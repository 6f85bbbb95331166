import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../', import.meta.url);

test('each promise of SECURITY.md names tests that there are', () => {
  const rows = readFileSync(new URL('SECURITY.md', ROOT), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (?:promise|limit|---)/.test(line));
  assert.ok(rows.length > 10);
  for (const row of rows) {
    const cell = row.split(' | ').at(-1)!.replace(/ \|$/, '');
    let text = '';
    let named = 0;
    for (const part of cell.split('; ')) {
      const [, path, name = part] = /^`([^`]+\.test\.ts)`: (.+)$/.exec(part) ?? [];
      if (path !== undefined) text = readFileSync(new URL(`test/${path}`, ROOT), 'utf8');
      if (part.startsWith('`scripts/')) continue;
      assert.ok(text.includes(name.replaceAll("'", '’')) || text.includes(name), `${part}: ${row}`);
      named++;
    }
    assert.ok(named > 0, row);
  }
});
