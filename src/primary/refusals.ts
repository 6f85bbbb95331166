/** Says that connections are refused, once a second however many they are. */
import { REFUSAL_LOG_INTERVAL_MS } from '../base/limits.js';
import type { Logger } from '../base/log.js';

/** Why a connection is closed at once, or its CONNECT refused. */
export const RefusalReason = {
  descriptorsExhausted: 'descriptors-exhausted',
  maxConnections: 'max-connections',
  listenerConnections: 'max-connections-of-listener',
  addressConnections: 'max-connections-per-address',
  addressRate: 'connect-rate-per-address',
  connectRate: 'connect-rate',
  maxSessions: 'max-sessions',
  maxConnectionsPerUser: 'max-connections-per-user',
  maxLoopDelay: 'max-loop-delay',
  memoryLimit: 'memory-limit',
  noShard: 'no-shard',
  acceptFailed: 'accept-failed',
} as const;
export type RefusalReason = (typeof RefusalReason)[keyof typeof RefusalReason];

/** A count for each reason, all 0. */
export function noRefusals(): Record<RefusalReason, number> {
  const counts: Partial<Record<RefusalReason, number>> = {};
  for (const reason of Object.values(RefusalReason)) counts[reason] = 0;
  return counts as Record<RefusalReason, number>;
}

/** Refusals of one reason that have not been told. */
interface Untold {
  count: number;
  detail: string;
}

/**
 * Collects refusals: the first is logged at once, later ones together at the end of each interval.
 */
export class Refusals {
  readonly #logger: Logger;
  readonly #intervalMs: number;
  readonly #totals: Record<RefusalReason, number>;
  readonly #untold = new Map<RefusalReason, Untold>();
  #timer: NodeJS.Timeout | null = null;

  constructor(logger: Logger, intervalMs: number = REFUSAL_LOG_INTERVAL_MS) {
    this.#logger = logger;
    this.#intervalMs = intervalMs;
    this.#totals = noRefusals();
  }

  /** Connections refused so far, for whatever reason. */
  get total(): number {
    return Object.values(this.#totals).reduce((sum, count) => sum + count, 0);
  }

  /** The same by reason. */
  get totals(): Readonly<Record<RefusalReason, number>> {
    return { ...this.#totals };
  }

  /**
   * @param detail what the operator should know besides, such as the limit; the newest is logged.
   */
  add(reason: RefusalReason, detail: string, count = 1): void {
    this.#totals[reason] += count;
    const untold = this.#untold.get(reason);
    if (untold === undefined) this.#untold.set(reason, { count, detail });
    else {
      untold.count += count;
      untold.detail = detail;
    }
    if (this.#timer === null) this.#tell();
  }

  /** Logs what is untold, and no more after that. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#tellAll();
  }

  #tell(): void {
    if (this.#untold.size === 0) {
      this.#timer = null;
      return;
    }
    this.#tellAll();
    this.#timer = setTimeout(() => this.#tell(), this.#intervalMs);
    this.#timer.unref();
  }

  #tellAll(): void {
    for (const [reason, { count, detail }] of this.#untold) {
      this.#logger.warn({ reason, count, detail }, 'connections refused');
    }
    this.#untold.clear();
  }
}
