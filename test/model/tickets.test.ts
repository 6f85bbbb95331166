/**
 * Tickets under every schedule of two and three shards: see ticket-model.ts. What each step of a
 * turn is needed for shows when it is done at another place: the search then finds an inversion.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from './explore.js';
import { type TicketMutation, type TicketOptions, ticketModel } from './ticket-model.js';

const STATES_MAX = 400_000;
const TWO: TicketOptions = { shards: 2, publications: [0, 1, 0], spareTurns: [1, 1] };
/** The third only has a subscriber. */
const THREE: TicketOptions = { shards: 3, publications: [0, 1], spareTurns: [0, 1, 1] };

describe('tickets, all schedules', () => {
  for (const [name, options] of Object.entries({ two: TWO, three: THREE })) {
    test(`${name} shards deliver first what happened before`, () => {
      const { fault, states } = explore(ticketModel(options), STATES_MAX);
      assert.equal(fault, null);
      assert.ok(states > 50_000, `${states} states`);
    });
  }

  // A reader need not wait for a peer between its ticket and its head: what happened before is
  // visible. Waiting would not put what is concurrent in one order either.
  for (const waitsForFlushes of [false, true]) {
    const who = waitsForFlushes ? 'who waits for flushes under way' : 'who does not wait';
    test(`what is concurrent may come crosswise to ${who}`, () => {
      const { fault } = explore(
        ticketModel({ ...THREE, oneOrder: true, waitsForFlushes }),
        STATES_MAX,
      );
      assert.equal(fault?.text, 'two subscribers get two publications crosswise');
    });
  }

  const needed: readonly (readonly [TicketMutation, TicketOptions])[] = [
    ['no tickets', THREE],
    ['no limit', THREE],
    ['heads before word', THREE],
    ['word before read', THREE],
    ['ticket before read', THREE],
    ['ack before head', THREE],
    ['head before ticket', THREE],
    ['one record a turn', TWO],
  ];
  for (const [mutation, options] of needed) {
    test(`with "${mutation}" the search finds an inversion`, () => {
      const { fault } = explore(ticketModel({ ...options, mutation }), STATES_MAX);
      assert.match(fault?.text ?? '', /delivers/);
    });
  }
});
