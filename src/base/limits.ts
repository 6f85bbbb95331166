/**
 * Every bound in one place, with the reason for its value. Settings that an operator may change
 * have their defaults here too; `config.ts` reads them. Relations between bounds are checked at
 * load. What shards tell each other of sessions and subscriptions is bounded in handover-limits.ts.
 */
import { invariant } from './assert.js';

export * from './access-limits.js';
export * from './authentication-limits.js';
export * from './client-limits.js';
export * from './config-limits.js';
export * from './edge-limits.js';
export * from './handover-limits.js';
export * from './mqtt5-limits.js';
export * from './opening-limits.js';
export * from './overload-limits.js';
export * from './slow-reader-limits.js';
export * from './store-limits.js';
export * from './thread-limits.js';
export * from './tls-limits.js';
export * from './turn-limits.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_MS = 86_400_000;

// ---- protocol: fixed by MQTT 3.1.1 -------------------------------------------------------------
/** Largest remaining length that four length bytes can say [MQTT 3.1.1, 2.2.3]. */
export const REMAINING_LENGTH_MAX = 268_435_455;
/** Longest frame that can be: the first byte and four length bytes precede what they say. */
export const FRAME_BYTES_MAX: number = REMAINING_LENGTH_MAX + 5;
/** No payload is longer: a topic and its length precede it. */
export const PAYLOAD_BYTES_MAX = REMAINING_LENGTH_MAX;
/** Longest UTF-8 string: a two-byte length precedes it [MQTT 3.1.1, 1.5.3]. */
export const STRING_BYTES_MAX = 65_535;
/** Packet identifiers run from 1 to this; 0 is forbidden [MQTT-2.3.1-1]. */
export const PACKET_ID_MAX = 65_535;
/** Frames in one run: as many as a table of packet ids, 0 included, has places for. */
export const RUN_FRAMES_MAX = PACKET_ID_MAX + 1;

// ---- reading -----------------------------------------------------------------------------------
/**
 * The one buffer all sockets of a shard read into: 256 KiB holds thousands of small packets a
 * system call.
 */
export const READ_BUFFER_BYTES = 256 * KIB;
/**
 * Room before the read buffer for the unfinished packet of the last read; a longer one is gathered
 * apart.
 */
export const READ_HEADROOM_BYTES = 64 * KIB;
/**
 * Part of maxQueuedTotalBytes that unfinished packets of all clients may take beside it: with the
 * defaults 256 of the largest, which is more clients than a broker has that send such at a time.
 */
export const UNFINISHED_TOTAL_DIVISOR = 4;
/**
 * One that takes no more than this does not count: so much is left of nearly every read, and a
 * connection costs as much in the kernel.
 */
export const UNFINISHED_SMALL_BYTES = 4 * KIB;
/** One is growing when so much of it has come, for what had come at the last such time. */
export const UNFINISHED_GROWTH = 9 / 8;
/**
 * Runs of one turn are laid here until flushed. Above TURN_FLUSH_BYTES they are flushed before the
 * turn ends.
 */
export const TURN_ARENA_BYTES = 1 * MIB;
export const TURN_FLUSH_BYTES = 256 * KIB;
/** What goes into a ring or comes from it is copied in pieces of this size, in cache, if by two. */
export const SHARED_COPY_BYTES = 32 * KIB;
/** Bytes of ended sessions' filters that a turn removes, and the time that it takes at most. */
export const ENDED_FILTER_BYTES_PER_TURN = 16 * KIB;
export const ENDED_FILTER_MS_PER_TURN = 2;
/** Between two looks at the clock. */
export const ENDED_FILTERS_PER_LOOK = 16;
/**
 * For each so many filters of ended sessions that are still to be removed, a turn removes another
 * ENDED_FILTER_BYTES_PER_TURN of them: clients that come and go cannot have them pile up for ever.
 */
export const ENDED_FILTERS_PER_SHARE = 65_536;

// ---- writing -----------------------------------------------------------------------------------
/**
 * Unsent bytes of this length stay in the turn's arena instead of being copied. Copies were a fifth
 * of the work of a mesh whose readers are slower than the broker.
 */
export const PIN_BYTES_MIN = 8 * KIB;
/** Blocks of TURN_ARENA_BYTES that unsent bytes may hold in a shard: beyond, they are copied. */
export const ARENA_BLOCKS_PINNED_MAX = 64;
/** Blocks kept for the next time: as many as a shard with slow readers goes through in a turn. */
export const ARENA_BLOCKS_SPARE_MAX = 8;
/**
 * Where a flush gathers several stretches of the arena and the window's frames for one system call.
 */
export const SCRATCH_BYTES = 256 * KIB;
/**
 * Unsent bytes are kept in pieces of this size at least, so that many small ones do not cost a
 * buffer each.
 */
export const OUTBOX_CHUNK_BYTES = 64 * KIB;
/**
 * A closed socket may still hold a last reply; a client that does not close its side by then is
 * cut.
 */
export const LINGER_MS = 1_000;
/**
 * How long a client that sent DISCONNECT behind a SUBSCRIBE is kept for its SUBACK: the other
 * shards confirm in a turn, and one that hangs must not keep the connections of those who leave.
 */
export const DISCONNECT_WAIT_MS = 1_000;
/**
 * Acks withheld from one publisher while a reader is behind: one for each packet id there is. A
 * client that uses ids in use again gets there, and is not held back by them.
 */
export const HELD_ACK_BYTES_MAX = PACKET_ID_MAX * 4;
/**
 * Replies (acks, PINGRESPs, SUBACKs) that may wait for a client that sends on and does not read;
 * beyond, it is not read from. An ack for each packet id there is: who waits for an ack before it
 * uses its id again never gets there.
 */
export const UNREAD_REPLY_BYTES_MAX = PACKET_ID_MAX * 4;
/**
 * What a run that waits takes beside its bytes, and each entry of a queue for it: its objects with
 * V8's headers, and two words of arrays that double.
 */
export const QUEUED_RUN_COST_BYTES = 256;
export const QUEUED_ENTRY_COST_BYTES = 32;
/**
 * Bytes in flight to a client, kept to be sent again, beyond which it is sent nothing new while
 * nearly as much waits in all sessions as may: who acknowledges goes on, and its publishers wait.
 */
export const INFLIGHT_BYTES_WHEN_FULL = 1 * MIB;
/**
 * Buffers for runs that wait a moment, for each shard: of so many bytes, for runs of at least as
 * many as pay for one, and so many of them: 4 MiB, of which `maxQueuedTotalBytes` counts what is
 * used.
 */
export const RUN_BUFFER_BYTES = 64 * KIB;
export const RUN_BUFFER_BYTES_MIN = 2 * KIB;
export const RUN_BUFFERS_MAX = 64;
// ---- memory ------------------------------------------------------------------------------------
/**
 * Part of a heap's limit, or of the process's memory, from which on a shard keeps nothing new, and
 * that it takes to be below for everything to be taken again. What is left is for what it has: the
 * heap grows by 100 MiB between two looks at worst, and V8 needs room to collect. Where live data
 * take less than 70 % of it, V8 collects before 85 % are used.
 */
export const MEMORY_SHORT_SHARE = 0.85;
export const MEMORY_ENOUGH_SHARE = 0.75;
/**
 * Bytes from clients between two looks at it: as many as could fill what is left, but not fewer,
 * and not more than this. A look takes some tens of us.
 */
export const MEMORY_LOOK_BYTES_MIN = 256 * KIB;
export const MEMORY_LOOK_BYTES_MAX = 16 * MIB;

/**
 * Memory is given back when so much less waits than did: what comes and goes every few seconds is
 * not worth a collection. Not more often than this either.
 */
export const MEMORY_RETURN_BYTES_MIN = 64 * MIB;
export const MEMORY_RETURN_SECONDS_MIN = 10;
/** Largest heap that is collected for it in one go: some 50 ms at worst. */
export const MEMORY_RETURN_HEAP_BYTES_MAX = 128 * MIB;

// ---- shard -------------------------------------------------------------------------------------
/** Period of the timer of a shard's time-outs: they are late by two to four of these. */
export const SWEEP_MS = 100;
/** What was stamped with the time of a shard's deadlines happened at most so much later. */
export const STAMP_SLACK_MS = 2 * SWEEP_MS;
/**
 * What deadlines may take of each period: 15,000 connections that time out together are closed in
 * seconds, and meanwhile the shard has nineteen twentieths of its time for all others.
 */
export const DEADLINES_MS_PER_TICK = 5;
/**
 * Between two looks at what a client has not acknowledged, and whether the memory of its window can
 * go back; a shorter ack time-out is looked at as often.
 */
export const ACK_LOOK_MS = 1_000;
/**
 * Bytes a second at which an unfinished packet arrives that counts as a sign of life: a fifth of
 * what the slowest mobile data (GSM, 9,600 bits a second) carries, so that 1 MiB sent through it at
 * its worst gets through; who drips a byte now and then is silent.
 */
export const UNFINISHED_BYTES_PER_SECOND = 256;
/**
 * How long a thread waits for small reads to come together: CPU against latency. With 200 pairs and
 * 20,000 messages a second a message costs 26 us without waits, 20.5 with 0.1 ms and 19 with
 * 0.15 ms; half of them arrive within 0.15, 0.31 and 0.35 ms, 99 % as fast as without.
 */
export const COALESCING_WAIT_MS = 0.15;
/** Reads behind a wait that make it pay. */
export const COALESCED_READS_MIN = 2;
/**
 * More reads in a turn come together by themselves, and where a wait brings more the thread has
 * little time to spare: 200 publishers as fast as they can got half as far with waits.
 */
export const COALESCED_READS_MAX = 16;
/** A client read within so many reads comes back for answers, maybe: waiting would delay it. */
export const COALESCING_RECENT_READS = 32;
/** Turns between two waits that do not pay: so they cost nobody more than a thousandth. */
export const COALESCING_TURNS_BETWEEN_MAX = 1_024;
/** How often a shard looks how late its event loop is: a longer delay is not missed. */
export const LOOP_DELAY_SAMPLE_MS = 20;
/** For how long the longest delay of an event loop is told, in seconds. */
export const LOOP_DELAY_WINDOW_SECONDS = 60;
/**
 * Log lines a shard may send a second: a flood of bad clients must not become a flood of messages.
 */
export const LOG_LINES_PER_SECOND_MAX = 200;
/**
 * Characters of a text in a shard's log line; the rest is left out. Clients choose some of them: a
 * client id may have 65,535 bytes. UUIDs and the names in certificates are shorter than this.
 */
export const LOG_TEXT_LENGTH_MAX = 256;
/**
 * Log lines a second, of all shards, about single clients: a storm of 10,000 must not feel them.
 */
export const CLIENT_LOG_LINES_PER_SECOND_MAX = 100;
/** Filters of a SUBSCRIBE or UNSUBSCRIBE that a line at debug level names. */
export const LOGGED_FILTERS_MAX = 5;
/** Bytes of log lines that wait for an output that takes none: minutes of an ordinary broker. */
export const LOG_BUFFER_BYTES_MAX = 1 * MIB;
/** How soon such an output is tried again, in milliseconds: while it takes some, and at last. */
export const LOG_RETRY_MIN_MS = 10;
export const LOG_RETRY_MAX_MS = 1_000;
/** How long a process that ends waits for its last log lines to be taken, in milliseconds. */
export const LOG_EXIT_WAIT_MS = 250;
/**
 * Between two log lines of a shard that say that messages are not retained, or not queued for all
 * clients together: what is full stays so for hours, and a counter has every one of them.
 */
export const DROPS_LOG_INTERVAL_MS = 60_000;

/**
 * Between two log lines of a shard about records that it could not read: a fault that makes one
 * makes many, and a counter has every one of them.
 */
export const UNREADABLE_RECORDS_LOG_INTERVAL_MS = 10_000;

// ---- router ------------------------------------------------------------------------------------
/**
 * A record larger than this part of the ring goes in fragments, so that one packet never needs the
 * whole ring.
 */
export const RING_FRAGMENT_DIVISOR = 4;
export const RING_BYTES_MIN = 64 * KIB;
/**
 * A record is at most the largest PUBLISH and this much more, for what its kind puts beside the
 * packet.
 */
export const RING_RECORD_OVERHEAD_BYTES = 64 * KIB;
/**
 * Records that wait for room in the ring are copied into chunks of this size; a larger one gets its
 * own.
 */
export const RING_BACKLOG_CHUNK_BYTES = 256 * KIB;
/** Most that is read from one peer's ring before the next peer has its turn. */
export const RING_DRAIN_QUANTUM_BYTES = 256 * KIB;
export const RING_BYTES_MAX = 1024 * MIB;
/**
 * How far a shard may be ahead of the slowest reader of its ring, in records of up to 2 KiB: some 5
 * to 10 ms of work. Beyond, the connections that feed the ring wait until it is half of that.
 */
export const RING_LEAD_WORK_MAX = 2_048;
/** Between two places in the ring of which it is known how much work lies before them. */
export const RING_LEAD_MARK_WORK = 64;
/** Such places that are remembered: a backlog may have put more on the ring than is meant to be. */
export const RING_LEAD_MARKS = 128;

/**
 * Retained messages are sent to a new subscriber in parts of this size, the next when the last was
 * taken.
 */
export const RETAINED_PART_BYTES = 64 * KIB;
/**
 * Topics that have come live while a replay is under way, so that they are not sent twice. Those of
 * a subscriber that is held up for minutes grew to 111 MiB.
 */
export const SUPERSEDED_BYTES_MAX = 64 * KIB;
/**
 * Topics of a filter that were sent, so that one that changes meanwhile is sent before it does, if
 * it was not. Of a filter with more of them a topic that changes comes live only.
 */
export const BROUGHT_BYTES_MAX = 64 * KIB;
/**
 * Replays of clients that are away of which it is known what was sent: of each so much at most as
 * the two bounds above say, 128 MiB in all. Of one more the filter that was being sent begins anew
 * when its client is back.
 */
export const PARKED_REPLAYS_MAX = 1_024;
/**
 * Levels of retained topics that a search looks at before others have a turn: about a millisecond.
 */
export const RETAINED_STEPS_MAX = 10_000;
/**
 * Steps of one replay in a turn; a filter takes three. With one a turn, a session of 300,000
 * filters kept its shard turning for a million of them. All of these take some tenths of a
 * millisecond.
 */
export const RETAINED_REPLAY_STEPS_MAX = 256;
/**
 * What a dead shard has left in its ring is read in one go, before it is forgotten: some 10 ms of
 * work. A thread that was given up and writes on all the same is not read from for longer.
 */
export const DEAD_RING_MS_MAX = 1_000;
/** Bytes a turn takes from the rings before it looks at its sockets again. */
export const DRAIN_BYTES = 4 * MIB;

// ---- topics ------------------------------------------------------------------------------------
/** Routes kept a generation; two generations are kept, so at most twice as many. */
export const ROUTE_CACHE_ENTRIES = 65_536;
/**
 * Subscribers of the routes of a generation, together: 16 bytes each. A thousand clients that
 * subscribe to `#` would take 2 GiB of a cache that is full, and a hundred thousand the whole heap.
 */
export const ROUTE_CACHE_SUBSCRIBERS_MAX = 2 * MIB;
/**
 * Changes of wildcard filters that cached routes can be checked against, a power of two: more than
 * twenty clients make in a turn, 0.1 ms of checks. Filters of at most ROUTE_CACHE_TOPIC_BYTES_MAX
 * and some bytes: 5 MiB.
 */
export const ROUTE_CHANGES_KEPT = 4_096;
/** Routes looked at in a sweep: the whole cache within some seconds, some tenths of a ms each. */
export const ROUTES_SWEPT_MAX = 4_096;
/**
 * Longest topic that the cache keeps: it would hold 8 GiB of the longest there are. V8 hashes a
 * string of more than 16,383 characters by its length alone, so that finding one of many would take
 * ever longer.
 */
export const ROUTE_CACHE_TOPIC_BYTES_MAX = 1_024;
/**
 * Matches of topics with filters that a shard has left before their end, to go on with later: they
 * may have found tens of thousands of filters each. Whoever asks for a topic beyond begins anew.
 */
export const LEFT_MATCHES_MAX = 64;
/** Sweeps after which a match that nobody has gone on with is given up: 5 seconds. */
export const LEFT_MATCH_SWEEPS_MAX = 5_000 / SWEEP_MS;
/** Steps that matches for wills and an embedding program's messages take in a turn: some ms. */
export const MADE_RUNS_STEPS_PER_TURN = 32_768;
/**
 * Wills and messages of an embedding program that wait in a shard for room in its ring, above which
 * it takes no client with a will. Those that are connected may still leave theirs: it has them in
 * memory anyway.
 */
export const MADE_RUNS_BYTES_MAX = 16 * MIB;
/**
 * Messages of an embedding program that are with a shard and not on their way: the rest waits in
 * the primary, up to a bound that a program which awaits each never gets near. Beyond, publish
 * rejects.
 */
export const PROGRAM_BYTES_AHEAD = 1 * MIB;
export const PROGRAM_BYTES_WAITING_MAX = 256 * MIB;
/** What such a message takes beside its topic and payload: a promise, and a message to a shard. */
export const PROGRAM_MESSAGE_COST_BYTES = 512;
/** Levels in a topic or filter: more is no use, and recursion over them stays shallow. */
export const TOPIC_LEVELS_MAX = 201;

// ---- settings: defaults and what is allowed ----------------------------------------------------
/** A setting that is a whole number: its default and the range allowed. */
export interface NumberSetting {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}
/**
 * Defaults and ranges of the numeric settings, by their name in the configuration; units in the
 * names.
 */
export const SETTINGS = {
  keepAliveSeconds: { default: 300, min: 1, max: 65_535 },
  /** Some clients (Paho C, the second one in a process) take 2 s to send their CONNECT. */
  connectTimeoutMs: { default: 10_000, min: 100, max: 600_000 },
  /** Clients wait some 10 to 30 s for their CONNACK before they give up and come again. */
  authTimeoutMs: { default: 10_000, min: 100, max: 600_000 },
  ackTimeoutMs: { default: 20_000, min: 100, max: 3_600_000 },
  timeoutRetries: { default: 3, min: 0, max: 100 },
  maxPacketBytes: { default: 1 * MIB, min: 128, max: REMAINING_LENGTH_MAX },
  maxInflight: { default: 1_024, min: 1, max: PACKET_ID_MAX },
  maxQueuedMessages: { default: 100_000, min: 0, max: 100_000_000 },
  maxQueuedBytes: { default: 64 * MIB, min: 0, max: 64 * 1024 * MIB },
  /**
   * A quarter of a machine of 4 GiB, and what sixteen clients that have nothing in common may let
   * wait by default. Queues with the same messages share them.
   */
  maxQueuedTotalBytes: { default: 1024 * MIB, min: 0, max: 64 * 1024 * MIB },
  /**
   * As much as may wait. At least what one read brings of small messages: those are kept together
   * until all of them are acknowledged.
   */
  maxInflightBytes: { default: 64 * MIB, min: 1 * MIB, max: 64 * 1024 * MIB },
  /**
   * A client with so many costs its shard 27 MB: 266 bytes a filter, measured with a million. The
   * benchmark's million filters are those of ten clients.
   */
  maxSubscriptions: { default: 100_000, min: 1, max: 10_000_000 },
  /**
   * A topic may have to be compared with all of them, at 0.1 us each or, of 196 levels, 1 us: with
   * so many a match takes 1 to 20 ms, done in parts. The benchmark's clients have 10,000 each.
   */
  maxWildcardSubscriptions: { default: 10_000, min: 0, max: 10_000_000 },
  /**
   * A retained message that is not kept on disk costs some 240 bytes beside its frame, and its
   * topic once more: with the default bytes about a gigabyte at most, which is left in the heap of
   * one worker on a machine of 8 GiB. At most what a JavaScript Map, which one worker may need for
   * all, holds (16.7 million).
   */
  maxRetainedMessages: { default: 2_000_000, min: 0, max: 16_000_000 },
  maxRetainedBytes: { default: 256 * MIB, min: 0, max: 64 * 1024 * MIB },
  /** Bytes waiting for one socket above which the publishers that feed it are paused. */
  outboxBytes: { default: 1 * MIB, min: 16 * KIB, max: 1024 * MIB },
  /**
   * A subscriber that reads nothing for this long loses QoS 0 messages instead of pausing
   * publishers.
   */
  slowConsumerTimeoutMs: { default: 2_000, min: 10, max: 3_600_000 },
  ringBytes: { default: 8 * MIB, min: RING_BYTES_MIN, max: RING_BYTES_MAX },
  maxConnections: { default: 1_000_000, min: 1, max: 10_000_000 },
  /**
   * As many as connections. An absent session costs some 600 bytes with one subscription, and what
   * waits in it; at most what a JavaScript Map, such as the directory's, holds.
   */
  maxSessions: { default: 1_000_000, min: 0, max: 16_000_000 },
  /** A client that is away for a weekend, or a plant that stands still for one, misses nothing. */
  sessionExpiryMs: { default: 7 * DAY_MS, min: 0, max: 365 * DAY_MS },
  /** As many as there are packet ids: a client that acknowledges nothing costs 12 KiB with them. */
  receiveMaximum: { default: PACKET_ID_MAX, min: 1, max: PACKET_ID_MAX },
  /** A client has few topics that it publishes to often; each alias keeps one of them. */
  topicAliasMaximum: { default: 16, min: 0, max: 65_535 },
  maxQos: { default: 2, min: 0, max: 2 },
  /** 0: none. */
  maxKeepAliveSeconds: { default: 0, min: 0, max: 65_535 },
  /** As for 3.x sessions: clients with ids that never come back must not fill the broker. */
  maxSessionExpiryMs: { default: 7 * DAY_MS, min: 0, max: 365 * DAY_MS },
} as const satisfies Record<string, NumberSetting>;

invariant(
  TURN_FLUSH_BYTES + READ_BUFFER_BYTES <= TURN_ARENA_BYTES,
  'a read fits the arena before a flush',
);
invariant(
  READ_HEADROOM_BYTES < READ_BUFFER_BYTES,
  'headroom is the smaller part of the read buffer',
);
