/** Bounds of what one connection, or the records of other shards, may take of a turn. */

/**
 * Time of a turn for the connections that send more than their share, all together, and for those
 * that are polled. A quiet client waits for at most two such times and what else a turn does, on
 * each shard that its message passes; and what each turn costs besides (some 20 us) is little
 * beside it.
 */
const BUSY_MS_PER_TURN = 2;
/**
 * The same where there are several shards: a message that passes from one to another waits for
 * turns of both. With 2 ms a pair beside retained messages that flood two shards had a p99 of 26
 * ms, with 1 ms of 14 ms.
 */
const BUSY_MS_PER_TURN_OF_MANY = 1;

/** Milliseconds of a turn for those connections, where there are so many shards. */
export function busyMsPerTurn(shardCount: number): number {
  return shardCount > 1 ? BUSY_MS_PER_TURN_OF_MANY : BUSY_MS_PER_TURN;
}

/**
 * The least share of one connection: with less a read would pay for the turns between its parts. A
 * busy one has all that its turn has left: going to and fro between sockets finds each of them cold
 * in the processor's caches, and took a quarter of the rate of 20 that flood.
 */
export const SHARE_MS_MIN = 1;
/**
 * The same of one that is polled, as many of them may be in one turn: twenty that had a millisecond
 * each made turns of 13 to 20 ms. What it has left over waits for its turn, without being polled.
 */
export const POLLED_MS_MIN = 0.25;
/**
 * The same of one that the event loop alone can read, behind TLS, and what the next turn keeps free
 * for each of them that has waited for its turn: reading means decrypting, of which up to 64 KiB
 * come at a time. Twenty that flood had turns of 6 ms with shares as above, and 1.5 ms with these.
 */
export const POLLED_ONLY_MS_MIN = 0.1;
export const POLLED_ONLY_MS_KEPT = 0.5;
/** Parts of what is left of a turn's time that one which is polled may take one of. */
export const POLLED_PARTS = 2;
export const POLLED_ONLY_PARTS = 8;
/**
 * Part of a share by which handling what was read may pass it: to stop in the middle means to copy
 * the rest.
 */
export const SHARE_SLACK = 0.25;
/**
 * A shard that has just woken waits so long for others that have woken too, before it handles a
 * message that may be meant for a client that is subscribing there. Most have come round within a
 * tenth of that; it is as much as the system may let another thread run first.
 */
export const WAKING_WAIT_MS_MAX = 5;
/** Time of a turn for the records of other shards; the rest of them comes in the next turn. */
export const DRAIN_MS_PER_TURN = 3;
/**
 * Time for the records of other shards that come before what was read, between two ends of turns.
 * Beyond, what was read is kept, which costs a copy: reads that flood are worth more than that.
 */
export const CATCH_UP_MS_PER_TURN = 8;
/**
 * Between two looks at the clock within a share, in units of some microseconds: what a run costs
 * beside its messages, or a delivery of sixteen of them.
 */
export const WORK_PER_LOOK = 32;
/**
 * Deliveries that one run may cause on its shard: some 3 ms. A longer run is taken in parts, since
 * a run is not interrupted.
 */
export const RUN_DELIVERIES_MAX = 131_072;
/** Steps of a match with filters that are a unit of work: see WORK_PER_LOOK. */
export const MATCH_STEPS_PER_WORK = 16;
/** A match that takes more steps is left, and gone on with in the next turn: some 1 ms. */
export const MATCH_STEPS_PER_SHARE = 8_192;
/** The least that is read at a time from a connection whose packets take long to handle. */
export const BUSY_READ_BYTES_MIN = 16 * 1024;
