/** One publisher, one subscriber. */
import { exchangePlan } from '../support/exchange-plan.js';
import { measureLoad } from '../support/measure-load.js';
import type { Suite } from './suite.js';

export const one: Suite = {
  name: 'one',
  canShare: true,
  connections: () => 2,
  summary: '1 publisher to 1 subscriber',
  run(context) {
    const { settings } = context;
    return measureLoad(context, exchangePlan(settings, 1, 1));
  },
};
