/** One publisher, many subscribers: what a delivery costs once the message is in. */
import { exchangePlan } from '../support/exchange-plan.js';
import { measureLoad } from '../support/measure-load.js';
import type { Suite } from './suite.js';

const SUBSCRIBERS = 20;

export const fanOut: Suite = {
  name: 'fan-out',
  canShare: true,
  connections: ({ clients }) => (clients || SUBSCRIBERS) + 1,
  summary: '1 publisher to 20 subscribers (--clients)',
  run(context) {
    const { settings } = context;
    return measureLoad(context, exchangePlan(settings, 1, settings.clients || SUBSCRIBERS));
  },
};
