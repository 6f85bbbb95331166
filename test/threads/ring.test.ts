import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RingShards, type ShardPlan } from './ring-shards.js';
import { type RingReport, Traffic } from './traffic.js';

/** The smallest ring there may be: it wraps and fills many times. */
const RING_BYTES = 64 * 1024;

/**
 * Asserts that every shard took each record that every other has sent to it; content and order it
 * checked.
 */
function assertComplete(reports: readonly RingReport[]): void {
  for (const [sender, { sent }] of reports.entries()) {
    const traffic = new Traffic(sender, 0, reports.length);
    const wanted = reports.map(() => 0);
    for (let record = 0; record < sent; record++) {
      traffic.next();
      for (let reader = 0; reader < reports.length; reader++) {
        if ((traffic.shardMask & (1 << reader)) !== 0) wanted[reader]++;
      }
    }
    for (const [reader, { received }] of reports.entries()) {
      assert.equal(received[sender], wanted[reader], `from ${sender} to ${reader}`);
    }
  }
}

async function run(plans: readonly ShardPlan[]): Promise<RingReport[]> {
  const shards = new RingShards(plans, RING_BYTES);
  try {
    const reports = await shards.reports();
    for (const [index, plan] of plans.entries()) assert.equal(reports[index].sent, plan.records);
    assertComplete(reports);
    return reports;
  } finally {
    await shards.close();
  }
}

describe('rings between threads', () => {
  it('bring every record once and in order, through wraps, a full ring and fragments', async () => {
    const plan = { records: 6000, batch: 200, drainBytes: 1 << 20 };
    const reports = await run([plan, plan, plan]);
    for (const { large, fullFlushes } of reports) {
      assert.ok(large > 5, 'records above a quarter of the ring');
      assert.ok(fullFlushes > 10, 'the ring was full again and again');
    }
  });

  it('lose nothing when one reader is far slower than the others', async () => {
    const quick = { records: 1500, batch: 100, drainBytes: 1 << 20 };
    const slow = { records: 10, batch: 1, drainBytes: 100 };
    const reports = await run([quick, quick, slow]);
    assert.ok(reports[0].fullFlushes > 0);
  });

  it('wake who sleeps: one record a turn, each shard asleep most of the time', async () => {
    // A wake-up that is lost would leave all three asleep, and the test waiting.
    const plan = { records: 3000, batch: 1, drainBytes: 1 << 20 };
    const idle = { records: 0, batch: 1, drainBytes: 1 << 20 };
    const reports = await run([plan, idle, plan]);
    assert.ok(reports[1].wakeUps > 10, `${reports[1].wakeUps} wake-ups of the idle shard`);
  });
});

describe('rings of threads that die', () => {
  const endless = { records: Number.POSITIVE_INFINITY, batch: 50, drainBytes: 1 << 18 };

  it('hold nobody up once the dead shard is dropped', async () => {
    const shards = new RingShards([endless, endless, endless], RING_BYTES, 2000);
    try {
      await Promise.all([0, 1, 2].map((index) => shards.progress(index)));
      await shards.kill(2);
      shards.postAll({ kind: 'peer-dead', index: 2 }, 2);
      const survivors = [0, 1];
      for (const index of survivors) shards.post(index, { kind: 'finish' });
      const reports = await shards.reportsOf(survivors);
      assert.ok(reports[0].received[1] > 1000);
      assert.ok(reports[1].received[0] > 1000);
    } finally {
      await shards.close();
    }
  });

  it('serve the successor from the moment it is introduced, three deaths in a row', async () => {
    const shards = new RingShards([endless, endless, endless], RING_BYTES, 1000);
    try {
      await Promise.all([0, 1, 2].map((index) => shards.progress(index)));
      for (const victim of [1, 2, 1]) {
        await shards.kill(victim);
        shards.postAll({ kind: 'peer-dead', index: victim }, victim);
        shards.replace(victim, RING_BYTES, 1000);
        shards.introduce(victim);
        await shards.progress(victim);
      }
      shards.postAll({ kind: 'finish' });
      const reports = await shards.reports();
      assert.ok(reports.every((report) => report.sent > 1000));
    } finally {
      await shards.close();
    }
  });
});
