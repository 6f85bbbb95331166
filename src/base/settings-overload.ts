/**
 * Settings of what one client may ask of the broker, and of what the broker does when all of them
 * ask too much; part of the table in settings-table.ts.
 */
import type { Config } from './config.js';
import { OVERLOAD_SETTINGS } from './overload-limits.js';
import type { ServerSetting } from './settings-table.js';
import { SLOW_CONSUMER_POLICIES, type SlowConsumerPolicy } from './slow-consumer-policy.js';
import * as type from './value-type.js';

/** Their names in the configuration. */
export type OverloadSetting =
  | 'maxMessageRate'
  | 'maxByteRate'
  | 'maxPayloadBytes'
  | 'maxTopicBytes'
  | 'maxTopicLevels'
  | 'maxFiltersPerSubscribe'
  | 'maxConnectionsPerUser'
  | 'maxLoopDelayMs'
  | 'slowConsumerPolicy'
  | 'memoryLimitBytes'
  | 'maxOutboxTotalBytes';

/** By their names in the configuration. */
export const SETTINGS_OF_OVERLOAD: { readonly [K in OverloadSetting]: ServerSetting<Config[K]> } = {
  maxMessageRate: {
    environment: 'SURGEMQ_MAX_MESSAGE_RATE',
    flag: 'max-message-rate',
    option: 'maxMessageRate',
    type: type.wholeNumber(OVERLOAD_SETTINGS.maxMessageRate),
    default: String(OVERLOAD_SETTINGS.maxMessageRate.default),
    summary:
      'Messages a second that one client may publish, 0 is any number: who publishes more is not ' +
      'read from for a while; nothing is dropped. What a second would allow may come at once.',
  },
  maxByteRate: {
    environment: 'SURGEMQ_MAX_BYTE_RATE',
    flag: 'max-byte-rate',
    option: 'maxByteRate',
    type: type.bytes(OVERLOAD_SETTINGS.maxByteRate),
    default: String(OVERLOAD_SETTINGS.maxByteRate.default),
    summary: 'Bytes a second that one client may send, in the same way; 0 is any number.',
  },
  maxPayloadBytes: {
    environment: 'SURGEMQ_MAX_PAYLOAD_BYTES',
    flag: 'max-payload-bytes',
    option: 'maxPayloadBytes',
    type: type.bytes(OVERLOAD_SETTINGS.maxPayloadBytes),
    default: String(OVERLOAD_SETTINGS.maxPayloadBytes.default),
    summary:
      'Longest payload of a message or a will, 0 is any that fits a packet. A longer one is ' +
      'refused with 0x97 where MQTT 5.0 acknowledges it; else its client is closed.',
  },
  maxTopicBytes: {
    environment: 'SURGEMQ_MAX_TOPIC_BYTES',
    flag: 'max-topic-bytes',
    option: 'maxTopicBytes',
    type: type.wholeNumber(OVERLOAD_SETTINGS.maxTopicBytes),
    default: String(OVERLOAD_SETTINGS.maxTopicBytes.default),
    summary:
      'Longest topic that may be published to, by a will too, or subscribed to, in bytes of ' +
      'UTF-8; 0 is the 65,535 of MQTT. Who publishes to a longer one is closed.',
  },
  maxTopicLevels: {
    environment: 'SURGEMQ_MAX_TOPIC_LEVELS',
    flag: 'max-topic-levels',
    option: 'maxTopicLevels',
    type: type.wholeNumber(OVERLOAD_SETTINGS.maxTopicLevels),
    default: String(OVERLOAD_SETTINGS.maxTopicLevels.default),
    summary: 'Levels of such a topic, in the same way; 0 is the 201 that are always the most.',
  },
  maxFiltersPerSubscribe: {
    environment: 'SURGEMQ_MAX_FILTERS_PER_SUBSCRIBE',
    flag: 'max-filters-per-subscribe',
    option: 'maxFiltersPerSubscribe',
    type: type.wholeNumber(OVERLOAD_SETTINGS.maxFiltersPerSubscribe),
    default: String(OVERLOAD_SETTINGS.maxFiltersPerSubscribe.default),
    summary: 'Filters of one SUBSCRIBE, 0 is any number; those beyond are refused in the SUBACK.',
  },
  maxConnectionsPerUser: {
    environment: 'SURGEMQ_MAX_CONNECTIONS_PER_USER',
    flag: 'max-connections-per-user',
    option: 'maxConnectionsPerUser',
    type: type.wholeNumber(OVERLOAD_SETTINGS.maxConnectionsPerUser),
    default: String(OVERLOAD_SETTINGS.maxConnectionsPerUser.default),
    summary:
      'Connections of one user, 0 is any number; more are refused (return code 3, in MQTT 5.0 ' +
      '0x97). Clients that have not authenticated as anybody are not counted.',
  },
  maxLoopDelayMs: {
    environment: 'SURGEMQ_MAX_LOOP_DELAY',
    flag: 'max-loop-delay',
    option: 'maxLoopDelay',
    type: type.duration(OVERLOAD_SETTINGS.maxLoopDelayMs, 1),
    default: type.showDuration(OVERLOAD_SETTINGS.maxLoopDelayMs.default),
    summary:
      'Delay of its event loop, in the mean of the last ones, above which a worker is given no ' +
      'new connections, 0 is any; while all workers are over it, new ones are closed at once.',
  },
  memoryLimitBytes: {
    environment: 'SURGEMQ_MEMORY_LIMIT',
    flag: 'memory-limit',
    option: 'memoryLimit',
    type: type.bytes(OVERLOAD_SETTINGS.memoryLimitBytes),
    default: String(OVERLOAD_SETTINGS.memoryLimitBytes.default),
    summary:
      'Memory that the process may use; 0 is nine tenths of what the machine or container has. ' +
      'At 80 % of it slow readers lose QoS 0 messages, at 85 % nothing new is kept and new ' +
      'clients are refused, at 90 % publishers wait.',
  },
  maxOutboxTotalBytes: {
    environment: 'SURGEMQ_MAX_OUTBOX_TOTAL_BYTES',
    flag: 'max-outbox-total-bytes',
    option: 'maxOutboxTotalBytes',
    type: type.bytes(OVERLOAD_SETTINGS.maxOutboxTotalBytes),
    default: type.showBytes(OVERLOAD_SETTINGS.maxOutboxTotalBytes.default),
    summary:
      'Bytes that wait for all sockets together, in equal shares for the workers; above, whoever ' +
      'is behind loses QoS 0 messages at once.',
  },
  slowConsumerPolicy: {
    environment: 'SURGEMQ_SLOW_CONSUMER_POLICY',
    flag: 'slow-consumer-policy',
    option: 'slowConsumerPolicy',
    type: type.oneOf(SLOW_CONSUMER_POLICIES) as type.ValueType<SlowConsumerPolicy>,
    default: SLOW_CONSUMER_POLICIES[0],
    summary:
      'What happens when more than `outboxBytes` wait for a client: its publishers wait for a ' +
      'while (backpressure), it loses the newest or oldest QoS 0 messages, or all but the latest ' +
      'of each topic, or it is disconnected when that lasts for 0.2 s. At QoS 1 and 2, for ' +
      'absent clients too, the oldest give way with `drop-oldest` and `latest` when as much ' +
      'waits as may, else the newest are refused; and with `latest` each topic keeps its newest ' +
      'alone of what comes while more than `outboxBytes` wait.',
  },
};
