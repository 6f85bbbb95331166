/** Every micro-bench at its small size, so that none rots. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import type { MicroResult, MicroSize } from '../../bench/micro/micro.js';

const FOLDER = new URL('../../bench/micro/', import.meta.url);
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.js') && name !== 'micro.js');

test('there are micro-benches', () => {
  assert.ok(FILES.length >= 4, FILES.join());
});

for (const file of FILES) {
  test(`${file} measures something under names of its own`, async () => {
    const { run } = (await import(new URL(file, FOLDER).href)) as {
      run(size: MicroSize): MicroResult[] | Promise<MicroResult[]>;
    };
    const results = await run('small');
    assert.ok(results.length > 0);
    for (const { name, operations, nanosecondsPerOperation } of results) {
      assert.ok(operations > 0 && nanosecondsPerOperation > 0, name);
    }
    assert.equal(new Set(results.map(({ name }) => name)).size, results.length);
  });
}
