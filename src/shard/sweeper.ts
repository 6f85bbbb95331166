/**
 * What a shard looks at several times a second: readers that are behind, and what is told of it in
 * gauges and now and then in the log. Connections and sessions have deadlines of their own.
 */
import { Counter, type CounterName } from '../base/counters.js';
import { CloseReason } from '../base/errors.js';
import { DROPS_LOG_INTERVAL_MS, SWEEP_MS } from '../base/limits.js';
import { passed } from '../sessions/window-form.js';
import { memoryGauge } from './memory-guard.js';
import { MemoryReturn, memoryReturnSteps } from './memory-return.js';
import type { Shard } from './shard.js';

const TICKS_A_SECOND = Math.round(1000 / SWEEP_MS);

/** Messages that are dropped as a bound of a shard is reached, and what is said of them. */
const DROPS: readonly { counter: number; gauges: readonly CounterName[]; message: string }[] = [
  {
    counter: Counter.droppedRetained,
    gauges: ['retainedMessages', 'retainedBytes'],
    message:
      'messages not retained: raise maxRetainedMessages, maxRetainedBytes or storeBytes, or ' +
      'clear topics',
  },
  {
    counter: Counter.droppedTotalBytes,
    gauges: ['queuedMessages', 'queuedBytes'],
    message:
      'messages for absent or slow clients dropped: as much waits as may; raise ' +
      'maxQueuedTotalBytes, or lower sessionExpiry or maxQueuedBytes',
  },
];

/** One a shard. */
export class Sweeper {
  readonly #shard: Shard;
  #ticks = 0;
  #lookedAt = 0;
  #isPutOff = false;
  readonly #memoryReturn = new MemoryReturn(memoryReturnSteps(() => memoryGauge.heap().usedBytes));
  readonly #drops = DROPS.map((each) => ({ ...each, said: 0, saidAt: Number.NEGATIVE_INFINITY }));

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  /** One look at everything. `now` is coarse time in milliseconds. */
  sweep(now: number): void {
    const { counters, registry, line, sessionWatch, store } = this.#shard;
    // The thread was busy: what clients have taken meanwhile is to be seen before they are judged.
    const isLate = now - this.#lookedAt > 2 * SWEEP_MS;
    this.#lookedAt = now;
    this.#isPutOff = isLate && !this.#isPutOff;
    if (this.#isPutOff) return;
    const { inflightMessages, queuedMessages, total } = registry.absentQueues;
    counters.set(Counter.inflightMessages, sessionWatch.inflightMessages + inflightMessages);
    const onDisk = store === null ? 0 : store.kept.diskMessages;
    counters.set(Counter.queuedMessages, sessionWatch.queuedMessages + queuedMessages + onDisk);
    counters.set(Counter.queuedBytes, total.bytes);
    counters.set(Counter.unfinishedBytes, this.#shard.unfinished.bytes);
    this.#countPassed();
    this.#checkReaders(now);
    this.#shard.patience.onTick();
    if (this.#shard.heavyOutboxes.size > 0) this.#shard.schedule();
    this.#checkDrops(now);
    this.#ticks++;
    if (this.#ticks % TICKS_A_SECOND !== 0) return;
    line.onSecond();
    this.#shard.clientLog.onSecond();
    this.#shard.router.drops.tell(now, (clientId, dropped) =>
      this.#shard.log('warn', { clientId, dropped }, 'messages for a client were dropped'),
    );
    this.#memoryReturn.onSecond(total.bytes + this.#shard.unfinished.bytes);
    counters.set(Counter.eventLoopDelayMs, this.#shard.loopDelay.onSecond());
  }

  /** Messages that windows have passed over. */
  #countPassed(): void {
    const { counters } = this.#shard;
    counters.add(Counter.droppedMessageExpired, passed.expired);
    counters.add(Counter.droppedOversize, passed.tooLong);
    counters.add(Counter.deniedDeliveries, passed.denied);
    passed.expired = 0;
    passed.denied = 0;
    passed.tooLong = 0;
  }

  /**
   * A reader that has not moved for too long holds nobody up any more; one that takes none of the
   * many replies to what it has sent is cut off.
   */
  #checkReaders(now: number): void {
    const { heavyOutboxes, config } = this.#shard;
    for (const outbox of heavyOutboxes) {
      outbox.noteProgress();
      if (outbox.hasUnreadReplies && now - outbox.progressAt > config.ackTimeoutMs) {
        outbox.closeConnection(CloseReason.unresponsive);
        continue;
      }
      if (!outbox.isHeavy) continue;
      if (outbox.comesToLag()) {
        if (outbox.limits.slowConsumerPolicy === 'disconnect') {
          this.#shard.onSlowConsumer(outbox.session?.clientId ?? '');
          outbox.closeConnection(CloseReason.slowConsumer);
          continue;
        }
        this.#shard.backpressure.lag(outbox);
      }
      if (outbox.isStalled || now - outbox.progressAt <= outbox.limits.slowConsumerTimeoutMs)
        continue;
      const clientId = outbox.session?.clientId;
      const { pendingBytes } = outbox;
      this.#shard.log(
        'warn',
        { clientId, pendingBytes },
        'slow consumer: its messages are dropped',
      );
      outbox.stall();
    }
  }

  /** Says what is dropped as a bound is reached: the first at once, the rest now and then. */
  #checkDrops(now: number): void {
    const { counters } = this.#shard;
    for (const drops of this.#drops) {
      const count = counters.get(drops.counter);
      if (count === drops.said || now - drops.saidAt < DROPS_LOG_INTERVAL_MS) continue;
      const gauges = drops.gauges.map((name) => [name, counters.get(Counter[name])]);
      const fields = { dropped: count - drops.said, ...Object.fromEntries(gauges) };
      this.#shard.log('warn', fields, drops.message);
      drops.said = count;
      drops.saidAt = now;
    }
  }
}
