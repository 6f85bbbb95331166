/**
 * Many quiet clients at a set rate, one message a packet: latency is the result, and CPU a message.
 */
import { pairsPlan } from '../support/exchange-plan.js';
import { measureLoad } from '../support/measure-load.js';
import type { Suite } from './suite.js';

const PAIRS = 200;

export const paced: Suite = {
  name: 'paced',
  connections: ({ clients }) => 2 * (clients || PAIRS),
  summary: '200 pairs (--clients), one message a packet, 20,000 a second in all (--rate)',
  run(context) {
    const settings = { ...context.settings, batch: 1 };
    return measureLoad(context, pairsPlan(settings, settings.clients || PAIRS, settings.rate));
  },
};
