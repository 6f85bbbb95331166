/**
 * Scenarios of the Open MQTT Benchmark Suite, by their names there: QoS 1, 16 bytes, one message a
 * second of each publisher. Only their lengths are shorter, and what is counted is `--clients`.
 */
import {
  clientIds,
  exchangePlan,
  idleClient,
  pairsPlan,
  protocolOf,
} from '../support/exchange-plan.js';
import type { LoadPlan } from '../support/load-plan.js';
import {
  CpuSpan,
  latencyMeasures,
  MEASURE,
  measured,
  measureLoad,
  type SuiteContext,
  withLoad,
} from '../support/measure-load.js';
import { type Round, summarize } from '../support/results.js';
import type { BenchSettings } from '../support/settings.js';
import type { Suite } from './suite.js';

const CLIENTS = 1_000;
const CONNECTIONS = 10_000;
const CONNECTIONS_PER_SECOND = 1_000;
/** Members of the one Shared Subscription. */
const MEMBERS = 5;
const PAYLOAD_BYTES = 16;

/** What takes the place of the defaults of other patterns, by the flags' environment. */
export const SCENARIO_DEFAULTS = {
  SURGEMQ_BENCH_DURATION: '10s',
  SURGEMQ_BENCH_WARMUP: '2s',
  SURGEMQ_BENCH_PAYLOAD: '16',
  SURGEMQ_BENCH_QOS: '1',
} as const;

/** One message a second of each publisher, each with its latency. */
async function paced(context: SuiteContext, plan: LoadPlan): Promise<Round> {
  const ratePerSecond = plan.publisherCount;
  const round = await measureLoad(context, { ...plan, ratePerSecond, latency: 'each' });
  const lost = round.faults.reduce((sum, fault) => sum + fault.lost, 0);
  return { ...round, measures: [...round.measures, ...measured('lost', 'count', lost)] };
}

/** Whether the settings are those of the suite's scenarios. */
export function areOfScenarios({ qos, payloadBytes }: BenchSettings): boolean {
  return qos === 1 && payloadBytes === PAYLOAD_BYTES;
}

function settingsOf(settings: BenchSettings): BenchSettings {
  return { ...settings, qos: 1, payloadBytes: PAYLOAD_BYTES, topicCount: 1, batch: 1 };
}

async function connectAll(context: SuiteContext): Promise<Round> {
  const { broker, settings } = context;
  const id = clientIds('conn');
  const protocol = protocolOf(settings, 'publishers');
  const count = settings.clients || CONNECTIONS;
  const clients = Array.from({ length: count }, (_, index) => idleClient(id(index), protocol));
  const plan: LoadPlan = { clients, publisherCount: 0, ratePerSecond: 0, latency: 'none' };
  return withLoad(context, plan, async (load) => {
    const before = broker.residentBytes();
    broker.resetPeak();
    const cpu = new CpuSpan(broker);
    const rate = Math.min(CONNECTIONS_PER_SECOND, count);
    const { from, to, latency: took } = await load.connect(Number.POSITIVE_INFINITY, rate);
    const brokerNs = cpu.brokerNs();
    const share = cpu.generatorShare(load.threads);
    const latency = summarize(took);
    const memory = broker.residentBytes();
    const grown = memory === null || before === null ? null : memory - before;
    const cpuEach = brokerNs === null ? null : brokerNs / count;
    return {
      measures: [
        ...measured('connections/s', 'perSecond', count / ((to - from) / 1e9)),
        ...measured('broker CPU a connection', 'nanoseconds', cpuEach),
        ...measured('memory a connection', 'bytes', grown === null ? null : grown / count),
        ...latencyMeasures(latency),
        ...measured(MEASURE.peak, 'bytes', broker.peakBytes()),
        ...measured(MEASURE.generator, 'share', share),
      ],
      latency,
      isPaced: true,
      faults: [],
      warnings: [],
    };
  });
}

/** In the order of help and reports. */
export const SCENARIOS: readonly Suite[] = [
  {
    name: 'conn-tcp-10k',
    connections: ({ clients }) => clients || CONNECTIONS,
    summary: '10,000 connections (--clients), 1,000 begun in a second',
    run: connectAll,
  },
  {
    name: 'p2p-1K',
    connections: ({ clients }) => 2 * (clients || CLIENTS),
    summary: '1,000 pairs (--clients), a message a second of each',
    run(context) {
      const settings = settingsOf(context.settings);
      return paced(context, pairsPlan(settings, settings.clients || CLIENTS, 0));
    },
  },
  {
    name: 'fanout-1-1k',
    connections: ({ clients }) => (clients || CLIENTS) + 1,
    summary: '1 publisher to 1,000 subscribers (--clients), a message a second',
    run(context) {
      const settings = { ...settingsOf(context.settings), shared: 0 };
      return paced(context, exchangePlan(settings, 1, settings.clients || CLIENTS));
    },
  },
  {
    name: 'sharedsub-1K-5',
    connections: ({ clients }) => (clients || CLIENTS) + MEMBERS,
    summary:
      '1,000 publishers (--clients), a message a second of each, to one Shared Subscription of 5',
    run(context) {
      const settings = { ...settingsOf(context.settings), topics: 'own', shared: MEMBERS } as const;
      return paced(context, exchangePlan(settings, settings.clients || CLIENTS, MEMBERS));
    },
  },
];
