/** Everyone publishes, everyone subscribes. */
import { exchangePlan } from '../support/exchange-plan.js';
import { measureLoad } from '../support/measure-load.js';
import type { Suite } from './suite.js';

const CLIENTS = 20;

export const mesh: Suite = {
  name: 'mesh',
  canShare: true,
  isOfOneKind: true,
  connections: ({ clients }) => clients || CLIENTS,
  summary: '20 clients (--clients), all publish and all subscribe',
  run(context) {
    const { settings } = context;
    return measureLoad(context, exchangePlan(settings, settings.clients || CLIENTS, 0, true));
  },
};
