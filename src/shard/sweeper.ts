/**
 * Looks at every time-out of a shard, several times a second: there is no timer for each
 * connection.
 */
import { Counter } from '../base/counters.js';
import { CloseReason } from '../base/errors.js';
import { RETAINED_DROPS_LOG_INTERVAL_MS, SWEEP_MS } from '../base/limits.js';
import type { Connection } from '../connection/connection.js';
import type { Shard } from './shard.js';

const TICKS_A_SECOND = Math.round(1000 / SWEEP_MS);

/** One a shard. */
export class Sweeper {
  readonly #shard: Shard;
  readonly #unresponsive = new WeakSet<Connection>();
  #ticks = 0;
  #lookedAt = 0;
  #isPutOff = false;
  /** How many retained messages were dropped when that was last said, and when it was. */
  #dropsSaid = 0;
  #dropsSaidAt = Number.NEGATIVE_INFINITY;

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  /** One look at everything. `now` is coarse time in milliseconds. */
  sweep(now: number): void {
    const { connections, counters, registry, line } = this.#shard;
    // The thread was busy: what clients have sent meanwhile is to be read before they are judged.
    const isLate = now - this.#lookedAt > 2 * SWEEP_MS;
    this.#lookedAt = now;
    this.#isPutOff = isLate && !this.#isPutOff;
    if (this.#isPutOff) return;
    let inflight = 0;
    let queued = 0;
    for (const connection of connections.values()) {
      connection.sweep(now);
      const window = connection.session?.window;
      if (window == null) continue;
      inflight += window.inflight;
      queued += window.queuedMessages;
      if (window.inflight > 0) this.#checkAcks(connection, now);
      else window.release();
    }
    const { absentQueues } = registry;
    counters.set(Counter.inflightMessages, inflight + absentQueues.inflightMessages);
    counters.set(Counter.queuedMessages, queued + absentQueues.queuedMessages);
    this.#checkReaders(now);
    this.#shard.patience.onTick();
    if (this.#shard.heavyOutboxes.size > 0) this.#shard.schedule();
    this.#checkRetained(now);
    this.#ticks++;
    if (this.#ticks % TICKS_A_SECOND !== 0) return;
    line.onSecond();
    this.#shard.clientLog.onSecond();
    counters.set(Counter.eventLoopDelayMs, this.#shard.loopDelay.onSecond());
  }

  /**
   * Counts deliveries that were not acknowledged in time. A live 3.1.1 connection is never sent a
   * message again [MQTT-4.4.0-1]; an MQTT 3.1 one is.
   */
  #checkAcks(connection: Connection, now: number): void {
    const { config, counters } = this.#shard;
    const window = connection.session!.window!;
    const resends = connection.protocolVersion === 3;
    const expired = window.expire(now, config.ackTimeoutMs, resends);
    if (expired === 0) return;
    counters.add(Counter.ackTimeouts, expired);
    if (resends) connection.outbox.wake();
    if (window.expiriesMax <= config.timeoutRetries || this.#unresponsive.has(connection)) return;
    this.#unresponsive.add(connection);
    counters.add(Counter.unresponsiveClients, 1);
    const { clientId } = connection;
    const unacknowledged = window.inflight;
    this.#shard.log('warn', { clientId, unacknowledged }, 'client does not acknowledge');
    if (config.closeUnresponsive) connection.close(CloseReason.unresponsive);
  }

  /**
   * A reader that has not moved for too long holds nobody up any more; one that takes none of the
   * many replies to what it has sent is cut off.
   */
  #checkReaders(now: number): void {
    const { heavyOutboxes, config } = this.#shard;
    for (const outbox of heavyOutboxes) {
      if (outbox.hasUnreadReplies && now - outbox.progressAt > config.ackTimeoutMs) {
        outbox.closeConnection(CloseReason.unresponsive);
        continue;
      }
      if (!outbox.isHeavy) continue;
      if (outbox.comesToLag()) this.#shard.backpressure.lag(outbox);
      if (outbox.isStalled || now - outbox.progressAt <= config.slowConsumerTimeoutMs) continue;
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

  /** Says that messages are not retained: of the first at once, of those behind it now and then. */
  #checkRetained(now: number): void {
    const { counters } = this.#shard;
    const dropped = counters.get(Counter.droppedRetained);
    const isSaidLately = now - this.#dropsSaidAt < RETAINED_DROPS_LOG_INTERVAL_MS;
    if (dropped === this.#dropsSaid || isSaidLately) return;
    const fields = {
      dropped: dropped - this.#dropsSaid,
      retainedMessages: counters.get(Counter.retainedMessages),
      retainedBytes: counters.get(Counter.retainedBytes),
    };
    this.#shard.log(
      'warn',
      fields,
      'messages not retained: raise maxRetainedMessages or maxRetainedBytes, or clear topics',
    );
    this.#dropsSaid = dropped;
    this.#dropsSaidAt = now;
  }
}
