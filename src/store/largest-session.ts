/**
 * The largest number of a session of which anything is in the store: a number that is given again
 * while there is, would have a session find the queue, the packet ids and the filters of another.
 */
import type { Environment } from './environment.js';
import { BitKind, behindAll, kindsStart, ReplayRow, sessionOf } from './keys.js';
import { FIRST_KEY, lastKeyOf, scanRows } from './read-rows.js';
import { numberOfSession } from './stored-session.js';

/** Of those that are there, and of all that one that has ended may have left; 0: there is none. */
export function largestSession(environment: Environment): number {
  const { subscriptions, queue, doomed, bits, replays } = environment.tables;
  let largest = 0;
  // Their keys are client ids.
  const numbers = environment.scan('sessions', numberOfSession);
  for (const { value } of scanRows(numbers)) largest = Math.max(largest, value);
  // Other tables are in the order of the numbers: the last key of each has the largest.
  for (const table of [subscriptions, queue, doomed]) {
    const last = lastKeyOf(table, FIRST_KEY);
    if (last !== null) largest = Math.max(largest, sessionOf(last));
  }
  for (const [table, kinds] of [
    [bits, BitKind],
    [replays, ReplayRow],
  ] as const) {
    for (const kind of Object.values(kinds)) {
      const start = kindsStart(kind);
      const last = lastKeyOf(table, start, behindAll(start));
      if (last !== null) largest = Math.max(largest, sessionOf(last, 1));
    }
  }
  return largest;
}
