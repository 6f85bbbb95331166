/**
 * The shapes that `subscribe` takes. What fits none of them is refused with the right one in the
 * message: a QoS that is passed over in silence would lose messages.
 */
import { ArgumentError } from '../base/errors.js';
import { PacketType, type QoS } from '../protocol/packet.js';
import {
  encodeProperties,
  NO_PROPERTIES,
  type Properties,
  type PropertyHolder,
  RetainHandling,
  Sender,
  type UserProperty,
  VARIABLE_BYTE_INTEGER_MAX,
} from '../protocol/v5/index.js';
import type { CallOptions } from './call.js';
import type { FilterOptions } from './filter-frames.js';
import type { MessageHandler } from './message.js';
import { isTopicFilter } from './text.js';

/** One filter of a `subscribe` call. */
export interface SubscribeRequest extends Partial<FilterOptions> {
  readonly filter: string;
  /** Highest QoS to receive messages at; default: that of the call's options, or 0. */
  readonly qos?: QoS | undefined;
  /** Takes this filter's messages; default: the call's handler. */
  readonly handler?: MessageHandler | undefined;
}

/** Filters with what is particular to each: `{ 'a/#': { qos: 1 } }`. */
export type FilterMap = Readonly<Record<string, Omit<SubscribeRequest, 'filter'>>>;

/** Options of a `subscribe` call. */
export interface SubscribeOptions extends CallOptions, Partial<FilterOptions> {
  /** Default 0. */
  readonly qos?: QoS | undefined;
  /**
   * In MQTT 5.0, 1 to 268,435,455: stands in `properties.subscriptionIdentifiers` of the messages
   * that a filter of this call brings.
   */
  readonly subscriptionIdentifier?: number | undefined;
  /** In MQTT 5.0, for the server. */
  readonly userProperties?: readonly UserProperty[] | undefined;
}

/** Options of an `unsubscribe` call. */
export interface UnsubscribeOptions extends CallOptions {
  /** In MQTT 5.0, for the server. */
  readonly userProperties?: readonly UserProperty[] | undefined;
}

/** What `subscribe` takes: one filter or several, each by its text or as an object, or a map. */
export type Filters =
  | string
  | SubscribeRequest
  | readonly (string | SubscribeRequest)[]
  | FilterMap;

/** One filter, checked. */
export interface CheckedRequest {
  readonly filter: string;
  readonly qos: QoS;
  readonly handler: MessageHandler | null;
  /** Of MQTT 5.0. */
  readonly filterOptions: FilterOptions;
}

/** A `subscribe` call, checked. */
export interface SubscribeArguments {
  /** Of the SUBSCRIBE; NO_PROPERTIES itself for none. */
  readonly properties: Properties;
  readonly requests: readonly CheckedRequest[];
  readonly options: CallOptions;
}

const RIGHT =
  "subscribe('a/#', { qos: 1 }, handler); the filter may also be ['a', 'b'], " +
  "{ filter: 'a', qos: 1 }, a list of those, or { 'a/#': { qos: 1 } }; the handler may come " +
  'before the options, or be left out';
const FILTER_OPTIONS: readonly (keyof FilterOptions)[] = [
  'noLocal',
  'retainAsPublished',
  'retainHandling',
];
const OPTION_NAMES: readonly string[] = [
  'qos',
  'signal',
  'timeoutMs',
  'subscriptionIdentifier',
  'userProperties',
  ...FILTER_OPTIONS,
];
const REQUEST_NAMES: readonly string[] = ['filter', 'qos', 'handler', ...FILTER_OPTIONS];
/** A subscription as in 3.x. */
export const NO_FILTER_OPTIONS: FilterOptions = Object.freeze({
  noLocal: false,
  retainAsPublished: false,
  retainHandling: RetainHandling.always,
});

/**
 * Reads what `subscribe` was called with: filters, then handler and options in either order.
 * @throws ArgumentError, a TypeError, for what fits no shape.
 */
export function readSubscribe(
  filters: unknown,
  second: unknown,
  third: unknown,
  rest: readonly unknown[],
): SubscribeArguments {
  let handler: MessageHandler | null = null;
  let options: SubscribeOptions | null = null;
  for (const given of [second, third]) {
    if (given === undefined || given === null) continue;
    if (typeof given === 'function' && handler === null) handler = given as MessageHandler;
    else if (isPlain(given) && options === null) options = given as SubscribeOptions;
    else throw wrong(`an argument of subscribe is ${shown(given)}`);
  }
  if (rest.length > 0) throw wrong(`subscribe has ${3 + rest.length} arguments, at most 3`);
  expectNames(options ?? {}, OPTION_NAMES, 'option');
  const filterOptions = checkedFilterOptions(options ?? {}, NO_FILTER_OPTIONS);
  const defaults = { handler, qos: checkedQos(options?.qos ?? 0), filterOptions };
  const requests = requestsOf(filters).map((request) => checkedRequest(request, defaults));
  if (requests.length === 0) throw wrong('subscribe needs at least one filter');
  const properties = callProperties(PacketType.subscribe, options ?? {});
  return { requests, options: options ?? {}, properties };
}

/**
 * The properties of a SUBSCRIBE or UNSUBSCRIBE; NO_PROPERTIES itself for none.
 * @throws ArgumentError for what may not be.
 */
export function callProperties(
  holder: PropertyHolder,
  { userProperties, subscriptionIdentifier }: SubscribeOptions,
): Properties {
  if (userProperties === undefined && subscriptionIdentifier === undefined) return NO_PROPERTIES;
  const properties = {
    ...(userProperties === undefined ? {} : { userProperties }),
    ...(subscriptionIdentifier === undefined
      ? {}
      : { subscriptionIdentifiers: [checkedIdentifier(subscriptionIdentifier)] }),
  };
  encodeProperties(properties, holder, Sender.client);
  return properties;
}

function checkedIdentifier(given: unknown): number {
  const isNumber = typeof given === 'number' && Number.isInteger(given);
  if (isNumber && given >= 1 && given <= VARIABLE_BYTE_INTEGER_MAX) return given;
  throw new ArgumentError(
    `subscriptionIdentifier is ${shown(given)}; allowed: 1 to ${VARIABLE_BYTE_INTEGER_MAX}`,
  );
}

/** The options of MQTT 5.0 in `given`, each by default as in `defaults`. */
function checkedFilterOptions(given: Partial<FilterOptions>, defaults: FilterOptions) {
  const {
    noLocal = defaults.noLocal,
    retainAsPublished = defaults.retainAsPublished,
    retainHandling = defaults.retainHandling,
  } = given;
  for (const [name, value] of Object.entries({ noLocal, retainAsPublished })) {
    if (typeof value === 'boolean') continue;
    throw new ArgumentError(`${name} is ${shown(value)}; allowed: true or false`);
  }
  if (!Object.values(RetainHandling).includes(retainHandling)) {
    throw new ArgumentError(`retainHandling is ${shown(retainHandling)}; allowed: 0, 1 or 2`);
  }
  return { noLocal, retainAsPublished, retainHandling };
}

function requestsOf(filters: unknown): unknown[] {
  if (Array.isArray(filters)) return filters;
  if (typeof filters === 'string') return [filters];
  if (!isPlain(filters)) throw wrong(`the filter is ${shown(filters)}`);
  const entries = Object.entries(filters);
  const isMap = entries.length > 0 && entries.every(([, value]) => isPlain(value));
  if (!isMap) return [filters];
  return entries.map(([filter, value]) => {
    expectNames(value as object, REQUEST_NAMES.slice(1), `property of '${filter}'`);
    return { ...(value as object), filter };
  });
}

function checkedRequest(given: unknown, defaults: Omit<CheckedRequest, 'filter'>): CheckedRequest {
  if (typeof given === 'string') return { filter: checkedFilter(given), ...defaults };
  if (!isPlain(given)) throw wrong(`a filter is ${shown(given)}`);
  expectNames(given, REQUEST_NAMES, 'property of a filter');
  const { filter, qos, handler } = given as Partial<SubscribeRequest>;
  if (typeof filter !== 'string') throw wrong(`the filter of an object is ${shown(filter)}`);
  if (handler !== undefined && handler !== null && typeof handler !== 'function') {
    throw wrong(`the handler of '${filter}' is ${shown(handler)}`);
  }
  return {
    filter: checkedFilter(filter),
    qos: checkedQos(qos ?? defaults.qos),
    handler: handler ?? defaults.handler,
    filterOptions: checkedFilterOptions(given, defaults.filterOptions),
  };
}

/** Filters that `unsubscribe` was called with. @throws ArgumentError for what fits no shape. */
export function readUnsubscribe(filters: unknown): readonly string[] {
  const list: unknown = typeof filters === 'string' ? [filters] : filters;
  if (Array.isArray(list) && list.length > 0) return list.map(checkedFilter);
  throw new ArgumentError(
    `unsubscribe from ${shown(filters)}: the right way is unsubscribe('a/#') or ` +
      "unsubscribe(['a', 'b'])",
  );
}

/** An object as literals make them: no array, no instance of a class. */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function expectNames(given: object, known: readonly string[], what: string): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw wrong(`${name} is no ${what}`);
  }
}

function wrong(fault: string): ArgumentError {
  return new ArgumentError(`${fault}; the right way is ${RIGHT}`);
}

/** A given value as a fault shows it. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 80)}'`;
  if (typeof value === 'function') return 'a second function';
  if (Array.isArray(value)) return 'a list';
  return isPlain(value) ? 'an object' : String(value).slice(0, 80);
}

/** @throws ArgumentError for what cannot be subscribed to [MQTT-4.7.1-2] [MQTT-4.7.1-3]. */
export function checkedFilter(filter: unknown): string {
  if (isTopicFilter(filter)) return filter;
  throw new ArgumentError(
    `cannot subscribe to ${typeof filter === 'string' ? `'${filter}'` : String(filter)}: + and # ` +
      'stand for whole levels, # only for the last',
  );
}

/** @throws ArgumentError for a QoS that does not exist. */
export function checkedQos(qos: unknown): QoS {
  if (qos === 0 || qos === 1 || qos === 2) return qos;
  throw new ArgumentError(`QoS ${String(qos)} does not exist: use 0, 1 or 2`);
}
