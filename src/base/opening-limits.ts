/** Bounds of what is found before a SUBACK goes out (router/opening.ts); a part of limits.ts. */

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * What one other shard retains of a filter with wildcards is asked for before the SUBACK, if it is
 * no more: else it is left to the replay. A SUBACK waits for no more than is found at once, and
 * what comes leaves with it in one piece. So much is kept of what comes meanwhile, too.
 */
export const OPENING_BYTES_MAX = 64 * KIB;
/** All such questions of one SUBSCRIBE share it. */
export const OPENING_TOTAL_BYTES_MAX = 256 * KIB;
/** At least so much of each filter and shard that is asked: it would be asked for nothing. */
export const OPENING_PART_BYTES_MIN = KIB;
/** The same of a filter without wildcards, which is one message. */
export const OPENING_TOPIC_BYTES_MAX = 16 * KIB;
/** Levels of retained topics that a search looks at for it: some tenths of a millisecond. */
export const OPENING_LEVELS_MAX = 2_000;
/**
 * What all of them on one shard are set aside, whatever they take: 1,024 SUBSCRIBEs at a time with
 * one topic each, 256 with wildcards. Others leave it to the replay.
 */
export const OPENINGS_BYTES_MAX = 16 * MIB;
/**
 * Time of a turn for questions of other shards for retained messages. Thousands of clients that
 * subscribe at once ask as many.
 */
export const RETAINED_ANSWERS_MS_PER_TURN = 2;
