/** Options of the library's `Server`, under SurgeMQ's names. */
import type { Authenticate } from './credentials.js';
import type { Durability } from './durability.js';
import type { ClientCertificateChoice } from './listener-config.js';
import type { SharedStrategy } from './shared-strategy.js';
import type { SlowConsumerPolicy } from './slow-consumer-policy.js';
import type { StoreFullPolicy } from './store-full-policy.js';

/** A time: a number of seconds, fractions allowed, or text such as `'250ms'` or `'2m'`. */
export type DurationOption = number | string;
/** A number of bytes, or text such as `'64KiB'` or `'1MiB'`. */
export type BytesOption = number | string;

/**
 * Options of the library's `Server`, under SurgeMQ's names. What is not given is a setting's
 * default.
 */
export interface ServerOptions {
  /** Configuration file, in YAML or JSON, weaker than environment and options. */
  readonly configFile?: string | null | undefined;
  /** Addresses for `listenAndServe()` without an argument, e.g. `tcp://127.0.0.1:1883`. */
  readonly listen?: string | readonly string[] | undefined;
  /** Permissions of unix sockets, such as 0o660 or `'660'`. */
  readonly unixMode?: number | string | undefined;
  /** PEM files of the certificates of TLS listeners, each with those that lead to its root. */
  readonly tlsCert?: string | readonly string[] | undefined;
  /** PEM files of their keys, in the same order. */
  readonly tlsKey?: string | readonly string[] | undefined;
  /** PEM file of the roots that client certificates have to lead to. */
  readonly tlsCa?: string | null | undefined;
  /** PEM file of lists of revoked client certificates. */
  readonly tlsCrl?: string | null | undefined;
  /** Whether clients are asked for a certificate, and closed without a valid one. */
  readonly tlsClientCert?: ClientCertificateChoice | undefined;
  /** What of a client certificate is the user name. */
  readonly tlsClientCertUsername?: 'cn' | 'san' | 'none' | null | undefined;
  /** Oldest version of TLS that clients may speak. */
  readonly tlsMinVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** Time from accept to the end of the TLS handshake. */
  readonly handshakeTimeout?: DurationOption | undefined;
  /** TLS handshakes at a time of all workers together, 1 to 100,000. */
  readonly maxHandshakes?: number | undefined;
  /** Of `surgemq serve` alone: an embedded server has no control socket. */
  readonly controlSocket?: string | undefined;
  /** Worker threads, 1 to 32, or `'auto'`: one for each core. */
  readonly workers?: number | 'auto' | undefined;
  /** Silence after which a client that asked for no keep alive is probed by TCP. */
  readonly keepAlive?: DurationOption | undefined;
  /** Time from accept to a whole CONNECT. */
  readonly connectTimeout?: DurationOption | undefined;
  /** Time the authenticator has for its answer. */
  readonly authTimeout?: DurationOption | undefined;
  /** Time after which an unacknowledged QoS 1/2 delivery is counted. */
  readonly ackTimeout?: DurationOption | undefined;
  /** Ack time-outs in a row after which a client counts as unresponsive. */
  readonly timeoutRetries?: number | undefined;
  /** Close unresponsive clients. */
  readonly closeUnresponsive?: boolean | undefined;
  /** Wait a moment for more where many clients send little each. */
  readonly coalesceReads?: boolean | undefined;
  /**
   * `auto`, `mockSuccess`, `mockFailure`, a module that the shards load, or a function that is
   * called in the thread of the server; or a list of these, in the order in which they are asked.
   */
  readonly authenticator?: string | Authenticate | readonly (string | Authenticate)[] | undefined;
  /** Whether clients without credentials are let in; `'auto'`: where that is safe. */
  readonly allowAnonymous?: boolean | 'auto' | undefined;
  /** Path of a password file, as mosquitto_passwd and `surgemq passwd` make it. */
  readonly passwordFile?: string | null | undefined;
  /** Path of the key that tokens are verified with: a secret, a public key or a set of keys. */
  readonly jwtKey?: string | null | undefined;
  /** URL of a set of keys for tokens. */
  readonly jwtJwksUrl?: string | null | undefined;
  /** Whom a token must be for. */
  readonly jwtAudience?: string | null | undefined;
  /** Who must have made it. */
  readonly jwtIssuer?: string | null | undefined;
  /** How far clocks may be apart. */
  readonly jwtClockTolerance?: DurationOption | undefined;
  /** The claim that is the user name. */
  readonly jwtUserClaim?: string | undefined;
  /** User name of clients whose password is a token. */
  readonly jwtUsername?: string | null | undefined;
  /** URL that is asked about each CONNECT. */
  readonly authHttp?: string | null | undefined;
  /** Time that a web service has for its answer. */
  readonly authHttpTimeout?: DurationOption | undefined;
  /** Time for which whom it lets in is not asked about again. */
  readonly authHttpCache?: DurationOption | undefined;
  /** Path of a file of access rules, as Mosquitto has them; null: there is none. */
  readonly aclFile?: string | null | undefined;
  /** `lmdb`, which is on disk, `mem`, or a module that the shards load. */
  readonly sessionsProvider?: string | undefined;
  /** Path of the folder of what is on disk. */
  readonly dataDir?: string | undefined;
  /** What an acknowledgement waits for: `fsync`, `commit` or `none`. */
  readonly durability?: Durability | undefined;
  /** Bytes that may be in use on disk; 0 is as many as there are. */
  readonly storeBytes?: BytesOption | undefined;
  /** What happens when they are: `drop-oldest`, `drop-newest` or `reject`. */
  readonly storeFull?: StoreFullPolicy | undefined;
  /** `mem`, or a module that the shards load. */
  readonly topicsProvider?: string | undefined;
  /** Largest packet taken from a client, 128 to 268,435,455. */
  readonly maxPacketBytes?: BytesOption | undefined;
  /** QoS 1/2 deliveries sent to a client and not yet acknowledged, 1 to 65,535. */
  readonly maxInflight?: number | undefined;
  /** Messages that wait for one absent or slow client. */
  readonly maxQueuedMessages?: number | undefined;
  /** Bytes of those messages. */
  readonly maxQueuedBytes?: BytesOption | undefined;
  /** Memory for what waits for all clients of all workers together, an equal share each. */
  readonly maxQueuedTotalBytes?: BytesOption | undefined;
  /** Bytes of messages sent, not acknowledged and kept to be sent again, per client. */
  readonly maxInflightBytes?: BytesOption | undefined;
  /** Subscriptions of one client, 1 to 10,000,000. */
  readonly maxSubscriptions?: number | undefined;
  /** Of those, the ones with a wildcard, 0 to 10,000,000. */
  readonly maxWildcardSubscriptions?: number | undefined;
  /** Retained messages of all workers together, an equal share each, 0 to 16,000,000. */
  readonly maxRetainedMessages?: number | undefined;
  /** Bytes of those messages. */
  readonly maxRetainedBytes?: BytesOption | undefined;
  /** Bytes waiting for one socket above which the publishers that feed it are paused. */
  readonly outboxBytes?: BytesOption | undefined;
  /** Time without reading after which a subscriber loses QoS 0 messages. */
  readonly slowConsumerTimeout?: DurationOption | undefined;
  /** Size of each worker's ring; rounded up to a power of two. */
  readonly ringBytes?: BytesOption | undefined;
  /** Connections of all workers together. */
  readonly maxConnections?: number | undefined;
  /** Connections of one IPv4 address or IPv6 /64 network at a time; 0: no limit. */
  readonly maxConnectionsPerAddress?: number | undefined;
  /** New connections a second of one such address; 0: no limit. */
  readonly connectRatePerAddress?: number | undefined;
  /** New connections a second of all addresses; 0: no limit. */
  readonly connectRate?: number | undefined;
  /** Networks of proxies that send PROXY protocol headers, such as `10.0.0.0/8`, and `unix`. */
  readonly proxyProtocolFrom?: string | readonly string[] | undefined;
  /** Origins of pages whose browsers may connect, such as `https://app.example`; none: any. */
  readonly wsOrigins?: string | readonly string[] | undefined;
  /** Sessions that outlive their connection, 0 to 16,000,000. */
  readonly maxSessions?: number | undefined;
  /** Time without its client after which a session ends; 0: never. */
  readonly sessionExpiry?: DurationOption | undefined;
  /** QoS 1/2 messages that an MQTT 5.0 client may publish ahead of their acks, 1 to 65,535. */
  readonly receiveMaximum?: number | undefined;
  /** Topic aliases that an MQTT 5.0 client may use, 0 to 65,535. */
  readonly topicAliasMaximum?: number | undefined;
  /** Highest QoS that clients may publish at and are granted. */
  readonly maxQos?: 0 | 1 | 2 | undefined;
  /** Which member of a shared subscription gets a message. */
  readonly sharedStrategy?: SharedStrategy | undefined;
  /** Whether payloads that are said to be UTF-8 are checked. Default false. */
  readonly checkPayloadFormat?: boolean | undefined;
  /** Whether messages may be published to be retained. */
  readonly retainAvailable?: boolean | undefined;
  /** Longest keep alive of a client; 0: any, and none. */
  readonly maxKeepAlive?: DurationOption | undefined;
  /** Longest time that a session outlives its connection; 0: no limit. */
  readonly maxSessionExpiry?: DurationOption | undefined;
  /** What MQTT 5.0 clients are told to use at shutdown, such as `b.example:1883`. */
  readonly serverReference?: string | null | undefined;
  /** What MQTT 5.0 clients are told that ask for Response Information. */
  readonly responseInformation?: string | null | undefined;
  /** Messages a second that one client may publish; 0: any number. */
  readonly maxMessageRate?: number | undefined;
  /** Bytes a second that one client may send; 0: any number. */
  readonly maxByteRate?: BytesOption | undefined;
  /** Longest payload of a message or a will; 0: any that fits a packet. */
  readonly maxPayloadBytes?: BytesOption | undefined;
  /** Longest topic or filter in bytes; 0: any. */
  readonly maxTopicBytes?: number | undefined;
  /** Most levels of a topic or filter; 0: 201. */
  readonly maxTopicLevels?: number | undefined;
  /** Filters of one SUBSCRIBE; 0: any number. */
  readonly maxFiltersPerSubscribe?: number | undefined;
  /** Connections of one user; 0: any number. */
  readonly maxConnectionsPerUser?: number | undefined;
  /** Event-loop delay above which a worker is given no new connections; 0: any. */
  readonly maxLoopDelay?: DurationOption | undefined;
  /** Memory that the process may use; 0: nine tenths of what there is. */
  readonly memoryLimit?: BytesOption | undefined;
  /** Bytes that wait for all sockets of all workers together. */
  readonly maxOutboxTotalBytes?: BytesOption | undefined;
  /** What becomes of a reader that is behind. */
  readonly slowConsumerPolicy?: SlowConsumerPolicy | undefined;
  /** trace, debug, info, warn, error, fatal or silent; of use to who makes a logger by it. */
  readonly logLevel?: string | undefined;
}
