/** A run with kills that is short enough to be one of many tests. */
import assert from 'node:assert/strict';
import { SEED } from '../fuzz/random.js';
import { type KillPlan, reportLines, runKills } from '../support/kill/run.js';

export const PLAN: KillPlan = {
  seed: SEED,
  workers: 1,
  kills: 22,
  victim: 'process',
  environment: {},
  command: null,
  loadMs: 500,
  restEvery: 6,
  stallMs: 30_000,
  hasGroups: false,
  isGoingOn: false,
};

/** Runs it: nothing may be lost, doubled or out of order. */
export async function assertFaultless(plan: KillPlan): Promise<void> {
  const report = await runKills(plan);
  assert.equal(report.faults.total, 0, reportLines(report).join('\n'));
  assert.equal(report.faults.kills, plan.kills);
}
