/** Many unrelated pairs: what switching between clients costs. */
import { pairsPlan } from '../support/exchange-plan.js';
import { measureLoad } from '../support/measure-load.js';
import type { Suite } from './suite.js';

const PAIRS = 100;

export const pairs: Suite = {
  name: 'pairs',
  connections: ({ clients }) => 2 * (clients || PAIRS),
  summary: '100 pairs (--clients), each with a topic of its own',
  run(context) {
    const { settings } = context;
    return measureLoad(context, pairsPlan(settings, settings.clients || PAIRS, 0));
  },
};
