/**
 * Everything at once, at a set rate: all QoS levels, small and large payloads, some readers slow,
 * some that come and go. What is looked for is what does not show in the others: memory that grows,
 * event loops that stand, latencies that run away.
 */
import { BrokerWatch } from '../support/broker-watch.js';
import {
  clientIds,
  idleClient,
  ownTopic,
  protocolOf,
  publishPlan,
  shapeFor,
  subscribePlan,
} from '../support/exchange-plan.js';
import { type FrameShape, filterFor } from '../support/frame-format.js';
import type { ClientPlan, LoadPlan } from '../support/load-plan.js';
import { publishMeasured, type SuiteContext, withLoad } from '../support/measure-load.js';
import type { Round } from '../support/results.js';
import type { Suite } from './suite.js';

const PAIRS = 60;
/** Payloads of the publishers in turn: many small ones, few large ones; 3.9 KiB on average. */
const PAYLOADS = [
  16, 64, 256, 64, 1_024, 16, 256, 64, 4_096, 16, 64, 1_024, 256, 64, 16_384, 16, 256, 64, 1_024,
  65_536,
];
/** Every how many pairs there is a second subscriber that is slow, or comes and goes. */
const SLOW_EVERY = 5;
const VISITOR_EVERY = 6;
/** A slow reader reads nothing for this long after each read. */
const SLOW_PAUSE_MS = 20;
const VISIT_MS = 400;

function plan(context: SuiteContext): LoadPlan {
  const { settings } = context;
  const id = clientIds('mixed');
  const pairs = settings.clients || PAIRS;
  const clients: ClientPlan[] = [];
  const client = (side: 'publishers' | 'subscribers'): ClientPlan =>
    idleClient(id(clients.length), protocolOf(settings, side));
  for (let index = 0; index < pairs; index++) {
    const payloadBytes = PAYLOADS[index % PAYLOADS.length];
    const qos = ([0, 1, 2] as const)[index % 3];
    const own = { ...settings, payloadBytes, qos, batch: 1, topicCount: 1 };
    const publish = publishPlan(own, index, ownTopic(index));
    const shape: FrameShape = shapeFor(own, publish.topic, 'subscribers');
    const filter = filterFor(shape);
    const whole = subscribePlan(filter, shape, index, 1);
    clients.push({ ...client('publishers'), publish });
    clients.push({ ...client('subscribers'), subscribe: whole });
    if (index % SLOW_EVERY === 0) {
      const slow = { ...client('subscribers'), subscribe: whole };
      clients.push({ ...slow, pauseMs: SLOW_PAUSE_MS });
    }
    if (index % VISITOR_EVERY === 0) {
      const subscribe = subscribePlan(filter, shape, index, 1, 'joined');
      clients.push({ ...client('subscribers'), subscribe, stayMs: VISIT_MS });
    }
  }
  return { clients, publisherCount: pairs, ratePerSecond: settings.rate, latency: 'each' };
}

async function run(context: SuiteContext): Promise<Round> {
  return withLoad(context, plan(context), async (load) => {
    await load.connect();
    await load.subscribe();
    const watch = new BrokerWatch(context.broker);
    let round: Round;
    try {
      round = await publishMeasured(context, load);
    } finally {
      await watch.stop();
    }
    return {
      ...round,
      measures: [...round.measures, ...watch.measures()],
      memory: watch.curve(),
    };
  });
}

export const mixed: Suite = {
  name: 'mixed',
  connections: ({ clients }) => 3 * (clients || PAIRS),
  summary:
    '60 pairs (--clients) of every QoS, 16 B to 64 KiB, at 20,000 messages a second (--rate), ' +
    'with slow readers and clients that come and go',
  run,
};
