/**
 * How fast filters are subscribed, what one costs in memory, and whether a publication costs more
 * when there are many filters that have nothing to do with it. Every message has another topic than
 * the one before, so that none is helped by its neighbour.
 */
import { SETTINGS } from '../../src/base/limits.js';
import { clientIds, exchangePlan, idleClient, protocolOf } from '../support/exchange-plan.js';
import type { ClientProtocol, LoadPlan } from '../support/load-plan.js';
import {
  CpuSpan,
  generatorWarnings,
  latencyMeasures,
  MEASURE,
  measured,
  publishMeasured,
  type SuiteContext,
  withLoad,
} from '../support/measure-load.js';
import { type Measure, type Round, summarize } from '../support/results.js';
import type { Suite } from './suite.js';

const FEW_FILTERS = 1_000;
/** Topics in rotation unless the settings say how many. */
const TOPICS = 50_000;
const HOLDERS_MIN = 10;

/** Clients that hold filters `from` to `to` among them: none has more than a client may have. */
function holders(protocol: ClientProtocol, from: number, to: number): LoadPlan {
  const id = clientIds('holder');
  const needed = Math.ceil((to - from) / SETTINGS.maxSubscriptions.default);
  const count = Math.max(HOLDERS_MIN, needed);
  const step = Math.ceil((to - from) / count);
  const clients = Array.from({ length: count }, (_, index) => ({
    ...idleClient(id(index), protocol),
    subscribe: {
      filters: {
        kind: 'many' as const,
        prefix: 'held',
        from: Math.min(to, from + index * step),
        to: Math.min(to, from + (index + 1) * step),
      },
      qos: 0 as const,
      receive: null,
    },
  }));
  return {
    clients: clients.filter(({ subscribe: { filters } }) => filters.to > filters.from),
    publisherCount: 0,
    ratePerSecond: 0,
    latency: 'none',
  };
}

/** Two measures of a publishing part, under names of their own. */
function named(round: Round, when: string): Measure[] {
  return round.measures
    .filter(({ name }) => name === MEASURE.cpu || name === MEASURE.deliveries)
    .map((measure) => ({ ...measure, name: `${measure.name} ${when}` }));
}

async function run(context: SuiteContext): Promise<Round> {
  const { broker, settings } = context;
  const topicCount = settings.topicCount === 1 ? TOPICS : settings.topicCount;
  const traffic = exchangePlan({ ...settings, topicCount, topics: 'shared', shared: 0 }, 1, 1);
  const protocol = protocolOf(settings, 'subscribers');
  const publish = (): Promise<Round> =>
    withLoad(context, traffic, async (load) => {
      await load.connect();
      await load.subscribe();
      return publishMeasured(context, load);
    });
  return withLoad(context, holders(protocol, 0, FEW_FILTERS), async (few) => {
    await few.connect();
    await few.subscribe();
    const withFew = await publish();
    const rest = holders(protocol, FEW_FILTERS, FEW_FILTERS + settings.count);
    return withLoad(context, rest, async (many) => {
      await many.connect();
      const memoryBefore = broker.residentBytes();
      const cpu = new CpuSpan(broker);
      const { from, to, latency: took } = await many.subscribe();
      const latency = summarize(took);
      const brokerNs = cpu.brokerNs();
      const share = cpu.generatorShare(many.threads);
      const memory = broker.residentBytes();
      const grown = memory === null || memoryBefore === null ? null : memory - memoryBefore;
      const { count } = settings;
      const withMany = await publish();
      return {
        measures: [
          ...measured('filters/s', 'perSecond', count / ((to - from) / 1e9)),
          ...measured(
            'broker CPU a filter',
            'nanoseconds',
            brokerNs === null ? null : brokerNs / count,
          ),
          ...measured('memory a filter', 'bytes', grown === null ? null : grown / count),
          ...latencyMeasures(latency),
          ...named(withFew, 'with 1,000 filters'),
          ...named(withMany, 'with all'),
        ],
        latency,
        faults: [...withFew.faults, ...withMany.faults],
        warnings: [
          ...generatorWarnings(share),
          ...new Set([...withFew.warnings, ...withMany.warnings]),
        ],
      };
    });
  });
}

export const subscribe: Suite = {
  name: 'subscribe',
  connections: ({ count }) =>
    HOLDERS_MIN + Math.ceil(count / SETTINGS.maxSubscriptions.default) + 3,
  summary:
    '100,000 filters (--count), a tenth with wildcards, 100 a SUBSCRIBE: how many a second, how ' +
    'long each SUBACK takes, the memory of a filter, and what publishing costs beside them',
  run,
};
