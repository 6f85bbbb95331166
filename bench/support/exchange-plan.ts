/** Plans in which some clients publish and some receive: the ordinary patterns. */
import { toShareFilter } from '../../src/protocol/v5/index.js';
import { type FrameShape, filterFor } from './frame-format.js';
import type {
  ClientPlan,
  ClientProtocol,
  LoadPlan,
  PublishPlan,
  ReceivePlan,
  SubscribePlan,
} from './load-plan.js';
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

/** What publishers of a run speak, or its subscribers. */
export function protocolOf(
  { protocol, topicAlias }: BenchSettings,
  side: keyof BenchSettings['protocol'],
): ClientProtocol {
  const version = protocol[side];
  return { version, hasAliases: topicAlias && version === 5 };
}

/** A client that does nothing yet. */
export function idleClient(clientId: string, protocol: ClientProtocol): ClientPlan {
  const { version, hasAliases } = protocol;
  return {
    clientId,
    version,
    hasAliases,
    keepsSession: false,
    publish: null,
    subscribe: null,
    pauseMs: 0,
    stayMs: 0,
  };
}

/** The frames of publishers, or those that subscribers get. */
export function shapeFor(
  settings: BenchSettings,
  topic: string,
  side: keyof BenchSettings['protocol'],
): FrameShape {
  const { topicCount, payloadBytes, qos, protocol, properties } = settings;
  const version = protocol[side];
  return {
    version,
    topic,
    topicCount,
    payloadBytes,
    qos,
    retain: false,
    userProperties: properties,
  };
}

/** What publisher `index` does. */
export function publishPlan(settings: BenchSettings, index: number, topic: string): PublishPlan {
  const { window, batch } = settings;
  return { ...shapeFor(settings, topic, 'publishers'), publisher: index, window, batch };
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
    receive: { ...receive, firstPublisher, publisherCount, check, group: -1 },
  };
}

/**
 * The same for one of a group, which gets each message once [MQTT 5.0, 4.8.2].
 * @param group its number in the load, from 0. @param name of the group, which no other load uses.
 */
function sharing(plan: SubscribePlan, filter: string, group: number, name: string): SubscribePlan {
  return {
    ...plan,
    filters: { kind: 'one', filter: toShareFilter({ shareName: name, filter }) },
    receive: { ...plan.receive!, check: 'shared', group },
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
  const shape = shapeFor(settings, topicOf(0), 'subscribers');
  const filter = isOwn ? (settings.topicCount === 1 ? 'bench/+' : 'bench/#') : filterFor(shape);
  const all = subscribePlan(filter, shape, 0, publishers);
  const senderId = clientIds('pub');
  const receiverId = clientIds('sub');
  const subscribe = (index: number): SubscribePlan => {
    if (settings.shared === 0) return all;
    const group = Math.floor(index / settings.shared);
    return sharing(all, filter, group, `${receiverId(group)}-group`);
  };
  const clients: ClientPlan[] = Array.from({ length: publishers }, (_, index) => ({
    ...idleClient(senderId(index), protocolOf(settings, 'publishers')),
    publish: publishPlan(settings, index, topicOf(index)),
    subscribe: isMesh ? subscribe(index) : null,
  }));
  for (let index = 0; index < subscribers && !isMesh; index++) {
    const client = idleClient(receiverId(index), protocolOf(settings, 'subscribers'));
    clients.push({ ...client, subscribe: subscribe(index) });
  }
  return { clients, publisherCount: publishers, ratePerSecond: 0, latency: 'sampled' };
}

/** Pairs of a publisher and a subscriber with a topic of their own. */
export function pairsPlan(settings: BenchSettings, pairs: number, ratePerSecond: number): LoadPlan {
  const senderId = clientIds('pub');
  const receiverId = clientIds('sub');
  const clients = Array.from({ length: pairs }, (_, index): ClientPlan[] => {
    const shape = shapeFor(settings, ownTopic(index), 'subscribers');
    return [
      {
        ...idleClient(senderId(index), protocolOf(settings, 'publishers')),
        publish: publishPlan(settings, index, shape.topic),
      },
      {
        ...idleClient(receiverId(index), protocolOf(settings, 'subscribers')),
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
