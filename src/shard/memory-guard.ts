/**
 * Sees a shard run out of memory before it does. V8 ends a thread whose heap is full, and all its
 * sessions with it; what would fill it further is refused before that: new sessions, new
 * subscriptions, new retained messages, and what would wait for clients that are away.
 */

import { getHeapStatistics } from 'node:v8';
import { Counter, type Counters } from '../base/counters.js';
import {
  MEMORY_ENOUGH_SHARE,
  MEMORY_LOOK_BYTES_MAX,
  MEMORY_LOOK_BYTES_MIN,
  MEMORY_SHORT_SHARE,
} from '../base/limits.js';

/** How much is used of what there is. */
export interface MemoryUse {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

/** What a guard looks at. */
export interface MemoryGauge {
  /** The heap of this thread. */
  heap(): MemoryUse;
}

/** The real one. */
export const memoryGauge: MemoryGauge = {
  heap() {
    const { used_heap_size: usedBytes, heap_size_limit: limitBytes } = getHeapStatistics();
    return { usedBytes, limitBytes };
  },
};

/** What the smallest messages take of the heap while they wait, for each of their bytes. */
const HEAP_BYTES_PER_BYTE = 10;

/** The whole process, as the primary has found it: buffers are not on any heap. */
export interface ProcessMemory {
  readonly isShort: boolean;
}

/** Where a guard says what it has seen. */
export interface GuardLog {
  log(level: 'info' | 'warn', fields: object, message: string): void;
}

/** Bounds of a shard's queues. */
export interface QueueBounds {
  /** Whether anything may wait for clients that are away. */
  allowQueued(isAllowed: boolean): void;
}

/** One a shard. */
export class MemoryGuard {
  readonly #gauge: MemoryGauge;
  readonly #process: ProcessMemory;
  readonly #counters: Counters;
  readonly #log: GuardLog;
  readonly #queues: QueueBounds;
  /** It is the heap of this thread that is short. */
  isHeapShort = false;
  #isShort = false;
  /** Bytes read when `onRead` looks again, and from one look to the next. */
  #nextLookAtBytes = MEMORY_LOOK_BYTES_MIN;
  #lookAfterBytes = MEMORY_LOOK_BYTES_MIN;

  constructor(
    queues: QueueBounds,
    counters: Counters,
    log: GuardLog,
    process: ProcessMemory,
    gauge: MemoryGauge = memoryGauge,
  ) {
    this.#queues = queues;
    this.#counters = counters;
    this.#log = log;
    this.#gauge = gauge;
    this.#process = process;
  }

  /** Nothing new is to be kept. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /**
   * So many bytes were read from clients in all: looks once more when enough may have come to fill
   * what was left. The sweeper may be late while clients flood.
   */
  onRead(bytesReceived: number): void {
    if (bytesReceived < this.#nextLookAtBytes) return;
    this.check();
    this.#nextLookAtBytes = bytesReceived + this.#lookAfterBytes;
  }

  /**
   * Looks; to be called every SWEEP_MS. What is used includes garbage, but near its limit V8 lets
   * little of that gather: it collects half-way between what is in use and the limit.
   */
  check(): void {
    const share = this.#isShort ? MEMORY_ENOUGH_SHARE : MEMORY_SHORT_SHARE;
    const heap = this.#gauge.heap();
    const isHeapShort = heap.usedBytes > share * heap.limitBytes;
    const leftBytes = (MEMORY_SHORT_SHARE * heap.limitBytes - heap.usedBytes) / HEAP_BYTES_PER_BYTE;
    const bytes = Math.max(leftBytes, MEMORY_LOOK_BYTES_MIN);
    this.#lookAfterBytes = this.#isShort
      ? MEMORY_LOOK_BYTES_MAX
      : Math.min(bytes, MEMORY_LOOK_BYTES_MAX);
    this.isHeapShort = isHeapShort;
    const isShort = isHeapShort || this.#process.isShort;
    if (isShort === this.#isShort) return;
    this.#isShort = isShort;
    this.#counters.set(Counter.shortOfMemory, isShort ? 1 : 0);
    this.#queues.allowQueued(!isShort);
    const fields = {
      heapBytes: heap.usedBytes,
      heapLimitBytes: heap.limitBytes,
    };
    if (!isShort)
      this.#log.log('info', fields, 'memory is no longer short: everything is taken again');
    else if (isHeapShort) this.#log.log('warn', fields, `a worker is ${SHORT}; ${HEAP_ADVICE}`);
    else this.#log.log('warn', fields, `the process is ${SHORT}; ${PROCESS_ADVICE}`);
  }
}

const SHORT =
  'short of memory: new sessions, subscriptions and retained messages and messages for absent ' +
  'clients are refused';
const HEAP_ADVICE =
  'start with more workers or with NODE_OPTIONS=--max-old-space-size, or lower maxConnections, ' +
  'maxQueuedMessages or maxRetainedMessages';
const PROCESS_ADVICE =
  'give it more, or lower maxConnections, maxQueuedTotalBytes or maxRetainedBytes';
