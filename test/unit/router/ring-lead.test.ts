import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  RING_LEAD_MARK_WORK,
  RING_LEAD_MARKS,
  RING_LEAD_WORK_MAX,
} from '../../../src/base/limits.js';
import { RingLead, workOfRecord } from '../../../src/router/ring-lead.js';

const RECORD_BYTES = 96;

describe('the lead of a ring', () => {
  test('is what was put behind the slowest reader, to one mark', () => {
    const lead = new RingLead();
    for (let n = 1; n <= 1_000; n++) lead.add(1, n * RECORD_BYTES);
    assert.equal(lead.work, 1_000);
    lead.onTail(600 * RECORD_BYTES, 1_000 * RECORD_BYTES);
    assert.ok(lead.work >= 400 && lead.work < 400 + RING_LEAD_MARK_WORK, `${lead.work}`);
    lead.onTail(1_000 * RECORD_BYTES, 1_000 * RECORD_BYTES);
    assert.equal(lead.work, 0);
  });

  test('is told as it passes the bound', () => {
    const lead = new RingLead();
    assert.equal(lead.add(RING_LEAD_WORK_MAX, RECORD_BYTES), false);
    assert.equal(lead.add(1, 2 * RECORD_BYTES), true);
  });

  test('is right where positions and work begin again', () => {
    const lead = new RingLead(2 ** 31 - 500);
    const from = 2 ** 31 - 500 * RECORD_BYTES;
    const at = (n: number): number => (from + n * RECORD_BYTES) | 0;
    for (let n = 1; n <= 1_000; n++) lead.add(1, at(n));
    assert.equal(lead.work, 1_000);
    lead.onTail(at(900), at(1_000));
    assert.ok(lead.work >= 100 && lead.work < 100 + RING_LEAD_MARK_WORK, `${lead.work}`);
  });

  test('is never too small when more was put than there are marks for', () => {
    const lead = new RingLead();
    const put = 2 * RING_LEAD_MARKS * RING_LEAD_MARK_WORK;
    for (let n = 1; n <= put; n++) lead.add(1, n);
    lead.onTail(put - 10, put);
    assert.ok(lead.work >= 10);
    lead.onTail(put, put);
    assert.equal(lead.work, 0);
  });

  test('a large record is more work than a small one', () => {
    assert.equal(workOfRecord(0), 1);
    assert.equal(workOfRecord(64 * 1024), 33);
  });
});
