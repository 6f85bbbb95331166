/** What a configuration says, once it is read and checked: plain data. */
import type { AccessRule } from './access-rule.js';
import type { Durability } from './durability.js';
import type { ClientCertificateChoice, ListenerConfig } from './listener-config.js';
import type { SharedStrategy } from './shared-strategy.js';
import type { SlowConsumerPolicy } from './slow-consumer-policy.js';
import type { StoreFullPolicy } from './store-full-policy.js';
import type { UserConfig } from './user-config.js';

/** What the table of settings says: each has a name in the environment, a flag and an option. */
export interface SettingValues {
  /** Path of the configuration file; null: there is none. */
  readonly configFile: string | null;
  /** Addresses to listen on, as `tcp://host:port`; an empty host means all. See listen-uri.ts. */
  readonly listen: readonly string[];
  /** Permissions of unix sockets. */
  readonly unixMode: number;
  /** Paths of certificates, for TLS listeners that have none of their own; see listeners.ts. */
  readonly tlsCert: readonly string[];
  /** Paths of their keys, in the same order. */
  readonly tlsKey: readonly string[];
  /** Path of the roots that client certificates have to lead to; null: none. */
  readonly tlsCa: string | null;
  /** Path of lists of revoked certificates; null: none. */
  readonly tlsCrl: string | null;
  readonly tlsClientCert: ClientCertificateChoice;
  /** What of a client certificate is the user name; null: nothing. */
  readonly tlsClientCertUsername: 'cn' | 'san' | null;
  readonly tlsMinVersion: 'TLSv1.2' | 'TLSv1.3';
  /** From accept to the end of the TLS handshake, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** TLS handshakes at a time of all shards together, an equal share each. */
  readonly maxHandshakes: number;
  /** Socket by which `surgemq serve` is asked to reload: `auto`, `none`, or its path. */
  readonly controlSocket: string;
  /** Number of shards, 1 to SHARDS_MAX. */
  readonly workers: number;
  /** Silence of a client without keep alive after which TCP keep-alive probes it, in seconds. */
  readonly keepAliveSeconds: number;
  /** From accept to a whole CONNECT, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** From CONNECT to the authenticator's answer, in milliseconds. */
  readonly authTimeoutMs: number;
  /** A QoS 1/2 delivery not acknowledged for this long is counted, in milliseconds. */
  readonly ackTimeoutMs: number;
  /** Ack time-outs in a row after which a client counts as unresponsive. */
  readonly timeoutRetries: number;
  /** Whether an unresponsive client is closed. */
  readonly closeUnresponsive: boolean;
  /** Wait a moment for more where many clients send little each. */
  readonly coalesceReads: boolean;
  /**
   * Authenticators in the order in which they are asked: shipped names, URLs of modules,
   * PROGRAM_AUTHENTICATOR; or AUTO_AUTHENTICATORS alone.
   */
  readonly auth: readonly string[];
  /** Whether clients without credentials are let in; null: where that is safe. */
  readonly allowAnonymous: boolean | null;
  /** Path of a password file; null: there is none. */
  readonly passwordFile: string | null;
  /** Path of the key that tokens are verified with; null: `jwtJwksUrl` has them, or nothing. */
  readonly jwtKey: string | null;
  /** URL of a set of keys. */
  readonly jwtJwksUrl: string | null;
  /** Whom a token must be for; null: anybody. */
  readonly jwtAudience: string | null;
  /** Who must have made it; null: anybody. */
  readonly jwtIssuer: string | null;
  /** How far clocks may be apart, in milliseconds. */
  readonly jwtClockToleranceMs: number;
  /** The claim that is the user name. */
  readonly jwtUserClaim: string;
  /** User name of clients whose password is a token; null: any, or none. */
  readonly jwtUsername: string | null;
  /** URL that is asked about each CONNECT. */
  readonly authHttp: string | null;
  /** Time that a web service has for its answer, in milliseconds. */
  readonly authHttpTimeoutMs: number;
  /** Time for which whom it lets in is not asked about again, in milliseconds. */
  readonly authHttpCacheMs: number;
  /** Path of the file of access rules; null: there is none. */
  readonly aclFile: string | null;
  /** Sessions provider: a shipped name or the URL of a module. */
  readonly sessions: string;
  /** Path of the folder that the store lies in, where `sessions` is DURABLE_SESSIONS. */
  readonly dataDir: string;
  /** When a change counts as kept. */
  readonly durability: Durability;
  /** Bytes that the store may hold; 0: as many as the disk has room for. */
  readonly storeBytes: number;
  /** What becomes of a message for an absent client when it holds them. */
  readonly storeFull: StoreFullPolicy;
  /** Topics provider: a shipped name or the URL of a module. */
  readonly topics: string;
  /** Largest packet taken from a client, whole frame, in bytes. */
  readonly maxPacketBytes: number;
  /** QoS 1/2 deliveries sent and not acknowledged, per client. */
  readonly maxInflight: number;
  /** Messages waiting for an absent or slow client. */
  readonly maxQueuedMessages: number;
  /** Bytes of those messages. */
  readonly maxQueuedBytes: number;
  /** Bytes that messages of all clients of all shards together may take, an equal share each. */
  readonly maxQueuedTotalBytes: number;
  /** Bytes of messages sent, not acknowledged and kept to be sent again, per client. */
  readonly maxInflightBytes: number;
  /** Subscriptions of one client. */
  readonly maxSubscriptions: number;
  /** Of those, the ones with a wildcard. */
  readonly maxWildcardSubscriptions: number;
  /** Retained messages of all shards together, an equal share each. */
  readonly maxRetainedMessages: number;
  /** Bytes of those messages, as frames. */
  readonly maxRetainedBytes: number;
  /** Bytes waiting for one socket above which the publishers that feed it are paused. */
  readonly outboxBytes: number;
  /** A subscriber that reads nothing for this long loses QoS 0 messages, in milliseconds. */
  readonly slowConsumerTimeoutMs: number;
  /** Size of each shard's ring in bytes, a power of two. */
  readonly ringBytes: number;
  /** Connections of all shards together. */
  readonly maxConnections: number;
  /** Connections of one address (transport/address-key.ts) at a time; 0: no limit. */
  readonly maxConnectionsPerAddress: number;
  /** New connections a second of one address; 0: no limit. */
  readonly connectRatePerAddress: number;
  /** New connections a second of all addresses; 0: no limit. */
  readonly connectRate: number;
  /** Networks of proxies that send PROXY protocol headers, and `unix`. */
  readonly proxyProtocolFrom: readonly string[];
  /** Values of Origin in lower case that WebSockets are let in from; none: any. */
  readonly wsOrigins: readonly string[];
  /** Sessions of all shards together that outlive their connection. */
  readonly maxSessions: number;
  /** Time without its client after which a session ends, in milliseconds; 0: never. */
  readonly sessionExpiryMs: number;
  /** QoS 1/2 messages that a 5.0 client may have published and not acknowledged, 1 to 65,535. */
  readonly receiveMaximum: number;
  /** Topic Aliases that a 5.0 client may use, 0 to 65,535. */
  readonly topicAliasMaximum: number;
  /** Highest QoS that clients may publish at and are granted. */
  readonly maxQos: 0 | 1 | 2;
  /** Which member of a shared subscription gets a message. */
  readonly sharedStrategy: SharedStrategy;
  /** Whether payloads that are said to be UTF-8 are checked. */
  readonly checkPayloadFormat: boolean;
  /** Whether messages may be published to be retained. */
  readonly retainAvailable: boolean;
  /** Longest keep alive of a client, in seconds; 0: any, and none. */
  readonly maxKeepAliveSeconds: number;
  /** Longest time that a session outlives its connection, in milliseconds; 0: no limit. */
  readonly maxSessionExpiryMs: number;
  /** What 5.0 clients are told to use when this server shuts down; null: nothing. */
  readonly serverReference: string | null;
  /** What 5.0 clients are told that ask for Response Information; null: nothing. */
  readonly responseInformation: string | null;
  /** Messages a second that one client may publish; 0: any number. */
  readonly maxMessageRate: number;
  /** Bytes a second that one client may send; 0: any number. */
  readonly maxByteRate: number;
  /** Longest payload taken, in bytes; 0: any that fits a packet. */
  readonly maxPayloadBytes: number;
  /** Longest topic or filter taken, in bytes; 0: any that MQTT allows. */
  readonly maxTopicBytes: number;
  /** Most levels of a topic or filter; 0: TOPIC_LEVELS_MAX. */
  readonly maxTopicLevels: number;
  /** Filters of one SUBSCRIBE; 0: any number. */
  readonly maxFiltersPerSubscribe: number;
  /** Connections of one user; 0: any number. */
  readonly maxConnectionsPerUser: number;
  /** Event-loop delay above which a shard is given no connections, in milliseconds; 0: any. */
  readonly maxLoopDelayMs: number;
  /** Memory that the process may use, in bytes; 0: part of what there is. */
  readonly memoryLimitBytes: number;
  /** Bytes that wait for all sockets of all shards together, an equal share each. */
  readonly maxOutboxTotalBytes: number;
  /** What becomes of a reader that is behind. */
  readonly slowConsumerPolicy: SlowConsumerPolicy;
  /** One of LOG_LEVELS. */
  readonly logLevel: string;
}

/** The whole configuration, checked: frozen plain data, which is cloned to every shard. */
export interface Config extends SettingValues {
  /** One for each address of `listen`, in its order. */
  readonly listeners: readonly ListenerConfig[];
  /** Users beside those of a password file. */
  readonly users: readonly UserConfig[];
  /** What all users may do; a user's own rules, and those of its admission, come before them. */
  readonly rules: readonly AccessRule[];
}
