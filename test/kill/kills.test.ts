/**
 * The broker is killed under load at random moments and started again, or one of its workers dies:
 * what it has acknowledged is there, in order, and at QoS 2 once. Longer runs are done by hand:
 * scripts/kill.ts.
 */
import { test } from 'node:test';
import { assertFaultless, PLAN } from './faultless.js';

test('what is acknowledged outlives the deaths of a broker with one worker', () =>
  assertFaultless(PLAN));

test('what is acknowledged outlives the deaths of its one worker', () =>
  assertFaultless({ ...PLAN, kills: 10, victim: 'shard' }));

test('what is acknowledged outlives the deaths of a broker with two workers', () =>
  assertFaultless({ ...PLAN, workers: 2, hasGroups: true }));
