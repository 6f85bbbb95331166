/**
 * Messages and bytes a second that one client may send: two token buckets, each of a second's
 * worth. What is read is handled whole and paid for behind that, so a read may leave a debt, which
 * the client waits out: nothing is read from it, nothing of what it sends is dropped. One that has
 * left meanwhile is not waited for longer than LEFT_LOOK_MS, and its next connection owes what
 * it owed.
 */
import { sharedMs } from '../base/clock.js';
import { Counter } from '../base/counters.js';
import { Deadline } from '../base/deadlines.js';
import { CloseReason } from '../base/errors.js';
import { LEFT_LOOK_MS } from '../base/limits.js';
import { type Connection, Pause } from './connection.js';

/** One for a connection whose rates are limited; its deadline is the end of a pause. */
export class RateLimit extends Deadline {
  readonly messageRate: number;
  readonly byteRate: number;
  readonly #connection: Connection;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  /** When what its last connection owed is over, by performance.now(). */
  #owesUntil = 0;

  /** @param messageRate, byteRate a second; 0: no limit. */
  constructor(connection: Connection, messageRate: number, byteRate: number) {
    super();
    this.#connection = connection;
    this.messageRate = messageRate;
    this.byteRate = byteRate;
    const now = performance.now();
    this.#messages = new TokenBucket(messageRate, now);
    this.#bytes = new TokenBucket(byteRate, now);
  }

  /** It owes for so long from before. */
  owe(milliseconds: number): void {
    this.#owesUntil = performance.now() + milliseconds;
    this.#check();
  }

  /** So many messages were published, of whatever QoS, those sent again too. */
  onMessages(count: number): void {
    if (this.#messages.take(count, performance.now())) this.#check();
  }

  /** So many bytes were read, of whatever packets. */
  onBytes(count: number): void {
    if (this.#bytes.take(count, performance.now())) this.#check();
  }

  /** Its connection is closed: what is owed is for the next one. */
  close(): void {
    this.cancelDeadline();
    const owed = this.#msOwed();
    if (owed <= 0) return;
    const { host, admission, clientId } = this.#connection;
    host.rateDebts.note(admission?.username ?? null, clientId, owed, sharedMs());
  }

  /** The pause is over, if there is nothing that was kept and has been handled meanwhile. */
  onDeadline(): void {
    const owed = this.#msOwed();
    const connection = this.#connection;
    if (owed <= 0) connection.goOnBelowRate();
    else if (owed > LEFT_LOOK_MS && connection.transport.hasLeft)
      connection.close(CloseReason.connectionLost);
    else this.#wait();
  }

  /** Pauses the connection, if it owes anything still. */
  #check(): void {
    const connection = this.#connection;
    if (this.isDeadlineSet || this.#msOwed() <= 0) return;
    connection.pause(Pause.overRate);
    connection.host.clientLog.limits.note(Counter.overRate, connection.clientId);
    this.#wait();
  }

  #msOwed(): number {
    const now = performance.now();
    const owed = Math.max(this.#messages.msOwed(now), this.#bytes.msOwed(now));
    return Math.max(owed, this.#owesUntil - now);
  }

  #wait(): void {
    const { deadlines } = this.#connection.host;
    deadlines.set(this, deadlines.now, Math.min(this.#msOwed(), LEFT_LOOK_MS));
  }
}

/** Makes the rate limit of a connection; null where the settings have none. */
export function rateLimitOf(connection: Connection): RateLimit | null {
  const { maxMessageRate, maxByteRate } = connection.profile.config;
  if (maxMessageRate === 0 && maxByteRate === 0) return null;
  return new RateLimit(connection, maxMessageRate, maxByteRate);
}

/** What a client owes from its last connection, which its next one begins with. */
export function takeDebt({ rate, host, admission, clientId }: Connection): void {
  if (rate === null) return;
  const owed = host.rateDebts.owedMs(admission?.username ?? null, clientId, sharedMs());
  if (owed > 0) rate.owe(owed);
}

/** Where the rates of a connection that is open are others now, it owes nothing from here on. */
export function renewRateLimit(connection: Connection): void {
  const { session, rate, profile } = connection;
  if (session === null) return;
  const { maxMessageRate, maxByteRate } = profile.config;
  const [messageRate, byteRate] = rate === null ? [0, 0] : [rate.messageRate, rate.byteRate];
  if (messageRate === maxMessageRate && byteRate === maxByteRate) return;
  rate?.cancelDeadline();
  connection.rate = rateLimitOf(connection);
  connection.goOnBelowRate();
}

/** Tokens that come at a steady rate and gather for a second. */
export class TokenBucket {
  readonly #rate: number;
  #tokens: number;
  #filledAt: number;

  /** @param rate tokens a second; 0: any number may be taken. @param now in milliseconds. */
  constructor(rate: number, now: number) {
    this.#rate = rate === 0 ? Number.POSITIVE_INFINITY : rate;
    this.#tokens = this.#rate;
    this.#filledAt = now;
  }

  /**
   * Takes tokens, more than there are too; what has come until `now` is there, a second's worth at
   * most. @returns whether some are owed.
   */
  take(count: number, now: number): boolean {
    if (this.#rate === Number.POSITIVE_INFINITY) return false;
    this.#fill(now);
    this.#tokens -= count;
    return this.#tokens < 0;
  }

  /** How long it takes until nothing is owed, in milliseconds; 0 or less: nothing is. */
  msOwed(now: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY) return 0;
    this.#fill(now);
    return (-this.#tokens * 1_000) / this.#rate;
  }

  #fill(now: number): void {
    const come = ((now - this.#filledAt) * this.#rate) / 1_000;
    this.#tokens = Math.min(this.#rate, this.#tokens + come);
    this.#filledAt = now;
  }
}
