/**
 * Settings of what MQTT 5.0 lets a server say of itself in CONNACK and DISCONNECT; part of the
 * table in settings-table.ts. What limits clients holds for 3.x clients too, as far as those can
 * be told.
 */
import type { SettingValues } from './config.js';
import { SERVER_TEXT_BYTES_MAX, SETTINGS } from './limits.js';
import type { ServerSetting } from './settings-table.js';
import { SHARED_STRATEGIES, type SharedStrategy } from './shared-strategy.js';
import * as type from './value-type.js';

/** Their names in the configuration. */
export type Mqtt5Setting =
  | 'receiveMaximum'
  | 'topicAliasMaximum'
  | 'maxQos'
  | 'sharedStrategy'
  | 'checkPayloadFormat'
  | 'retainAvailable'
  | 'maxKeepAliveSeconds'
  | 'maxSessionExpiryMs'
  | 'serverReference'
  | 'responseInformation';

/** By their names in the configuration. */
export const MQTT5_SETTINGS: {
  readonly [K in Mqtt5Setting]: ServerSetting<SettingValues[K]>;
} = {
  receiveMaximum: {
    environment: 'SURGEMQ_RECEIVE_MAXIMUM',
    flag: 'receive-maximum',
    option: 'receiveMaximum',
    type: type.wholeNumber(SETTINGS.receiveMaximum),
    default: String(SETTINGS.receiveMaximum.default),
    summary:
      'QoS 1/2 messages that an MQTT 5.0 client may publish ahead of their acknowledgements; who ' +
      'publishes more is closed.',
  },
  topicAliasMaximum: {
    environment: 'SURGEMQ_TOPIC_ALIAS_MAXIMUM',
    flag: 'topic-alias-maximum',
    option: 'topicAliasMaximum',
    type: type.wholeNumber(SETTINGS.topicAliasMaximum),
    default: String(SETTINGS.topicAliasMaximum.default),
    summary: 'Topic aliases that an MQTT 5.0 client may use for what it publishes.',
  },
  maxQos: {
    environment: 'SURGEMQ_MAX_QOS',
    flag: 'max-qos',
    option: 'maxQos',
    type: type.wholeNumber(SETTINGS.maxQos) as type.ValueType<0 | 1 | 2>,
    default: String(SETTINGS.maxQos.default),
    summary:
      'Highest QoS that clients may publish at and are granted; who publishes at a higher one ' +
      'is closed.',
  },
  retainAvailable: {
    environment: 'SURGEMQ_RETAIN_AVAILABLE',
    flag: 'retain-available',
    option: 'retainAvailable',
    type: type.trueOrFalse(),
    default: 'true',
    summary: 'Whether messages may be retained; if not, who publishes one so is closed.',
  },
  maxKeepAliveSeconds: {
    environment: 'SURGEMQ_MAX_KEEP_ALIVE',
    flag: 'max-keep-alive',
    option: 'maxKeepAlive',
    type: type.duration(SETTINGS.maxKeepAliveSeconds, 1_000),
    default: type.showDuration(SETTINGS.maxKeepAliveSeconds.default),
    summary:
      'Longest keep alive of a client, 0 is any: an MQTT 5.0 client that asks for a longer one ' +
      'or for none is told to use this; a 3.x client is refused (return code 2).',
  },
  maxSessionExpiryMs: {
    environment: 'SURGEMQ_MAX_SESSION_EXPIRY',
    flag: 'max-session-expiry',
    option: 'maxSessionExpiry',
    type: type.duration(SETTINGS.maxSessionExpiryMs, 1),
    default: type.showDuration(SETTINGS.maxSessionExpiryMs.default),
    summary:
      'Longest time without its client that a session is kept, whatever an MQTT 5.0 client asks ' +
      'for or `sessionExpiry` says; 0 is no limit.',
  },
  sharedStrategy: {
    environment: 'SURGEMQ_SHARED_STRATEGY',
    flag: 'shared-strategy',
    option: 'sharedStrategy',
    type: type.oneOf(SHARED_STRATEGIES) as type.ValueType<SharedStrategy>,
    default: SHARED_STRATEGIES[0],
    restart: true,
    summary:
      'Which member of a shared subscription gets a message: each in turn, one for each topic ' +
      '(sticky), one for each publisher (hash), or the one with the least to acknowledge. Where ' +
      'thousands come a second, each gets up to 20 ms of them in one go.',
  },
  checkPayloadFormat: {
    environment: 'SURGEMQ_CHECK_PAYLOAD_FORMAT',
    flag: 'check-payload-format',
    option: 'checkPayloadFormat',
    type: type.trueOrFalse(),
    default: 'false',
    summary:
      'Whether a payload that an MQTT 5.0 client calls UTF-8 is checked to be so; if it is not, ' +
      'the client is closed with 0x99.',
  },
  serverReference: {
    environment: 'SURGEMQ_SERVER_REFERENCE',
    flag: 'server-reference',
    option: 'serverReference',
    type: type.textOrNone(SERVER_TEXT_BYTES_MAX),
    default: 'none',
    summary:
      'Another server, such as `b.example:1883`, that MQTT 5.0 clients are told to use when this ' +
      'one stops.',
  },
  responseInformation: {
    environment: 'SURGEMQ_RESPONSE_INFORMATION',
    flag: 'response-information',
    option: 'responseInformation',
    type: type.textOrNone(SERVER_TEXT_BYTES_MAX),
    default: 'none',
    summary:
      'What an MQTT 5.0 client is told that asks for Response Information: by custom, the ' +
      'beginning of topics for its responses.',
  },
};
