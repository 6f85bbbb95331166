/** Plans in which some clients publish and some receive: the ordinary patterns. */
import { type FrameShape, filterFor } from './frame-format.js';
import type { ClientPlan, LoadPlan, PublishPlan, ReceivePlan, SubscribePlan } from './load-plan.js';
import type { BenchSettings } from './settings.js';

/** Digits in topics and client ids that are numbered: all of one length, so that frames are too. */
const INDEX_DIGITS = 6;

let loads = 0;

/**
 * Client ids that no other load of this machine uses: the broker may not have seen the last one go.
 */
export function clientIds(role: string): (index: number) => string {
  const load = ++loads;
  return (index) => `bench-${process.pid}-${load}-${role}-${index}`;
}

/** Topic of publisher `index`. */
export function ownTopic(index: number): string {
  return `bench/${String(index).padStart(INDEX_DIGITS, '0')}`;
}

/** Topic of all publishers. */
export const SHARED_TOPIC = 'bench/topic';

/** A client that does nothing yet. */
export function idleClient(clientId: string): ClientPlan {
  return { clientId, publish: null, subscribe: null, pauseMs: 0, stayMs: 0 };
}

/** The frames of a publisher. */
export function shapeFor(settings: BenchSettings, topic: string): FrameShape {
  const { topicCount, payloadBytes, qos } = settings;
  return { topic, topicCount, payloadBytes, qos, retain: false };
}

/** What publisher `index` does. */
export function publishPlan(settings: BenchSettings, index: number, topic: string): PublishPlan {
  const { window, batch } = settings;
  return { ...shapeFor(settings, topic), publisher: index, window, batch };
}

/** A subscription to `filter` whose messages have the form of `shape`. */
export function subscribePlan(
  filter: string,
  receive: FrameShape,
  firstPublisher: number,
  publisherCount: number,
  check: ReceivePlan['check'] = 'whole',
): SubscribePlan {
  return {
    filters: { kind: 'one', filter },
    qos: receive.qos,
    receive: { ...receive, firstPublisher, publisherCount, check },
  };
}

/** Everyone of `publishers` to everyone of `subscribers`; `isMesh`: they are the same clients. */
export function exchangePlan(
  settings: BenchSettings,
  publishers: number,
  subscribers: number,
  isMesh = false,
): LoadPlan {
  const isOwn = settings.topics === 'own';
  const topicOf = (index: number): string => (isOwn ? ownTopic(index) : SHARED_TOPIC);
  const shape = shapeFor(settings, topicOf(0));
  const filter = isOwn ? (settings.topicCount === 1 ? 'bench/+' : 'bench/#') : filterFor(shape);
  const subscribe = subscribePlan(filter, shape, 0, publishers);
  const senderId = clientIds('pub');
  const receiverId = clientIds('sub');
  const clients: ClientPlan[] = Array.from({ length: publishers }, (_, index) => ({
    ...idleClient(senderId(index)),
    publish: publishPlan(settings, index, topicOf(index)),
    subscribe: isMesh ? subscribe : null,
  }));
  for (let index = 0; index < subscribers && !isMesh; index++) {
    clients.push({ ...idleClient(receiverId(index)), subscribe });
  }
  return { clients, publisherCount: publishers, ratePerSecond: 0, latency: 'sampled' };
}

/** Pairs of a publisher and a subscriber with a topic of their own. */
export function pairsPlan(settings: BenchSettings, pairs: number, ratePerSecond: number): LoadPlan {
  const senderId = clientIds('pub');
  const receiverId = clientIds('sub');
  const clients = Array.from({ length: pairs }, (_, index): ClientPlan[] => {
    const shape = shapeFor(settings, ownTopic(index));
    return [
      {
        ...idleClient(senderId(index)),
        publish: publishPlan(settings, index, shape.topic),
      },
      {
        ...idleClient(receiverId(index)),
        subscribe: subscribePlan(filterFor(shape), shape, index, 1),
      },
    ];
  });
  return {
    clients: clients.flat(),
    publisherCount: pairs,
    ratePerSecond,
    latency: ratePerSecond > 0 ? 'each' : 'sampled',
  };
}
