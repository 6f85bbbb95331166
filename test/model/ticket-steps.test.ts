/**
 * What each step of a turn is needed for (ticket-model.ts) shows when it is done at another place:
 * the search of all schedules then finds an inversion.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from './explore.js';
import { type TicketMutation, type TicketOptions, ticketModel } from './ticket-model.js';

const STATES_MAX = 400_000;
const TWO: TicketOptions = { shards: 2, publications: [0, 1], spareTurns: [1, 1] };
const TWO_BUSY: TicketOptions = { shards: 2, publications: [0, 1, 0], spareTurns: [0, 0] };
/** The third only has a subscriber. */
const THREE_SPARE: TicketOptions = { shards: 3, publications: [0, 1], spareTurns: [0, 0, 1] };
const SPARE_THREE: TicketOptions = { shards: 3, publications: [0, 1], spareTurns: [1, 0, 0] };

describe('tickets, a step at another place', () => {
  const needed: readonly (readonly [TicketMutation, TicketOptions])[] = [
    ['no tickets', THREE_SPARE],
    ['no limit', THREE_SPARE],
    ['heads before word', THREE_SPARE],
    ['word before read', TWO],
    ['ticket before read', SPARE_THREE],
    ['ack before head', THREE_SPARE],
    ['head before ticket', THREE_SPARE],
    ['one record a turn', TWO_BUSY],
    ['told before head', TWO],
    ['out before told', THREE_SPARE],
    ['told by ring only', THREE_SPARE],
    ['heads before told', TWO],
  ];
  for (const [mutation, options] of needed) {
    test(`with "${mutation}" the search finds an inversion`, () => {
      const { fault } = explore(ticketModel({ ...options, mutation }), STATES_MAX);
      assert.match(fault?.text ?? '', /delivers/);
    });
  }
});
