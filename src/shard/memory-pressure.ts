/**
 * What a shard does while the process has little memory left, by the level that the primary has
 * found (base/memory-level.ts). From *high* on it has readers that are behind lose QoS 0 messages,
 * lets replays wait and gives back what is garbage; at *critical* it does not read from publishers.
 *
 * Those must not wait for ever: their acks may be what others' memory waits for, and what is used
 * may stay what it is. So some of them are read each time, whoever has waited longest first.
 */
import { collectGarbage } from '../base/collect-garbage.js';
import { Counter, type Counters } from '../base/counters.js';
import { trimMemory } from '../base/libc.js';
import {
  MEMORY_RETURN_HEAP_BYTES_MAX,
  PAUSED_PUBLISHERS_READ,
  PRESSURE_RETURN_MS,
} from '../base/limits.js';
import { MemoryLevel } from '../base/memory-level.js';
import { type Connection, Pause } from '../connection/connection.js';
import { OutboxTotal } from '../connection/outbox-total.js';
import { memoryGauge } from './memory-guard.js';
import type { Shard } from './shard.js';

/** One a shard. */
export class MemoryPressure {
  /** What waits in the outboxes of the shard. */
  readonly outboxes = new OutboxTotal();
  level: MemoryLevel = MemoryLevel.ample;
  readonly #shard: Pick<Shard, 'connections' | 'heavyOutboxes' | 'schedule'>;
  readonly #counters: Counters;
  readonly #word: Int32Array;
  readonly #paused = new Set<Connection>();
  #returnedAt = 0;

  /** @param word from createMemoryWord. */
  constructor(
    shard: Pick<Shard, 'connections' | 'heavyOutboxes' | 'schedule'>,
    counters: Counters,
    word: SharedArrayBuffer,
  ) {
    this.#shard = shard;
    this.#counters = counters;
    this.#word = new Int32Array(word);
  }

  /** Readers that are behind lose QoS 0 messages. */
  get shedsQos0(): boolean {
    return this.level >= MemoryLevel.high || this.outboxes.isFull;
  }

  /** Retained messages are replayed later. */
  get delaysReplays(): boolean {
    return this.level >= MemoryLevel.high;
  }

  /** The process has no memory for anything new. */
  get isShort(): boolean {
    return this.#word[0]! >= MemoryLevel.short;
  }

  /** A connection was read. */
  onRead(connection: Connection): void {
    if (this.#word[0] !== this.level) this.#take(this.#word[0] as MemoryLevel);
    if (this.level === MemoryLevel.critical) this.#hold(connection);
  }

  /** To be called every SWEEP_MS. @param now in milliseconds. */
  onTick(now: number): void {
    this.#counters.set(Counter.outboxBytes, this.outboxes.bytes);
    if (this.#word[0] !== this.level) this.#take(this.#word[0] as MemoryLevel);
    if (this.level === MemoryLevel.ample) return;
    if (this.level === MemoryLevel.critical) this.#letSomeGoOn();
    this.#giveBack(now);
  }

  #take(level: MemoryLevel): void {
    const before = this.level;
    this.level = level;
    if (level >= MemoryLevel.high) {
      for (const outbox of this.#shard.heavyOutboxes) outbox.shed();
    } else {
      // Replays go on.
      this.#shard.schedule();
    }
    if (level === MemoryLevel.critical) {
      for (const connection of this.#shard.connections.values()) this.#hold(connection);
    } else if (before === MemoryLevel.critical) {
      for (const connection of this.#paused) this.#letGo(connection);
    }
  }

  /** Has a publisher wait; others are read, as what they send takes none, or frees some. */
  #hold(connection: Connection): void {
    if (connection.lastRoute === null || this.#paused.has(connection)) return;
    this.#paused.add(connection);
    this.#counters.add(Counter.pausedForMemory, 1);
    connection.pause(Pause.memory);
  }

  #letGo(connection: Connection): void {
    this.#paused.delete(connection);
    connection.unpause(Pause.memory);
  }

  #letSomeGoOn(): void {
    let left = PAUSED_PUBLISHERS_READ;
    for (const connection of this.#paused) {
      if (!connection.isClosed && left-- === 0) break;
      this.#letGo(connection);
    }
  }

  /** What is garbage counts as used until it is collected and given back. */
  #giveBack(now: number): void {
    if (now - this.#returnedAt < PRESSURE_RETURN_MS) return;
    this.#returnedAt = now;
    if (memoryGauge.heap().usedBytes <= MEMORY_RETURN_HEAP_BYTES_MAX) collectGarbage();
    trimMemory();
  }
}
