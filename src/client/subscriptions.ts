/**
 * The client's subscriptions: who gets the messages of which topic, and what the server was asked
 * for.
 */
import { ProtocolError } from '../base/errors.js';
import { CLIENT_FILTERS_PER_SUBSCRIBE, CLIENT_TOPICS_CACHED } from '../base/limits.js';
import { PacketType, type QoS } from '../protocol/packet.js';
import {
  encodeProperties,
  NO_PROPERTIES,
  type Properties,
  parseShareFilter,
  Sender,
} from '../protocol/v5/index.js';
import { MatchResult, type Subscriber, SubscriptionTree } from '../topics/subscription-tree.js';
import { fromTopicKey, hasWildcard, isUtf8TopicBytes, toTopicKey } from '../topics/topic.js';
import type { FilterOptions } from './filter-frames.js';
import type { MessageHandler } from './message.js';
import type { MessageStream } from './message-stream.js';
import { NO_FILTER_OPTIONS } from './subscribe-arguments.js';

/**
 * Bytes of a SUBSCRIBE without its filters and properties, at most; and of each filter beside its
 * text.
 */
const SUBSCRIBE_BYTES = 13;
const SUBSCRIBE_BYTES_PER_FILTER = 3;

/** One filter and all in this client who want its messages. */
export class Subscription implements Subscriber {
  matchIndex = 0;
  readonly filter: string;
  /** Key of what its messages match: of a Shared Subscription the filter of the group. */
  readonly filterKey: string;
  /** QoS the server granted; -1 while it has granted none. */
  grantedQos = -1;
  /** QoS that `subscribe` asked for; -1 when nobody did: it is there for streams only. */
  directQos = -1;
  handler: MessageHandler | null = null;
  /** Asked for last, for MQTT 5.0. */
  options: FilterOptions = NO_FILTER_OPTIONS;
  /** Properties of the SUBSCRIBE that asked for it last. */
  properties: Properties = NO_PROPERTIES;
  /** Replaced, not changed: a delivery may be looking at it. */
  streams: readonly MessageStream[] = [];
  /** Counts what was asked of the server: an answer to anything but the last is out of date. */
  requests = 0;
  /** Connections that ended when it was made again. */
  strikes = 0;

  constructor(filter: string) {
    this.filter = filter;
    this.filterKey = toTopicKey(parseShareFilter(filter)?.filter ?? filter);
  }

  /** Nobody wants it any more. */
  get isUnused(): boolean {
    return this.directQos < 0 && this.streams.length === 0;
  }

  /** Somebody takes its messages. */
  get isTaken(): boolean {
    return this.handler !== null || this.streams.length > 0;
  }

  /** Highest QoS that somebody wants. */
  get qos(): QoS {
    let qos = Math.max(this.directQos, 0);
    for (const stream of this.streams) qos = Math.max(qos, stream.qos);
    return qos as QoS;
  }
}

function propertyBytes(properties: Properties): number {
  if (properties === NO_PROPERTIES) return 0;
  return encodeProperties(properties, PacketType.subscribe, Sender.client).length;
}

/** A topic and the subscriptions that match it. */
export interface Route {
  readonly topic: string;
  readonly subscriptions: readonly Subscription[];
}

/** All subscriptions of a client, by filter and by what they match. */
export class Subscriptions {
  /** There has been a handler or a stream: what none of them matches is wanted by nobody. */
  hasTakers = false;
  readonly #byFilter = new Map<string, Subscription>();
  readonly #tree = new SubscriptionTree<Subscription>();
  readonly #matches = new MatchResult<Subscription>();
  /** Routes of the topics seen last, by topic key; emptied by every change. */
  readonly #routes = new Map<string, Route>();

  /** There is none. */
  get isEmpty(): boolean {
    return this.#byFilter.size === 0;
  }

  /** The subscription with exactly this filter, if there is one. */
  get(filter: string): Subscription | undefined {
    return this.#byFilter.get(filter);
  }

  /** The subscription with this filter, made if need be. */
  ensure(filter: string): Subscription {
    let subscription = this.#byFilter.get(filter);
    if (subscription === undefined) {
      subscription = new Subscription(filter);
      this.#byFilter.set(filter, subscription);
      // The tree merges overlapping filters of one subscriber; here each filter is its own, at any
      // QoS.
      this.#tree.subscribe(subscription.filterKey, subscription, 0);
      this.#routes.clear();
    }
    return subscription;
  }

  /** Removes it, unless somebody uses it. */
  dropIfUnused(subscription: Subscription): void {
    if (!subscription.isUnused || this.#byFilter.get(subscription.filter) !== subscription) return;
    this.#byFilter.delete(subscription.filter);
    this.#tree.unsubscribe(subscription.filterKey, subscription);
    this.#routes.clear();
  }

  /** Ends every stream, with an error or (null) after what is queued in it. */
  endStreams(error: unknown): void {
    for (const subscription of [...this.#byFilter.values()]) {
      for (const stream of [...subscription.streams]) stream.end(error);
    }
  }

  /**
   * What has to be asked of a server that has none of them: everything granted, in groups. What is
   * not granted yet is in a SUBSCRIBE that is sent again as it is. One that a connection may have
   * ended on is alone.
   * @param bytesMax most bytes of a SUBSCRIBE.
   */
  granted(bytesMax: number): Subscription[][] {
    const groups: Subscription[][] = [];
    let bytes = 0;
    for (const subscription of this.#byFilter.values()) {
      if (subscription.grantedQos < 0) continue;
      const ownBytes = Buffer.byteLength(subscription.filter) + SUBSCRIBE_BYTES_PER_FILTER;
      const last = groups.at(-1);
      if (
        last !== undefined &&
        last.length < CLIENT_FILTERS_PER_SUBSCRIBE &&
        bytes + ownBytes <= bytesMax &&
        last[0].strikes + subscription.strikes === 0 &&
        last[0].properties === subscription.properties
      ) {
        last.push(subscription);
        bytes += ownBytes;
      } else {
        groups.push([subscription]);
        bytes = SUBSCRIBE_BYTES + ownBytes + propertyBytes(subscription.properties);
      }
    }
    return groups;
  }

  /**
   * The route of the topic that stands at [start, start + length) of `buffer`.
   * @throws ProtocolError for bytes that are no topic name.
   */
  routeOf(buffer: Buffer, start: number, length: number): Route {
    const topicKey = buffer.toString('latin1', start, start + length);
    const known = this.#routes.get(topicKey);
    if (known !== undefined) return known;
    if (!isUtf8TopicBytes(buffer, start, start + length)) {
      throw new ProtocolError('MQTT-1.5.3-1', 'PUBLISH with a topic that is not UTF-8, or has NUL');
    }
    if (hasWildcard(topicKey)) {
      throw new ProtocolError('MQTT-3.3.2-2', 'PUBLISH with a wildcard in its topic');
    }
    return this.#match(topicKey);
  }

  /** The route of a topic that has come before. */
  routeOfTopic(topic: string): Route {
    const topicKey = toTopicKey(topic);
    return this.#routes.get(topicKey) ?? this.#match(topicKey);
  }

  #match(topicKey: string): Route {
    this.#tree.match(topicKey, this.#matches);
    const subscriptions = this.#matches.subscribers.slice(0, this.#matches.count);
    const route = { topic: fromTopicKey(topicKey), subscriptions };
    if (this.#routes.size >= CLIENT_TOPICS_CACHED) this.#routes.clear();
    this.#routes.set(topicKey, route);
    return route;
  }
}
