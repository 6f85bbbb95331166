/** How fast clients connect, how long that takes, and what an idle one costs in memory. */
import type { BrokerUnderTest } from '../support/broker-process.js';
import { clientIds, idleClient, protocolOf } from '../support/exchange-plan.js';
import type { ClientProtocol, LoadPlan } from '../support/load-plan.js';
import {
  CpuSpan,
  generatorWarnings,
  latencyMeasures,
  MEASURE,
  measured,
  type SuiteContext,
  withLoad,
} from '../support/measure-load.js';
import { type Round, summarize } from '../support/results.js';
import type { Suite } from './suite.js';

const CLIENTS = 5_000;
/** Connections made and closed before: part of all, at most this many. */
const WARMUP_CLIENTS_MAX = 1_000;
/** Memory is read when it has settled. */
const SETTLE_MS = 500;

function plan(clients: number, protocol: ClientProtocol): LoadPlan {
  const id = clientIds('idle');
  return {
    clients: Array.from({ length: clients }, (_, index) => idleClient(id(index), protocol)),
    publisherCount: 0,
    ratePerSecond: 0,
    latency: 'none',
  };
}

/**
 * Memory of each broker after its first warm-up: later rounds find room that the connections of
 * earlier ones have left.
 */
const memoryBefore = new WeakMap<BrokerUnderTest, number>();

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

async function run(context: SuiteContext): Promise<Round> {
  const { broker, settings } = context;
  const clients = settings.clients || CLIENTS;
  const warmup = Math.min(WARMUP_CLIENTS_MAX, Math.ceil(clients / 5));
  return withLoad(context, plan(clients, protocolOf(settings, 'publishers')), async (load) => {
    await load.connect(warmup);
    await load.disconnect();
    await settle();
    const before = memoryBefore.get(broker) ?? broker.residentBytes();
    if (before !== null) memoryBefore.set(broker, before);
    broker.resetPeak();
    const cpu = new CpuSpan(broker);
    const { from, to, latency: took } = await load.connect();
    const latency = summarize(took);
    const brokerNs = cpu.brokerNs();
    const share = cpu.generatorShare(load.threads);
    await settle();
    const memory = broker.residentBytes();
    const grown = memory === null || before === null ? null : memory - before;
    return {
      measures: [
        ...measured('connections/s', 'perSecond', clients / ((to - from) / 1e9)),
        ...measured(
          'broker CPU a connection',
          'nanoseconds',
          brokerNs === null ? null : brokerNs / clients,
        ),
        ...measured('memory a connection', 'bytes', grown === null ? null : grown / clients),
        ...latencyMeasures(latency),
        ...measured(MEASURE.peak, 'bytes', broker.peakBytes()),
        ...measured(MEASURE.generator, 'share', share),
      ],
      latency,
      faults: [],
      warnings: generatorWarnings(share),
    };
  });
}

export const connect: Suite = {
  name: 'connect',
  connections: ({ clients }) => clients || CLIENTS,
  summary:
    '5,000 connections (--clients), 64 begun at a time: how many a second, how long each takes ' +
    'to its CONNACK, and the memory of an idle one',
  run,
};
