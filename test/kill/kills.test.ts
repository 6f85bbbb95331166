/**
 * The broker is killed under load at random moments and started again, or one of its workers dies:
 * what it has acknowledged is there, in order, and at QoS 2 once. Longer runs are done by hand:
 * scripts/kill.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEED } from '../fuzz/random.js';
import { type KillPlan, reportLines, runKills } from '../support/kill/run.js';

const PLAN: KillPlan = {
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

async function assertFaultless(plan: KillPlan): Promise<void> {
  const report = await runKills(plan);
  assert.equal(report.faults.total, 0, reportLines(report).join('\n'));
  assert.equal(report.faults.kills, plan.kills);
}

test('what is acknowledged outlives the deaths of a broker with one worker', () =>
  assertFaultless(PLAN));

test('what is acknowledged outlives the deaths of its one worker', () =>
  assertFaultless({ ...PLAN, kills: 10, victim: 'shard' }));

test('what is acknowledged outlives the deaths of a broker with two workers', () =>
  assertFaultless({ ...PLAN, workers: 2, hasGroups: true }));
