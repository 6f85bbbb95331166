/** Bounds of the durable store; a part of limits.ts. */

/**
 * Bytes of a client id or topic that stand in a key as they are; longer ones are cut off there and
 * go on with a hash. LMDB takes keys of 1,978 bytes with pages of 4 KiB, and names of both may have
 * 65,535.
 */
export const KEY_TEXT_BYTES_MAX = 1_900;
/** Databases in the environment: a few more than there are, for those to come. */
export const STORE_DATABASES_MAX = 16;
/**
 * Address space that the store may grow into without being mapped anew, in bytes. Nothing of it is
 * memory or disk before it is used.
 */
export const STORE_MAP_BYTES = 2 ** 40;
/** Settings of the store, as in SETTINGS. */
export const STORE_SETTINGS = {
  /** A disk is as large as it is. */
  storeBytes: { default: 0, min: 0, max: STORE_MAP_BYTES },
} as const;
/**
 * Bytes of changes that a shard may have appended and that are not durable: some seconds of what a
 * disk takes. Whoever feeds the journal waits above it.
 */
export const JOURNAL_BYTES_MAX = 64 * 2 ** 20;
/** Bytes that a segment of the journal has room for before it grows: those of a quiet turn. */
export const SEGMENT_BYTES_MIN = 4 * 2 ** 10;
/** Bytes that one begins with at most, however long those before it were. */
export const SEGMENT_BYTES_USUAL = 2 ** 20;
/**
 * Bytes that one transaction takes up, or its only segment: some 100,000 of the smallest changes,
 * 0.2 s of a core in which who comes behind waits. A disk that takes 10 ms for a sync keeps up with
 * 400 MB/s of them.
 */
export const STORE_CUT_BYTES_MAX = 4 * 2 ** 20;
/** Segments of a shard that are looked at before those of the next: more than there ever are. */
export const STORE_FIRST_LOOK_SEGMENTS = 1_000;
/** After which a transaction that failed is tried again: often enough to be back within a blink. */
export const STORE_RETRY_MS = 1_000;
/** How often it is looked how much of the store is in use: each look reads what pages are free. */
export const STORE_LOOK_MS = 1_000;
/** Rows that are read together: what the heap holds of long rows, against the cost of a look. */
export const STORE_READ_ROWS = 100;
/** Bytes of memory that rows are put together in; longer ones get theirs while it takes. */
export const STORE_ROW_BYTES = 2 ** 20;
/**
 * A store that cannot be closed by then, for its disk takes nothing, is given up: what it has not
 * taken was not acknowledged.
 */
export const STORE_CLOSE_TIMEOUT_MS = 10_000;
/**
 * Bytes of messages that wait in the memory of a session whose client does not take them; what
 * comes then is read from disk again. A window of messages that are sent at once is a part of it,
 * and ten thousand clients that are away take no more together than maxQueuedTotalBytes.
 */
export const KEPT_WINDOW_BYTES = 262_144;
/** Read from disk at a time: some tens of microseconds. */
export const KEPT_REFILL_BYTES = 65_536;
/** Sessions that a shard takes from the store before others have a turn. */
export const LOADED_PER_SHARE = 500;
/**
 * After which what was found of a group without members goes: its last one ended, and the broker
 * did at that moment. Those of all shards have joined long before.
 */
export const GROUP_FOUND_MS = 600_000;
/**
 * Messages at the end of a queue among which it is looked for one that may be there: more than
 * publishers can have had on their way to it.
 */
export const PENDING_LOOK_BACK = 100_000;
/**
 * Numbers of runs on their way that a process sets aside at a time: few writes, and 2^48 of them
 * last for a quarter of a billion starts.
 */
export const PENDING_NUMBERS_AHEAD = 1_000_000;
/**
 * Runs of a queue that give way to one longer message while the store is full, some tens of
 * microseconds: a thousand queues may have to. The next message has more of them do so.
 */
export const GIVING_WAY_FOR_BYTES_MAX = 64;
/** Windows filled from disk in a turn, so that other clients wait for a millisecond at most. */
export const KEPT_REFILLS_PER_TURN = 8;
/** Room on the disk that is set aside at a time beside what is needed: a second of a busy store. */
export const STORE_RESERVE_BYTES = 16 * 2 ** 20;
/** Room that messages leave to those who take some away: connections, acknowledgements. */
export const STORE_SPARE_BYTES = 2 ** 20;
/**
 * With less room than this, publishers are refused, while what they have sent by then is still
 * written: a cut of theirs that finds no room would have all others wait behind it, those too who
 * come to take messages away. They send less in the milliseconds until they are.
 */
export const STORE_AHEAD_BYTES = 16 * 2 ** 20;
/** Room for the trees that a transaction copies to change them, whatever it writes. */
export const STORE_TREE_BYTES = 2 ** 18;
/** Bytes of a page, of which a change copies one or two. */
export const STORE_PAGE_BYTES = 4_096;
/** A row may need several pages from here on, with what it has beside the change that brings it. */
export const STORE_LONG_ROW_BYTES: number = (STORE_PAGE_BYTES * 3) / 4;
/** Room for LMDB's table of readers, which is a file of its own. */
export const STORE_LOCK_BYTES = 16_384;
/** Faults of a store that are told one by one; a damaged page may make millions of them. */
export const STORE_FAULTS_SHOWN = 20;
/**
 * Entries of a session that has ended which one transaction takes away, some milliseconds: a queue
 * of a million must not have all others wait for seconds.
 */
export const STORE_DROPPED_ROWS = 2_000;
/**
 * Topics that are retained and not on disk yet, after which they are sorted for whoever looks for a
 * filter: until then each such search looks at all of them, some microseconds.
 */
export const RETAINED_RUN_CHANGES = 512;
/**
 * Retained messages, and bytes of them, that are read from disk for a search at a time. That is
 * what it keeps while its client does not read, a part of what waits in the outbox of such a one,
 * against the cost of a look.
 */
export const RETAINED_SLICE_MESSAGES = 256;
export const RETAINED_SLICE_BYTES = 32 * 2 ** 10;
/** Rows that are looked at for that, some tenths of a millisecond, and bytes of them. */
export const RETAINED_SLICE_ROWS = 512;
export const RETAINED_SLICE_ROW_BYTES = 2 ** 18;
/** Rows that are passed by one by one before a search goes to where it wants to be: as dear. */
export const RETAINED_ROWS_PASSED = 8;
/** What a row, a way to another one and a change cost, in the levels of RETAINED_STEPS_MAX. */
export const RETAINED_ROW_STEPS = 4;
export const RETAINED_SEEK_STEPS = 30;
/** Bytes of a row that cost as much as a level. */
export const RETAINED_STEP_BYTES = 2 ** 10;
/** Rows that are counted at a start before others have a turn, where nobody has said how many. */
export const RETAINED_TOTALS_ROWS = 5_000;
/**
 * Topics of a shard that have changed and are not durable yet, from which on what is retained at
 * QoS 0 waits: more than change in the time of a write but in a flood.
 */
export const RETAINED_AT_ONCE_MAX = 1_024;
/**
 * Ticks of a shard's clock (SWEEP_MS) that it waits then: a second, in which a flood goes through
 * its topics several times. It may be lost with the process.
 */
export const RETAINED_WAIT_TICKS = 10;
/**
 * Topics of a shard that wait so, some 20 MB. With more of them they are journaled at once, as fast
 * as the disk takes them.
 */
export const RETAINED_WAITING_MAX = 65_536;
/**
 * How many of them are journaled at a time, and bytes of them, the next when those are durable:
 * what they take of a turn, some tenths of a millisecond, and of a write that others wait for, a
 * few of them.
 */
export const RETAINED_WAITING_SLICE = 1_024;
export const RETAINED_WAITING_SLICE_BYTES = 2 ** 18;
/**
 * Topics on disk of which a shard knows how long their messages are since it has set them, twice as
 * many at most: some 3 MB, instead of a look at the disk each time.
 */
export const RETAINED_LENGTHS_KEPT = 16_384;
