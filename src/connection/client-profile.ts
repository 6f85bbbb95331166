/**
 * What holds for the clients of one listener and user: the configuration with their own values in
 * it, and what their queues, windows and reads are held to. All clients for whom nothing of its own
 * is configured share one profile, so that each pays what it would pay without.
 */
import type { Config } from '../base/config.js';
import type { SlowConsumerPolicy } from '../base/slow-consumer-policy.js';
import type { WindowLimits } from '../sessions/window-limits.js';
import type { Connection } from './connection.js';
import type { OutboxLimits } from './outbox-host.js';
import { payloadBytesMax } from './publish-limits.js';
import { refusedFlags } from './refused-flags.js';

/** One; a reload changes it in place, so whoever has it follows. */
export class ClientProfile implements WindowLimits, OutboxLimits {
  /** URI of the listener whose own values are in it; empty: none has any. */
  readonly listener: string;
  /** The user whose own values are in it; null: none has any. */
  readonly username: string | null;
  config: Config;
  maxInflight = 0;
  maxInflightBytes = 0;
  maxQueuedMessages = 0;
  maxQueuedBytes = 0;
  outboxBytes = 0;
  outboxBytesMax = 0;
  slowConsumerPolicy: SlowConsumerPolicy = 'backpressure';
  slowConsumerTimeoutMs = 0;
  /** Bits of a PUBLISH header that are not taken: see refused-flags.ts. */
  refusedFlags = 0;
  /** The longest payload taken. */
  payloadBytesMax = 0;

  /** @param config with the own values in it. @param mayQueue see `take`. */
  constructor(listener: string, username: string | null, config: Config, mayQueue: boolean) {
    this.listener = listener;
    this.username = username;
    this.config = config;
    this.take(config, mayQueue);
  }

  /**
   * Another configuration holds from here on.
   * @param mayQueue false while memory is short: nothing may wait for who is away.
   */
  take(config: Config, mayQueue: boolean): void {
    this.config = config;
    this.maxInflight = config.maxInflight;
    this.maxInflightBytes = config.maxInflightBytes;
    this.maxQueuedBytes = config.maxQueuedBytes;
    this.outboxBytes = config.outboxBytes;
    this.outboxBytesMax = Math.max(config.maxQueuedBytes, config.outboxBytes);
    this.slowConsumerPolicy = config.slowConsumerPolicy;
    this.slowConsumerTimeoutMs = config.slowConsumerTimeoutMs;
    this.refusedFlags = refusedFlags(config);
    this.payloadBytesMax = payloadBytesMax(config);
    this.allowQueued(mayQueue);
  }

  allowQueued(isAllowed: boolean): void {
    this.maxQueuedMessages = isAllowed ? this.config.maxQueuedMessages : 0;
  }
}

/** Gives a connection the profile of whom it has been let in as, as it is configured now. */
export function giveProfile(connection: Connection): void {
  const { host, transport, admission, session } = connection;
  const profile = host.profileOf(transport.peer.listener, admission?.username ?? null);
  if (profile === connection.profile) return;
  connection.profile = profile;
  connection.outbox.limits = profile;
  if (session !== null) session.limits = profile;
}
