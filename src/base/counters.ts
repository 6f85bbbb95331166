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
  /**
   * QoS 0 messages not sent to a subscriber that does not read, or lags where others keep up, and
   * messages of any QoS that gave way to newer ones, as `slowConsumerPolicy` says.
   */
  droppedSlowConsumer: 9,
  /** Messages not queued for a client whose queue is full. */
  droppedQueueFull: 10,
  /** Messages that alone are larger than a queue may be, or than their client takes. */
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
  /** Messages that expired before they could be sent [MQTT-3.3.2-5]. */
  droppedMessageExpired: 23,
  /** CONNECTs and exchanges of clients that are not who they say they are. */
  authenticationRefusals: 24,
  /** Messages and wills that access rules forbid their client to publish. */
  refusedPublications: 25,
  /** Filters of which access rules let their client read nothing. */
  deniedSubscriptions: 26,
  /** Messages that waited, were retained, or were for a group, and may not be read. */
  deniedDeliveries: 27,
  /** Times that a client was not read from for a while, as it had sent more than it may. */
  overRate: 28,
  /** Messages and wills refused for their payload. */
  refusedPayloads: 29,
  /** Messages and wills refused for the length or the levels of their topic. */
  refusedTopics: 30,
  /** CONNECTs of users that have as many connections as a user may have. */
  refusedUserConnections: 31,
  /** CONNECTs for which there was no room among those that wait to be authenticated. */
  authenticationsTurnedAway: 32,
  /** Handshakes beneath MQTT, such as TLS, that came to their end. */
  handshakes: 33,
  /** Of these, by a ticket of an earlier connection. */
  handshakesResumed: 34,
  /** Clients that took too long for theirs. */
  handshakeTimeouts: 35,
  /** The oldest, when more began than may be at a time. */
  handshakesDisplaced: 36,
  /** Client certificates missing, not valid, or revoked. */
  certificatesRefused: 37,
  /** What came was no handshake, or none that both sides can go through with. */
  handshakesFailed: 38,
  /** Clients that left in the middle, or before they had sent anything. */
  handshakesLeft: 39,
  /** Times that a publisher was not read from as memory was about to run out. */
  pausedForMemory: 40,
  /** CONNECTs of new clients refused as there was no memory for them. */
  refusedForMemory: 41,
  /** Times that a client fell behind so far that slowConsumerPolicy took effect. */
  slowConsumers: 42,
  connectionsOpen: 43,
  sessions: 44,
  subscriptions: 45,
  retainedMessages: 46,
  retainedBytes: 47,
  /** Messages sent and not acknowledged, those that absent clients left so among them. */
  inflightMessages: 48,
  /**
   * Messages that wait to be sent for the first time, to absent clients too, in memory or on disk.
   * What a session had on disk when the broker started counts when it is first needed.
   */
  queuedMessages: 49,
  /** What these take of maxQueuedTotalBytes, with those sent that are kept to be sent again. */
  queuedBytes: 50,
  /** What larger unfinished packets of clients take. */
  unfinishedBytes: 51,
  /** CONNECTs that wait for the authenticator. */
  authenticationsWaiting: 52,
  /** Clients that are not told yet that they are refused. */
  refusalsDelayed: 53,
  /** Workers that keep nothing new, as they would run out of memory. */
  shortOfMemory: 54,
  /** What waits for sockets that take no more for now. */
  outboxBytes: 55,
  /** Longest delay of the event loop in the last minute, in milliseconds. */
  eventLoopDelayMs: 56,
} as const;
export type CounterName = keyof typeof Counter;

/** From here to CLOSED_FROM a counter says what is there now; it goes when its shard goes. */
const GAUGES_FROM = Counter.connectionsOpen;
/** From here on, one counter for each reason to close a connection. */
const CLOSED_FROM = Counter.eventLoopDelayMs + 1;
const CLOSE_REASONS = Object.values(CloseReason);
const COUNTERS = CLOSED_FROM + CLOSE_REASONS.length;
/** Behind the counters, in no sum: when the shard was last seen at work, and how late it was. */
const SEEN_AT = COUNTERS;
const LATE_BY = COUNTERS + 1;
/** Whole cache lines, so that no two shards write to one. */
const BLOCK_BYTES = Math.ceil(((COUNTERS + 2) * Float64Array.BYTES_PER_ELEMENT) / 128) * 128;
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

  /** The shard is at work at `now`, `lateMs` later than it should be. @param now as of sharedMs. */
  seen(now: number, lateMs: number): void {
    this.#words[SEEN_AT] = now;
    this.#words[LATE_BY] = (this.#words[LATE_BY] + lateMs) / 2;
  }

  /**
   * How late the shard is at `now`, in milliseconds: the mean of when it was last seen, each time
   * of half the weight of the one behind it, and with now if that makes it more. A moment's delay
   * is not held against it. @param intervalMs at which it is meant to be seen.
   */
  lateness(now: number, intervalMs: number): number {
    const seenAt = this.#words[SEEN_AT];
    if (seenAt === 0) return 0;
    const lateBy = this.#words[LATE_BY];
    return Math.max(lateBy, (lateBy + now - seenAt - intervalMs) / 2);
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
