/** Tickets under every schedule of two and three shards: see ticket-model.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from './explore.js';
import { type TicketOptions, ticketModel } from './ticket-model.js';

const STATES_MAX = 400_000;
const TWO: TicketOptions = { shards: 2, publications: [0, 1], spareTurns: [1, 1] };
const TWO_BUSY: TicketOptions = { shards: 2, publications: [0, 1, 0], spareTurns: [0, 0] };
/** The third only has a subscriber. */
const THREE: TicketOptions = { shards: 3, publications: [0, 1], spareTurns: [0, 0, 0] };
const THREE_SPARE: TicketOptions = { ...THREE, spareTurns: [0, 0, 1] };

describe('tickets, all schedules', () => {
  const kept: readonly (readonly [string, TicketOptions, number])[] = [
    ['two shards with turns to spare', TWO, 10_000],
    ['two busy shards', TWO_BUSY, 40_000],
    ['three shards', THREE, 250_000],
  ];
  for (const [name, options, statesMin] of kept) {
    test(`${name} deliver first what happened before`, () => {
      const { fault, states } = explore(ticketModel(options), STATES_MAX);
      assert.equal(fault, null);
      assert.ok(states > statesMin, `${states} states`);
    });
  }

  // A reader need not wait for a peer between its ticket and its head: what happened before is
  // visible. Waiting would not put what is concurrent in one order either.
  for (const waitsForFlushes of [false, true]) {
    const who = waitsForFlushes ? 'who waits for flushes under way' : 'who does not wait';
    test(`what is concurrent may come crosswise to ${who}`, () => {
      const { fault } = explore(
        ticketModel({ ...THREE_SPARE, oneOrder: true, waitsForFlushes }),
        STATES_MAX,
      );
      assert.equal(fault?.text, 'two subscribers get two publications crosswise');
    });
  }
});
