/**
 * The broker's settings, one table: the environment, the command line, the library's options,
 * `--help` and the README's table all come from here. Ranges and numeric defaults, with their
 * reasons, are in limits.ts.
 */
import { availableParallelism, totalmem } from 'node:os';
import type { SettingValues } from './config.js';
import { PATH_BYTES_MAX, SETTINGS, SHARDS_MAX } from './limits.js';
import { formatListenUri, LISTEN_URI_ALLOWED, parseListenUri } from './listen-uri.js';
import { LOG_LEVELS } from './log.js';
import { providerName } from './provider-name.js';
import type { ServerOptions } from './server-options.js';
import type { Relation, Setting } from './settings.js';
import { ACCESS_RELATIONS, ACCESS_SETTINGS } from './settings-access.js';
import { ADDRESS_SETTINGS } from './settings-address.js';
import { EDGE_SETTINGS } from './settings-edge.js';
import { MQTT5_SETTINGS } from './settings-mqtt5.js';
import { SETTINGS_OF_OVERLOAD } from './settings-overload.js';
import { SETTINGS_OF_STORE } from './settings-store.js';
import { WEBSOCKET_SETTINGS } from './settings-websocket.js';
import type { ValueType } from './value-type.js';
import * as type from './value-type.js';

/** A setting of the broker: its option is one of the library's. */
export interface ServerSetting<T> extends Setting<T> {
  readonly option: keyof ServerOptions & string;
}

const URI: type.JsonSchema = { type: 'string' };

/** Listen URIs, by commas or in a list; kept in one spelling. */
const listenUris: ValueType<readonly string[]> = {
  allowed: `one or more, by commas, of ${LISTEN_URI_ALLOWED}`,
  placeholder: 'uri,…',
  schema: { anyOf: [URI, { type: 'array', items: URI, minItems: 1 }] },
  read(given) {
    const list: unknown = typeof given === 'string' ? given.split(',') : given;
    if (!Array.isArray(list) || list.length === 0) return undefined;
    const uris: string[] = [];
    for (const item of list) {
      const address = typeof item === 'string' ? parseListenUri(item.trim()) : undefined;
      if (address === undefined) return undefined;
      uris.push(formatListenUri(address));
    }
    return uris;
  },
  show: (uris) => uris.join(','),
};

/** Number of shards; `auto` is one for each core this process may use. */
const workerCount: ValueType<number> = {
  allowed: `auto, or a whole number from 1 to ${SHARDS_MAX}`,
  placeholder: 'number',
  schema: { anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 1, maximum: SHARDS_MAX }] },
  read: (given) =>
    given === 'auto'
      ? Math.min(availableParallelism(), SHARDS_MAX)
      : type.wholeNumber({ min: 1, max: SHARDS_MAX }).read(given),
  show: String,
};

const socketPath = type.text(PATH_BYTES_MAX);
/** Where something is asked of a broker. */
const controlSocket: ValueType<string> = {
  ...socketPath,
  allowed: 'auto, none, or the path of a socket',
  placeholder: 'path',
  read(given) {
    const path = socketPath.read(given);
    const word = path?.toLowerCase();
    if (word === 'auto' || word === 'none') return word;
    return path?.includes('/') ? path : undefined;
  },
};

/** Every setting of the broker, by its name in the configuration. */
export const CONFIG_SETTINGS: {
  readonly [K in keyof SettingValues]: ServerSetting<SettingValues[K]>;
} = {
  configFile: {
    environment: 'SURGEMQ_CONFIG',
    flag: 'config',
    option: 'configFile',
    type: type.textOrNone(PATH_BYTES_MAX),
    default: 'none',
    restart: true,
    summary: 'Configuration file, in YAML or JSON: whatever stands here, weaker than all of it.',
  },
  listen: {
    environment: 'SURGEMQ_LISTEN',
    flag: 'listen',
    option: 'listen',
    type: listenUris,
    default: 'tcp://127.0.0.1:1883',
    summary: 'Addresses to listen on.',
  },
  ...EDGE_SETTINGS,
  controlSocket: {
    environment: 'SURGEMQ_CONTROL_SOCKET',
    flag: 'control-socket',
    option: 'controlSocket',
    type: controlSocket,
    default: 'auto',
    restart: true,
    summary:
      'Unix socket by which `surgemq reload` reaches the broker that `surgemq serve` runs, for ' +
      'its own user alone; `auto` is one in a directory of that user.',
  },
  workers: {
    environment: 'SURGEMQ_WORKERS',
    flag: 'workers',
    option: 'workers',
    type: workerCount,
    default: 'auto',
    restart: true,
    summary: 'Worker threads that serve clients; `auto` is one for each core.',
  },
  keepAliveSeconds: {
    environment: 'SURGEMQ_KEEP_ALIVE',
    flag: 'keep-alive',
    option: 'keepAlive',
    type: type.duration(SETTINGS.keepAliveSeconds, 1_000),
    default: type.showDuration(SETTINGS.keepAliveSeconds.default * 1_000),
    summary: 'Silence after which TCP probes a client that asked for no keep alive.',
  },
  connectTimeoutMs: {
    environment: 'SURGEMQ_CONNECT_TIMEOUT',
    flag: 'connect-timeout',
    option: 'connectTimeout',
    type: type.duration(SETTINGS.connectTimeoutMs, 1),
    default: type.showDuration(SETTINGS.connectTimeoutMs.default),
    summary: 'Time a new connection has for its whole CONNECT packet.',
  },
  authTimeoutMs: {
    environment: 'SURGEMQ_AUTH_TIMEOUT',
    flag: 'auth-timeout',
    option: 'authTimeout',
    type: type.duration(SETTINGS.authTimeoutMs, 1),
    default: type.showDuration(SETTINGS.authTimeoutMs.default),
    summary: 'Time the authenticator has to answer; its client is told to come again then.',
  },
  ackTimeoutMs: {
    environment: 'SURGEMQ_ACK_TIMEOUT',
    flag: 'ack-timeout',
    option: 'ackTimeout',
    type: type.duration(SETTINGS.ackTimeoutMs, 1),
    default: type.showDuration(SETTINGS.ackTimeoutMs.default),
    summary:
      'Time after which a QoS 1/2 delivery without acknowledgement is counted, and a client is ' +
      'closed that takes nothing while many replies to what it sends wait for it.',
  },
  timeoutRetries: {
    environment: 'SURGEMQ_TIMEOUT_RETRIES',
    flag: 'timeout-retries',
    option: 'timeoutRetries',
    type: type.wholeNumber(SETTINGS.timeoutRetries),
    default: String(SETTINGS.timeoutRetries.default),
    summary: 'Such time-outs in a row after which a client counts as unresponsive.',
  },
  closeUnresponsive: {
    environment: 'SURGEMQ_CLOSE_UNRESPONSIVE',
    flag: 'close-unresponsive',
    option: 'closeUnresponsive',
    type: type.trueOrFalse(),
    default: 'false',
    summary: 'Close unresponsive clients instead of only counting and logging them.',
  },
  coalesceReads: {
    environment: 'SURGEMQ_COALESCE_READS',
    flag: 'coalesce-reads',
    option: 'coalesceReads',
    type: type.trueOrFalse(),
    default: 'true',
    summary:
      'A worker that many clients keep waking waits 0.15 ms for more to come, which saves a ' +
      'quarter of its CPU; `false` is for latencies below that.',
  },
  ...ACCESS_SETTINGS,
  ...SETTINGS_OF_STORE,
  topics: {
    environment: 'SURGEMQ_TOPICS',
    flag: 'topics',
    option: 'topicsProvider',
    type: providerName(['mem']),
    default: 'mem',
    restart: true,
    summary: 'Topics provider: where subscriptions and retained messages are kept.',
  },
  maxPacketBytes: {
    environment: 'SURGEMQ_MAX_PACKET_BYTES',
    flag: 'max-packet-bytes',
    option: 'maxPacketBytes',
    type: type.bytes(SETTINGS.maxPacketBytes),
    default: type.showBytes(SETTINGS.maxPacketBytes.default),
    summary: 'Largest packet; a client that begins a larger one is closed.',
  },
  maxInflight: {
    environment: 'SURGEMQ_MAX_INFLIGHT',
    flag: 'max-inflight',
    option: 'maxInflight',
    type: type.wholeNumber(SETTINGS.maxInflight),
    default: String(SETTINGS.maxInflight.default),
    summary: 'QoS 1/2 messages sent to a client and not yet acknowledged.',
  },
  maxQueuedMessages: {
    environment: 'SURGEMQ_MAX_QUEUED_MESSAGES',
    flag: 'max-queued-messages',
    option: 'maxQueuedMessages',
    type: type.wholeNumber(SETTINGS.maxQueuedMessages),
    default: String(SETTINGS.maxQueuedMessages.default),
    summary: 'Messages that wait for one absent or slow client.',
  },
  maxQueuedBytes: {
    environment: 'SURGEMQ_MAX_QUEUED_BYTES',
    flag: 'max-queued-bytes',
    option: 'maxQueuedBytes',
    type: type.bytes(SETTINGS.maxQueuedBytes),
    default: type.showBytes(SETTINGS.maxQueuedBytes.default),
    summary: 'Bytes that wait for one absent or slow client.',
  },
  maxQueuedTotalBytes: {
    environment: 'SURGEMQ_MAX_QUEUED_TOTAL_BYTES',
    flag: 'max-queued-total-bytes',
    option: 'maxQueuedTotalBytes',
    type: type.bytes(SETTINGS.maxQueuedTotalBytes),
    default: type.showBytes(SETTINGS.maxQueuedTotalBytes.default),
    summary:
      'Memory for what waits for all clients together, in equal shares for the workers; messages ' +
      'for absent or slow clients beyond are dropped. What many wait for counts once. Unfinished ' +
      'packets may take another quarter of it.',
  },
  maxInflightBytes: {
    environment: 'SURGEMQ_MAX_INFLIGHT_BYTES',
    flag: 'max-inflight-bytes',
    option: 'maxInflightBytes',
    type: type.bytes(SETTINGS.maxInflightBytes),
    default: type.showBytes(SETTINGS.maxInflightBytes.default),
    summary:
      'Bytes sent to a client whose session outlives its connection, and not yet acknowledged: ' +
      'they are kept to be sent again, and nothing new is sent beyond.',
  },
  maxSubscriptions: {
    environment: 'SURGEMQ_MAX_SUBSCRIPTIONS',
    flag: 'max-subscriptions',
    option: 'maxSubscriptions',
    type: type.wholeNumber(SETTINGS.maxSubscriptions),
    default: String(SETTINGS.maxSubscriptions.default),
    summary: 'Subscriptions of one client; further filters are refused in the SUBACK.',
  },
  maxWildcardSubscriptions: {
    environment: 'SURGEMQ_MAX_WILDCARD_SUBSCRIPTIONS',
    flag: 'max-wildcard-subscriptions',
    option: 'maxWildcardSubscriptions',
    type: type.wholeNumber(SETTINGS.maxWildcardSubscriptions),
    default: String(SETTINGS.maxWildcardSubscriptions.default),
    summary:
      'Subscriptions of one client whose filters have a wildcard. A topic may have to be ' +
      'compared with all of them. Further ones are refused in the SUBACK.',
  },
  maxRetainedMessages: {
    environment: 'SURGEMQ_MAX_RETAINED_MESSAGES',
    flag: 'max-retained-messages',
    option: 'maxRetainedMessages',
    type: type.wholeNumber(SETTINGS.maxRetainedMessages),
    default: String(SETTINGS.maxRetainedMessages.default),
    summary:
      'Retained messages of all workers together. Each worker keeps those of the topics that ' +
      'hash to it, up to an equal share; a new topic beyond is delivered and not retained.',
  },
  maxRetainedBytes: {
    environment: 'SURGEMQ_MAX_RETAINED_BYTES',
    flag: 'max-retained-bytes',
    option: 'maxRetainedBytes',
    type: type.bytes(SETTINGS.maxRetainedBytes),
    default: type.showBytes(SETTINGS.maxRetainedBytes.default),
    summary: 'Bytes of those messages with their topics, in equal shares as well.',
  },
  outboxBytes: {
    environment: 'SURGEMQ_OUTBOX_BYTES',
    flag: 'outbox-bytes',
    option: 'outboxBytes',
    type: type.bytes(SETTINGS.outboxBytes),
    default: type.showBytes(SETTINGS.outboxBytes.default),
    summary: 'Bytes waiting for one socket above which its publishers are paused.',
  },
  slowConsumerTimeoutMs: {
    environment: 'SURGEMQ_SLOW_CONSUMER_TIMEOUT',
    flag: 'slow-consumer-timeout',
    option: 'slowConsumerTimeout',
    type: type.duration(SETTINGS.slowConsumerTimeoutMs, 1),
    default: type.showDuration(SETTINGS.slowConsumerTimeoutMs.default),
    summary: 'Time without reading after which a subscriber loses QoS 0 messages.',
  },
  ringBytes: {
    environment: 'SURGEMQ_RING_BYTES',
    flag: 'ring-bytes',
    option: 'ringBytes',
    type: type.powerOfTwoBytes(SETTINGS.ringBytes),
    default: type.showBytes(SETTINGS.ringBytes.default),
    restart: true,
    summary: 'Shared memory through which one worker passes messages to the others.',
  },
  maxConnections: {
    environment: 'SURGEMQ_MAX_CONNECTIONS',
    flag: 'max-connections',
    option: 'maxConnections',
    type: type.wholeNumber(SETTINGS.maxConnections),
    default: String(SETTINGS.maxConnections.default),
    summary: 'Connections of all workers together; more are refused.',
  },
  ...ADDRESS_SETTINGS,
  ...WEBSOCKET_SETTINGS,
  maxSessions: {
    environment: 'SURGEMQ_MAX_SESSIONS',
    flag: 'max-sessions',
    option: 'maxSessions',
    type: type.wholeNumber(SETTINGS.maxSessions),
    default: String(SETTINGS.maxSessions.default),
    summary:
      'Sessions that outlive their connection (clean session 0), of connected and of absent ' +
      'clients; who wants one more is refused.',
  },
  sessionExpiryMs: {
    environment: 'SURGEMQ_SESSION_EXPIRY',
    flag: 'session-expiry',
    option: 'sessionExpiry',
    type: type.duration(SETTINGS.sessionExpiryMs, 1),
    default: type.showDuration(SETTINGS.sessionExpiryMs.default),
    summary: 'Time without its client after which the session of a 3.x client ends; 0 is never.',
  },
  ...MQTT5_SETTINGS,
  ...SETTINGS_OF_OVERLOAD,
  logLevel: {
    environment: 'SURGEMQ_LOG_LEVEL',
    flag: 'log-level',
    option: 'logLevel',
    type: type.oneOf(LOG_LEVELS),
    default: 'info',
    summary: 'Least important log lines that are still written.',
  },
};

/** The first address listened on twice, port 0 (a new port each time) apart. */
function twiceListened(uris: readonly string[]): string | undefined {
  return uris.find((uri, index) => !uri.endsWith(':0') && uris.indexOf(uri) !== index);
}

/** What must hold between settings that are each allowed by themselves. */
export const CONFIG_RELATIONS: readonly Relation<SettingValues>[] = [
  ...ACCESS_RELATIONS,
  {
    settings: ['listen'],
    severity: 'fault',
    check({ listen }) {
      const twice = twiceListened(listen);
      return twice === undefined ? undefined : `${twice} is named twice; each address once`;
    },
  },
  {
    settings: ['maxQueuedBytes', 'maxPacketBytes'],
    severity: 'warning',
    check: ({ maxQueuedBytes, maxPacketBytes, maxQueuedMessages }) =>
      maxQueuedMessages > 0 && maxQueuedBytes < maxPacketBytes
        ? 'messages larger than the queue will be dropped for absent clients'
        : undefined,
  },
  {
    settings: ['maxQueuedTotalBytes', 'maxPacketBytes'],
    severity: 'warning',
    check: ({ maxQueuedTotalBytes, maxPacketBytes, maxQueuedMessages, workers }) =>
      maxQueuedMessages > 0 && maxQueuedTotalBytes < maxPacketBytes * workers
        ? "messages larger than a worker's share of the total are dropped for absent clients"
        : undefined,
  },
  {
    settings: ['maxRetainedBytes', 'maxPacketBytes'],
    severity: 'warning',
    check: ({ maxRetainedBytes, maxPacketBytes, maxRetainedMessages, workers }) =>
      maxRetainedMessages > 0 && maxRetainedBytes < maxPacketBytes * workers
        ? "messages larger than a worker's share of the retained bytes will not be retained"
        : undefined,
  },
  {
    settings: ['workers', 'ringBytes'],
    severity: 'fault',
    check: ({ workers, ringBytes }) =>
      workers > 1 && workers * ringBytes > totalmem()
        ? 'a ring for each worker needs more than the memory of this machine'
        : undefined,
  },
];
