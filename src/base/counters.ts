/**
 * Counters of the shards: 64-bit words in shared memory, a block a shard. A shard alone writes its
 * block, the primary reads them all. An add is a load and a store of an aligned double, which no
 * 64-bit machine tears; a reader may see it a moment late, and nothing is decided by it.
 */
import { CloseReason } from './errors.js';

/** Index of every counter that has a name of its own. Below GAUGES_FROM they only grow. */
export const Counter = {
  connectionsOpened: 0,
  connectRefused: 1,
  messagesReceived: 2,
  /** PUBLISH packets written to sockets, those sent again too; not those that only wait. */
  messagesDelivered: 3,
  bytesReceived: 4,
  bytesSent: 5,
  publishReceivedQos0: 6,
  publishReceivedQos1: 7,
  publishReceivedQos2: 8,
  /** QoS 0 messages not sent to a subscriber that does not read, or lags where others keep up. */
  droppedSlowConsumer: 9,
  /** Messages not queued for a client whose queue is full. */
  droppedQueueFull: 10,
  /** Messages not queued because each alone is larger than a queue may be. */
  droppedOversize: 11,
  /** Messages delivered and not kept as retained: as many or as large as may be are kept. */
  droppedRetained: 12,
  /** Filters refused to clients that have as many subscriptions as a client may have. */
  refusedSubscriptions: 13,
  /** Deliveries not acknowledged in time. */
  ackTimeouts: 14,
  /** Clients that let the retries go by too. */
  unresponsiveClients: 15,
  /** CONNECTs that the authenticator did not decide about: it failed, or took too long. */
  authenticationFailures: 16,
  /** Records of other shards that were not what their kind says, and were left out. */
  unreadableRecords: 17,
  /** Sessions that a client wanted to be kept and that were refused: as many as may be are. */
  refusedSessions: 18,
  /** Sessions that ended because their client was away for too long. */
  expiredSessions: 19,
  /** Messages not queued because those that wait for all clients take as much as they may. */
  droppedTotalBytes: 20,
  /** Retained messages not sent to a new subscriber, as its queue or all together were full. */
  droppedReplay: 21,
  /** Messages that waited in sessions that ended: expired, begun anew, or clean and left. */
  droppedExpired: 22,
  connectionsOpen: 23,
  sessions: 24,
  subscriptions: 25,
  retainedMessages: 26,
  retainedBytes: 27,
  /** Messages sent and not acknowledged, those that absent clients left so among them. */
  inflightMessages: 28,
  /** Messages that wait to be sent for the first time, to absent clients too. */
  queuedMessages: 29,
  /** What these take of maxQueuedTotalBytes, with those sent that are kept to be sent again. */
  queuedBytes: 30,
  /** What larger unfinished packets of clients take. */
  unfinishedBytes: 31,
  /** CONNECTs that wait for the authenticator. */
  authenticationsWaiting: 32,
  /** Workers that keep nothing new, as they would run out of memory. */
  shortOfMemory: 33,
  /** Longest delay of the event loop in the last minute, in milliseconds. */
  eventLoopDelayMs: 34,
} as const;
export type CounterName = keyof typeof Counter;

/** From here to CLOSED_FROM a counter says what is there now; it goes when its shard goes. */
const GAUGES_FROM = Counter.connectionsOpen;
/** From here on, one counter for each reason to close a connection. */
const CLOSED_FROM = Counter.eventLoopDelayMs + 1;
const CLOSE_REASONS = Object.values(CloseReason);
const COUNTERS = CLOSED_FROM + CLOSE_REASONS.length;
/** Whole cache lines, so that no two shards write to one. */
const BLOCK_BYTES = Math.ceil((COUNTERS * Float64Array.BYTES_PER_ELEMENT) / 128) * 128;
const COUNTER_NAMES = Object.entries(Counter) as [CounterName, number][];
const CLOSED_INDEX = new Map(CLOSE_REASONS.map((reason, at) => [reason, CLOSED_FROM + at]));

/**
 * The counters of one or more shards under their names, and the closed connections by reason. Sums,
 * but for `eventLoopDelayMs`, which is the largest.
 */
export type CounterTotals = { [name in CounterName]: number } & {
  closed: { [reason in CloseReason]: number };
};

/** Makes the block of one shard, all zero. */
export function createCounterBlock(): SharedArrayBuffer {
  return new SharedArrayBuffer(BLOCK_BYTES);
}

/** A shard's own counters: the one writer of its block. */
export class Counters {
  readonly #words: Float64Array;

  /** @param block from `createCounterBlock`. */
  constructor(block: SharedArrayBuffer = createCounterBlock()) {
    this.#words = new Float64Array(block);
  }

  /** Adds `amount` (negative for a gauge that falls) to the counter at `index`, one of Counter. */
  add(index: number, amount: number): void {
    this.#words[index] += amount;
  }

  set(index: number, value: number): void {
    this.#words[index] = value;
  }

  get(index: number): number {
    return this.#words[index];
  }

  /** Counts a closed connection. */
  addClosed(reason: CloseReason): void {
    this.add(CLOSED_INDEX.get(reason)!, 1);
  }
}

/**
 * The sums of all blocks, by name, and the longest of the delays. Reads while the shards write:
 * each word is right, all together nearly.
 */
export function sumCounters(blocks: Iterable<SharedArrayBuffer>): CounterTotals {
  const sums = new Float64Array(COUNTERS);
  for (const block of blocks) {
    const words = new Float64Array(block);
    for (let index = 0; index < COUNTERS; index++) {
      const isMaximum = index === Counter.eventLoopDelayMs;
      sums[index] = isMaximum ? Math.max(sums[index], words[index]) : sums[index] + words[index];
    }
  }
  return {
    ...(Object.fromEntries(COUNTER_NAMES.map(([name, at]) => [name, sums[at]])) as {
      [name in CounterName]: number;
    }),
    closed: Object.fromEntries(
      CLOSE_REASONS.map((reason, at) => [reason, sums[CLOSED_FROM + at]]),
    ) as { [reason in CloseReason]: number },
  };
}

/**
 * Adds what a dead shard had counted to `heir`, a block that nobody writes: totals must not fall
 * because a shard died. Its gauges go with it; the connections it had count as lost.
 */
export function retireCounters(dead: SharedArrayBuffer, heir: SharedArrayBuffer): void {
  const from = new Float64Array(dead);
  const to = new Float64Array(heir);
  for (let index = 0; index < COUNTERS; index++) {
    if (index < GAUGES_FROM || index >= CLOSED_FROM) to[index] += from[index];
  }
  const lost = CLOSED_INDEX.get(CloseReason.connectionLost)!;
  to[lost] += from[Counter.connectionsOpen];
}
