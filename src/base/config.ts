/**
 * The configuration: the only reader of `process.env`. What can be set stands in settings-table.ts;
 * this file says what the rest of the code and the users of the library see of it.
 */
import type { Authenticate } from './credentials.js';
import { ArgumentError, ConfigError } from './errors.js';
import { loadSettings } from './settings.js';
import { CONFIG_RELATIONS, CONFIG_SETTINGS } from './settings-table.js';

/** All settings, checked: frozen plain data, which a structured clone takes to every shard. */
export interface Config {
  /** Addresses to listen on, as `tcp://host:port`; an empty host means all. See listen-uri.ts. */
  readonly listen: readonly string[];
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
  /** Authenticator: a shipped name, the URL of a module, or PROGRAM_AUTHENTICATOR. */
  readonly auth: string;
  /** Sessions provider: a shipped name or the URL of a module. */
  readonly sessions: string;
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
  /** Sessions of all shards together that outlive their connection. */
  readonly maxSessions: number;
  /** Time without its client after which a session ends, in milliseconds; 0: never. */
  readonly sessionExpiryMs: number;
  /** One of LOG_LEVELS. */
  readonly logLevel: string;
}

/** A time: a number of seconds, fractions allowed, or text such as `'250ms'` or `'2m'`. */
export type DurationOption = number | string;
/** A number of bytes, or text such as `'64KiB'` or `'1MiB'`. */
export type BytesOption = number | string;

/**
 * Options of the library's `Server`, under SurgeMQ's names. What is not given is a setting's
 * default.
 */
export interface ServerOptions {
  /** Addresses for `listenAndServe()` without an argument, e.g. `tcp://127.0.0.1:1883`. */
  readonly listen?: string | readonly string[] | undefined;
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
   * `mockSuccess`, `mockFailure`, a module that the shards load, or a function that is called in
   * the thread of the server.
   */
  readonly authenticator?: string | Authenticate | undefined;
  /** `mem`, or a module that the shards load. */
  readonly sessionsProvider?: string | undefined;
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
  /** Sessions that outlive their connection, 0 to 16,000,000. */
  readonly maxSessions?: number | undefined;
  /** Time without its client after which a session ends; 0: never. */
  readonly sessionExpiry?: DurationOption | undefined;
  /** trace, debug, info, warn, error, fatal or silent; of use to who makes a logger by it. */
  readonly logLevel?: string | undefined;
}

/** A configuration and what is worth a warning about how it came to be, a line each. */
export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: string[];
}

/**
 * The environment of this process, for those who load settings of their own (the bench suites) and
 * for what npm says in it.
 */
export function processEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

/**
 * Reads all settings: defaults < environment < command-line flags < library options.
 * @param flags by flag name without dashes (`max-packet-bytes`), as text.
 * @throws ConfigError with a line for every fault; ArgumentError, a TypeError, for options that are
 * none.
 */
export function loadConfig(
  options: ServerOptions = {},
  flags: Readonly<Record<string, string>> = {},
  environment: NodeJS.ProcessEnv = processEnvironment(),
): LoadedConfig {
  const { values, faults, warnings, unknownOptions } = loadSettings<Config>(
    CONFIG_SETTINGS,
    { environment, flags, options },
    {
      prefix: 'SURGEMQ_',
      foreignPrefixes: ['SURGEMQ_BENCH_'],
      foreignOptions: ['logger'],
      relations: CONFIG_RELATIONS,
    },
  );
  // A program's slip, which nobody would see in a log: the others are what people set.
  if (unknownOptions.length > 0) throw new ArgumentError(unknownOptions.join('; '));
  if (faults.length > 0) throw new ConfigError(faults);
  return { config: values, warnings };
}
