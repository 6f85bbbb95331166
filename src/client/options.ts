/** Options of a client, checked all at once and made into frozen settings. */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { ConfigError } from '../base/errors.js';
import { CLIENT_SETTINGS, CLIENT_TOPIC_ALIASES, STRING_BYTES_MAX } from '../base/limits.js';
import type { ListenerKind } from '../base/listener-config.js';
import { bytes, duration, trueOrFalse, type ValueType, wholeNumber } from '../base/value-type.js';
import type { QoS, WillMessage } from '../protocol/packet.js';
import type { Properties } from '../protocol/v5/index.js';
import { type Authentication, readAuthentication } from './authentication.js';
import {
  BROKER_URI_ALLOWED,
  parseBrokerUri,
  shownBrokerUri,
  withoutPassword,
} from './broker-uri.js';
import {
  type ConnectProperties,
  connectProperties,
  type WillProperties,
  willProperties,
} from './connect-properties.js';
import type { ProtocolLevel } from './handshake.js';
import type { Payload } from './message.js';
import { OptionReader, shown } from './option-reader.js';
import { isPayload, isSoundText, isTopicName } from './text.js';
import { readTls, type TlsOptions, type TlsSettings } from './tls-options.js';

/** A time: a number of seconds, or text such as `'250ms'` or `'2m'`. */
export type Duration = number | string;

/** The message that the server publishes when the client's connection is lost. */
export interface WillOptions {
  readonly topic: string;
  /** Default: empty. At most 65,535 bytes. */
  readonly payload?: Payload | undefined;
  /** Default 0. */
  readonly qos?: QoS | undefined;
  /** Default false. */
  readonly retain?: boolean | undefined;
  /** Of MQTT 5.0; left out for a server that speaks 3.x. */
  readonly properties?: WillProperties | undefined;
}

/** How a lost connection is made again. */
export interface ReconnectOptions {
  /** Delay before the first attempt, 0.25 s unless given; doubled for each that fails. */
  readonly minDelay?: Duration | undefined;
  /** Longest delay, 30 s unless given. Each delay is a random time between its half and itself. */
  readonly maxDelay?: Duration | undefined;
  /** Attempts in a row after which the client gives up; unlimited unless given. */
  readonly attempts?: number | undefined;
  /**
   * Default false. true: `connect` repeats a first attempt that fails as well, unless the server
   * refuses for a reason that stays, such as a password.
   */
  readonly initial?: boolean | undefined;
}

/** Options of a client. Times are in seconds, as SurgeMQ has them. */
export interface ClientOptions {
  /** Default: a random one. Needed for a session that outlives the connection. */
  readonly clientId?: string | undefined;
  /**
   * Default true: the server forgets the client when the connection ends. In MQTT 5.0 it is Clean
   * Start and the default of `properties.sessionExpiryInterval`, 0 or (false) never. With another
   * interval than 0, true is for the first connection only: the next ones go on with the session.
   */
  readonly cleanSession?: boolean | undefined;
  /** TLS, for URIs that begin with `mqtts:` or `wss:`. */
  readonly tls?: TlsOptions | undefined;
  /** IP address of this machine to connect from; default: the system chooses. */
  readonly localAddress?: string | undefined;
  /**
   * 5 (default) for MQTT 5.0 and, with a server that refuses that, 3.1.1; 4 for 3.1.1, 3 for 3.1.
   */
  readonly protocolVersion?: ProtocolLevel | undefined;
  /** Default true; false: a server that refuses MQTT 5.0 is not asked for 3.1.1. */
  readonly protocolFallback?: boolean | undefined;
  /** Properties of CONNECT in MQTT 5.0. */
  readonly properties?: ConnectProperties | undefined;
  readonly username?: string | undefined;
  readonly password?: Payload | undefined;
  /**
   * Enhanced authentication of MQTT 5.0, such as `scramSha256({ username, password })`. A server
   * that does not speak 5.0 is not asked for 3.1.1 then.
   */
  readonly authentication?: Authentication | undefined;
  readonly will?: WillOptions | undefined;
  /** Longest silence of this client, 60 s unless given; a ping is sent before. 0: no pings. */
  readonly keepAlive?: Duration | undefined;
  /** Time for the connection with its handshakes and CONNACK, 10 s unless given. */
  readonly connectTimeout?: Duration | undefined;
  /**
   * Time for SUBACK, UNSUBACK and PINGRESP, and for `disconnect` to get its acks, 20 s unless
   * given.
   */
  readonly ackTimeout?: Duration | undefined;
  /** Default true: a lost connection is made again. */
  readonly reconnect?: boolean | ReconnectOptions | undefined;
  /** Default true: QoS 0 messages wait in the queue too while there is no connection. */
  readonly queueQos0?: boolean | undefined;
  /**
   * Default false: a QoS 0 message that the socket had not taken when the connection was lost
   * rejects. true: it is sent on the next connection.
   */
  readonly resendQos0?: boolean | undefined;
  /** Longest packet that is sent; longer ones are refused. Unless given as long as MQTT allows. */
  readonly maxOutgoingPacketBytes?: number | string | undefined;
  /** Longest packet accepted from the server, 16 MiB unless given. */
  readonly maxPacketBytes?: number | string | undefined;
  /**
   * QoS 1 and 2 messages sent and not yet acknowledged, 1,024 unless given; more wait in the queue.
   */
  readonly maxInflight?: number | undefined;
  /**
   * QoS 2 messages among them, 16 unless given: Mosquitto loses messages when they are 20 or more.
   */
  readonly maxInflightQos2?: number | undefined;
  /**
   * In MQTT 5.0: topics that are given an alias on a connection, so that later messages to them go
   * without their names, 64 unless given, and never more than the server takes; 0 for none.
   */
  readonly maxTopicAliases?: number | undefined;
  /** Messages that wait to be sent, 100,000 unless given; more are refused with a CapacityError. */
  readonly maxQueuedMessages?: number | undefined;
  /** Bytes of messages that wait to be sent or acknowledged, 64 MiB unless given. */
  readonly maxQueuedBytes?: number | string | undefined;
}

/** Options after the checks: plain frozen data. */
export interface ClientSettings {
  readonly kind: ListenerKind;
  readonly host: string;
  readonly port: number;
  /** Path of the WebSocket request, with its query; empty for other kinds. */
  readonly requestPath: string;
  /** Path of a Unix domain socket, instead of host and port. */
  readonly socketPath: string | undefined;
  readonly localAddress: string | undefined;
  /** Null where the URI is without TLS. */
  readonly tls: TlsSettings | null;
  /** Address without user name and password, for messages. */
  readonly uri: string;
  readonly clientId: string;
  readonly cleanSession: boolean;
  readonly protocolVersion: ProtocolLevel;
  readonly protocolFallback: boolean;
  /** Properties of CONNECT, and of the will in it: of MQTT 5.0. */
  readonly connectProperties: Properties;
  readonly willProperties: Properties;
  readonly username: string | null;
  readonly password: Buffer | null;
  readonly authentication: Authentication | null;
  readonly will: WillMessage | null;
  readonly keepAliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
  readonly queueQos0: boolean;
  readonly resendQos0: boolean;
  readonly maxOutgoingPacketBytes: number;
  readonly maxPacketBytes: number;
  readonly maxInflight: number;
  readonly maxInflightQos2: number;
  readonly maxTopicAliases: number;
  readonly maxQueuedMessages: number;
  readonly maxQueuedBytes: number;
  readonly reconnectMinDelayMs: number;
  readonly reconnectMaxDelayMs: number;
  /** Infinity: never gives up; 0: does not reconnect. */
  readonly reconnectAttempts: number;
  /** The first attempt of `connect` is repeated too. */
  readonly reconnectInitial: boolean;
}

const L = CLIENT_SETTINGS;

/** Every option, checked by the compiler; the values mean nothing. */
const KNOWN_OPTIONS: Readonly<Record<keyof ClientOptions, true>> = {
  clientId: true,
  cleanSession: true,
  tls: true,
  localAddress: true,
  protocolVersion: true,
  protocolFallback: true,
  properties: true,
  username: true,
  password: true,
  authentication: true,
  will: true,
  keepAlive: true,
  connectTimeout: true,
  ackTimeout: true,
  reconnect: true,
  queueQos0: true,
  resendQos0: true,
  maxOutgoingPacketBytes: true,
  maxPacketBytes: true,
  maxInflight: true,
  maxInflightQos2: true,
  maxTopicAliases: true,
  maxQueuedMessages: true,
  maxQueuedBytes: true,
};
const KNOWN_RECONNECT: Readonly<Record<keyof ReconnectOptions, true>> = {
  minDelay: true,
  maxDelay: true,
  attempts: true,
  initial: true,
};

const protocolVersions: ValueType<ProtocolLevel> = {
  allowed: '3 (MQTT 3.1), 4 (MQTT 3.1.1) or 5 (MQTT 5.0)',
  placeholder: 'version',
  read: (given) => (given === 3 || given === 4 || given === 5 ? given : undefined),
  show: String,
};
const ipAddresses: ValueType<string | undefined> = {
  allowed: 'an IP address of this machine',
  placeholder: 'address',
  read: (given) => (typeof given === 'string' && isIP(given) !== 0 ? given : undefined),
  show: String,
};
const clientIds: ValueType<string> = {
  allowed: `text of at most ${STRING_BYTES_MAX} bytes without NUL`,
  placeholder: 'id',
  read: (given) => (typeof given === 'string' && isSoundText(given) ? given : undefined),
  show: String,
};

/**
 * Checks a client's URI and options.
 * @throws ConfigError with every fault.
 */
export function resolveOptions(uri: string, options: ClientOptions): ClientSettings {
  const reader = new OptionReader();
  reader.known(options, KNOWN_OPTIONS, '');
  const address = parseBrokerUri(uri);
  reader.expect(
    address !== undefined && address.path === '',
    `the server's URI is ${shown(withoutPassword(String(uri)))}; allowed: ${BROKER_URI_ALLOWED}`,
  );
  const { kind = 'tcp', host = '', port = 0, requestPath = '', socketPath } = address ?? {};
  const username = options.username ?? address?.username ?? null;
  const password = options.password ?? address?.password ?? null;
  reader.expect(
    username === null || clientIds.read(username) !== undefined,
    `option username is ${shown(username)}; allowed: ${clientIds.allowed}`,
  );
  const passwordBytes = bytesOf(reader, 'password', password);
  const cleanSession = reader.read('cleanSession', trueOrFalse(), options.cleanSession, true);
  // A session cannot be found again by an id that changes, and 3.1.1 refuses an empty one
  // [MQTT-3.1.3-8].
  reader.expect(
    cleanSession || (options.clientId !== undefined && options.clientId !== ''),
    'option cleanSession is false; a session that is kept needs a clientId',
  );
  const clientId = reader.read('clientId', clientIds, options.clientId, randomClientId());
  const given = options.protocolVersion;
  const protocolVersion = reader.read('protocolVersion', protocolVersions, given, 5);
  // In 3.x a password without a user name cannot be sent [MQTT-3.1.2-22].
  reader.expect(
    password === null || username !== null || protocolVersion === 5,
    'option password needs a username in MQTT 3.x',
  );
  const onFault = (fault: string): number => reader.faults.push(fault);
  const limits = limitsOf(reader, options);
  const settings: ClientSettings = {
    kind,
    host,
    port,
    requestPath,
    socketPath,
    tls: readTls(reader, address?.kind, options.tls),
    localAddress: reader.read('localAddress', ipAddresses, options.localAddress, undefined),
    uri: shownBrokerUri({ kind, host, port, requestPath, socketPath }),
    clientId,
    cleanSession,
    protocolVersion,
    protocolFallback: reader.read(
      'protocolFallback',
      trueOrFalse(),
      options.protocolFallback,
      true,
    ),
    connectProperties: connectProperties(
      options.properties,
      cleanSession,
      limits.maxPacketBytes,
      CLIENT_TOPIC_ALIASES,
      onFault,
    ),
    willProperties: willProperties(options.will?.properties, onFault),
    username,
    password: passwordBytes,
    authentication: readAuthentication(options.authentication, protocolVersion, onFault),
    will: willOf(reader, options.will),
    ...limits,
    ...reconnectOf(reader, options.reconnect ?? true),
  };
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return Object.freeze(settings);
}

/** Short enough for MQTT 3.1 servers that insist on 23 characters [MQTT-3.1.3-5]. */
function randomClientId(): string {
  return `surgemq-${randomBytes(7).toString('hex')}`;
}

/** The numbers and switches that need no more than their range. */
function limitsOf(reader: OptionReader, options: ClientOptions) {
  const whole = (
    name: 'maxInflight' | 'maxInflightQos2' | 'maxTopicAliases' | 'maxQueuedMessages',
  ): number => reader.read(name, wholeNumber(L[name]), options[name], L[name].default);
  const size = (name: 'maxOutgoingPacketBytes' | 'maxPacketBytes' | 'maxQueuedBytes'): number =>
    reader.read(name, bytes(L[name]), options[name], L[name].default);
  const timeout = (name: 'connectTimeout' | 'ackTimeout'): number =>
    reader.read(name, duration(L[`${name}Ms`], 1), options[name], L[`${name}Ms`].default);
  const keepAlive = L.keepAliveSeconds;
  return {
    keepAliveSeconds: reader.read(
      'keepAlive',
      duration(keepAlive, 1_000),
      options.keepAlive,
      keepAlive.default,
    ),
    connectTimeoutMs: timeout('connectTimeout'),
    ackTimeoutMs: timeout('ackTimeout'),
    queueQos0: reader.read('queueQos0', trueOrFalse(), options.queueQos0, true),
    resendQos0: reader.read('resendQos0', trueOrFalse(), options.resendQos0, false),
    maxOutgoingPacketBytes: size('maxOutgoingPacketBytes'),
    maxPacketBytes: size('maxPacketBytes'),
    maxInflight: whole('maxInflight'),
    maxInflightQos2: whole('maxInflightQos2'),
    maxTopicAliases: whole('maxTopicAliases'),
    maxQueuedMessages: whole('maxQueuedMessages'),
    maxQueuedBytes: size('maxQueuedBytes'),
  };
}

function reconnectOf(reader: OptionReader, given: boolean | ReconnectOptions) {
  const options = typeof given === 'object' && given !== null ? given : {};
  reader.expect(
    typeof given === 'boolean' || options === given,
    `option reconnect is ${shown(given)}; allowed: true, false or an object`,
  );
  reader.known(options, KNOWN_RECONNECT, 'reconnect.');
  const delay = (
    name: 'minDelay' | 'maxDelay',
    limit: (typeof L)['reconnectMinDelayMs' | 'reconnectMaxDelayMs'],
  ) => reader.read(`reconnect.${name}`, duration(limit, 1), options[name], limit.default);
  const minDelayMs = delay('minDelay', L.reconnectMinDelayMs);
  const attempts = wholeNumber({ min: 1, max: Number.MAX_SAFE_INTEGER });
  return {
    reconnectMinDelayMs: minDelayMs,
    reconnectInitial: reader.read('reconnect.initial', trueOrFalse(), options.initial, false),
    reconnectMaxDelayMs: Math.max(minDelayMs, delay('maxDelay', L.reconnectMaxDelayMs)),
    reconnectAttempts:
      given === false
        ? 0
        : reader.read('reconnect.attempts', attempts, options.attempts, Number.POSITIVE_INFINITY),
  };
}

/** The bytes of text or bytes that go behind a two-byte length; a copy. */
function bytesOf(reader: OptionReader, name: string, given: Payload | null): Buffer | null {
  if (given === null) return null;
  const bytes = isPayload(given) ? Buffer.from(given) : null;
  if (bytes !== null && bytes.length <= STRING_BYTES_MAX) return bytes;
  reader.faults.push(`option ${name} must be text or bytes, at most ${STRING_BYTES_MAX} of them`);
  return null;
}

function willOf(reader: OptionReader, will: WillOptions | undefined): WillMessage | null {
  if (will === undefined) return null;
  const { topic, payload = '', qos = 0, retain = false } = will;
  const bytes = bytesOf(reader, 'will.payload', payload);
  reader.expect(
    isTopicName(topic),
    `option will.topic is ${shown(topic)}; allowed: a topic name without wildcards`,
  );
  reader.expect(
    qos === 0 || qos === 1 || qos === 2,
    `option will.qos is ${shown(qos)}; allowed: 0, 1 or 2`,
  );
  return { topic, payload: bytes ?? Buffer.alloc(0), qos, retain };
}
