/** The load of runs with kills, without any; and that such a run finds what a broker forgets. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { SEED } from '../fuzz/random.js';
import { type KillPlan, type KillReport, reportLines, runKills } from '../support/kill/run.js';

const PLAN: KillPlan = {
  seed: SEED,
  workers: 2,
  kills: 0,
  victim: 'process',
  environment: { SURGEMQ_SESSIONS: 'mem' },
  command: null,
  loadMs: 1_500,
  restEvery: 10,
  stallMs: 15_000,
  hasGroups: true,
  isGoingOn: false,
};

function assertFaultless(report: KillReport): void {
  assert.equal(report.faults.total, 0, reportLines(report).join('\n'));
  assert.ok(report.totals.delivered > report.totals.acknowledged, 'load');
}

for (const workers of [1, 2]) {
  test(`clients that come, go and are taken over lose nothing with ${workers} shards`, async () => {
    assertFaultless(await runKills({ ...PLAN, workers }));
  });
}

test('a broker that keeps nothing is found out by its deaths', async () => {
  const plan = { ...PLAN, kills: 3, loadMs: 600, stallMs: 1_000, isGoingOn: true };
  const { faults, folder } = await runKills(plan);
  rmSync(folder, { recursive: true });
  for (const kind of ['lost', 'forgotten', 'retained'] as const) {
    assert.ok((faults.counts.get(kind) ?? 0) > 0, `${kind}: ${faults.summary()}`);
  }
});
