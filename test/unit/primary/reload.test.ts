import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/base/config.js';
import { mergeReloaded } from '../../../src/primary/reload.js';
import { ReloadRound } from '../../../src/primary/reload-round.js';

const { config } = loadConfig({ workers: 2 }, {}, {});

describe('a configuration read again', () => {
  test('keeps what needs a restart, and names it', () => {
    const next = loadConfig({ workers: 3, ringBytes: 65_536, maxInflight: 7 }, {}, {}).config;
    const merged = mergeReloaded(config, next);
    assert.deepEqual(merged.needRestart, ['workers', 'ringBytes']);
    assert.deepEqual(merged.changed, ['maxInflight']);
    assert.deepEqual(merged.config, { ...config, maxInflight: 7 });
    assert.ok(Object.isFrozen(merged.config));
  });

  test('is compared by its values', () => {
    const same = mergeReloaded(config, loadConfig({ workers: 2 }, {}, {}).config);
    assert.deepEqual([same.changed, same.needRestart], [[], []]);
  });
});

describe('a reload on its way', () => {
  test('is done when every shard has answered or ended', async () => {
    const round = new ReloadRound([0, 1, 2], 60_000);
    round.answered(1, null);
    round.answered(1, 'said twice');
    round.ended(0);
    round.answered(2, 'no memory');
    assert.deepEqual(await round.done, ['shard 2 cannot take it: no memory']);
  });

  test('is done at once when no shard runs', async () => {
    assert.deepEqual(await new ReloadRound([], 60_000).done, []);
  });

  test('waits no longer than its time for a shard that does not answer', async () => {
    const round = new ReloadRound([0, 1], 20);
    round.answered(0, null);
    const [fault] = await round.done;
    assert.match(fault, /^shard 1 has not answered within 0.02 s/);
  });
});
