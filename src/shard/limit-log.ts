/**
 * Says that clients have come to a limit: for each limit the first case at once, those behind it
 * together, now and then. A counter has every case.
 */
import { monotonicMs } from '../base/clock.js';
import { Counter, type Counters } from '../base/counters.js';
import { LIMIT_LOG_INTERVAL_MS } from '../base/limits.js';
import type { PrimaryLine } from './primary-line.js';

/** What is said of each limit: what happened, and what to do. */
const MESSAGES: ReadonlyMap<number, string> = new Map([
  [
    Counter.overRate,
    'clients that send too much were not read from for a while: raise maxMessageRate or ' +
      'maxByteRate if they may',
  ],
  [Counter.slowConsumers, 'clients are behind: slowConsumerPolicy says what they lose'],
  [Counter.refusedPayloads, 'payloads refused: longer than maxPayloadBytes'],
  [Counter.refusedTopics, 'topics refused: beyond maxTopicBytes or maxTopicLevels'],
]);

interface Untold {
  count: number;
  /** The client that came to it last. */
  clientId: string;
  saidAt: number;
}

/** One a shard. */
export class LimitLog {
  readonly #counters: Counters;
  readonly #line: Pick<PrimaryLine, 'log'>;
  readonly #clock: () => number;
  readonly #untold = new Map<number, Untold>();

  /** @param clock in milliseconds; tests bring their own. */
  constructor(counters: Counters, line: Pick<PrimaryLine, 'log'>, clock = monotonicMs) {
    this.#counters = counters;
    this.#line = line;
    this.#clock = clock;
  }

  /** A client has come to the limit that `counter`, one of Counter, counts. */
  note(counter: number, clientId: string): void {
    this.#counters.add(counter, 1);
    let untold = this.#untold.get(counter);
    if (untold === undefined) {
      untold = { count: 0, clientId, saidAt: Number.NEGATIVE_INFINITY };
      this.#untold.set(counter, untold);
    }
    untold.count++;
    untold.clientId = clientId;
    this.#tell(counter, untold);
  }

  /** A second has passed. */
  onSecond(): void {
    for (const [counter, untold] of this.#untold) {
      if (untold.count > 0) this.#tell(counter, untold);
    }
  }

  #tell(counter: number, untold: Untold): void {
    const now = this.#clock();
    if (now - untold.saidAt < LIMIT_LOG_INTERVAL_MS) return;
    const { count, clientId } = untold;
    this.#line.log('warn', { count, lastClientId: clientId }, MESSAGES.get(counter) ?? '');
    untold.count = 0;
    untold.saidAt = now;
  }
}
