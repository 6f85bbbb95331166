/**
 * One worker of several dies while sessions move between them, and the broker is killed now and
 * then before there is a successor, or right behind its start.
 */
import { test } from 'node:test';
import { assertFaultless, PLAN } from './faultless.js';

test('what is acknowledged outlives the deaths of one of two workers', () =>
  assertFaultless({ ...PLAN, workers: 2, kills: 12, victim: 'shard', hasGroups: true }));

test('what is acknowledged outlives the deaths of two workers and their broker in turn', () =>
  assertFaultless({ ...PLAN, workers: 2, victim: 'both', hasGroups: true }));
