/** Replay of many retained messages to new subscribers. */
import {
  clientIds,
  idleClient,
  protocolOf,
  publishPlan,
  SHARED_TOPIC,
  shapeFor,
  subscribePlan,
} from '../support/exchange-plan.js';
import { type FrameShape, filterFor } from '../support/frame-format.js';
import type { Load } from '../support/load.js';
import type { LoadPlan } from '../support/load-plan.js';
import { CpuSpan, roundOf, type SuiteContext, withLoad } from '../support/measure-load.js';
import type { Round } from '../support/results.js';
import type { Suite } from './suite.js';

const SUBSCRIBERS = 10;

/** One client that retains a message on each topic; no payload takes them away again. */
function retaining(context: SuiteContext, payloadBytes: number): LoadPlan {
  const { settings } = context;
  // Acknowledged: so that all are there when it is done.
  const qos = settings.qos === 0 ? 1 : settings.qos;
  const all = { ...settings, qos, payloadBytes, topicCount: settings.count };
  const publish = { ...publishPlan(all, 0, SHARED_TOPIC), retain: true };
  return {
    clients: [{ ...idleClient(clientIds('pub')(0), protocolOf(settings, 'publishers')), publish }],
    publisherCount: 1,
    ratePerSecond: 0,
    latency: 'none',
  };
}

/** Publishes one message for each topic. */
async function retain(load: Load, count: number): Promise<void> {
  await load.connect();
  await load.publish(count, 0);
}

/** New subscribers, each of which gets all of them. */
function replay(context: SuiteContext, published: Load): Promise<Round> {
  const { settings, broker } = context;
  const all = { ...settings, topicCount: settings.count };
  const shape: FrameShape = { ...shapeFor(all, SHARED_TOPIC, 'subscribers'), retain: true };
  const id = clientIds('sub');
  const subscribe = subscribePlan(filterFor(shape), shape, 0, 1, 'set');
  const clients = Array.from({ length: settings.clients || SUBSCRIBERS }, (_, index) => ({
    ...idleClient(id(index), protocolOf(settings, 'subscribers')),
    subscribe,
  }));
  const plan: LoadPlan = {
    clients,
    publisherCount: 1,
    ratePerSecond: 0,
    latency: 'sinceSubscribe',
  };
  return withLoad(context, plan, async (load) => {
    load.expectFrom(published);
    await load.connect();
    broker.resetPeak();
    const cpu = new CpuSpan(broker);
    const { from } = await load.subscribe();
    const phase = { ...(await load.receive()), firstPublishAt: from };
    const round = roundOf(context, phase, cpu.brokerNs(), cpu.generatorShare(load.threads));
    return { ...round, measures: round.measures.filter(({ name }) => name !== 'publishes/s') };
  });
}

function run(context: SuiteContext): Promise<Round> {
  const { settings } = context;
  return withLoad(context, retaining(context, settings.payloadBytes), async (publisher) => {
    await retain(publisher, settings.count);
    const warmup = settings.warmupMs > 0 ? await replay(context, publisher) : null;
    const round = await replay(context, publisher);
    // A running broker gets back what it had.
    if (settings.host !== '') {
      await withLoad(context, retaining(context, 0), (load) => retain(load, settings.count));
    }
    return { ...round, faults: [...(warmup?.faults ?? []), ...round.faults] };
  });
}

export const retained: Suite = {
  name: 'retained',
  connections: ({ clients }) => (clients || SUBSCRIBERS) + 1,
  summary:
    '100,000 retained messages (--count) replayed to each of 10 new subscribers (--clients), ' +
    'and how long each message takes from the SUBSCRIBE on',
  run,
};
