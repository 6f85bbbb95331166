/** Many publishers, one subscriber: what runs of several publishers cost to put together. */
import { exchangePlan } from '../support/exchange-plan.js';
import { measureLoad } from '../support/measure-load.js';
import type { Suite } from './suite.js';

const PUBLISHERS = 20;

export const fanIn: Suite = {
  name: 'fan-in',
  canShare: true,
  connections: ({ clients }) => (clients || PUBLISHERS) + 1,
  summary: '20 publishers (--clients) to 1 subscriber',
  run(context) {
    const { settings } = context;
    return measureLoad(context, exchangePlan(settings, settings.clients || PUBLISHERS, 1));
  },
};
