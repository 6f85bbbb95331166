/** The bounds of what only MQTT 5.0 has, with the reason for each; `limits.ts` exports them. */

/**
 * Topic Aliases that the server gives on one connection, whatever its client accepts: each costs
 * some 100 bytes, 65,535 of them 6 MB a client.
 */
export const TOPIC_ALIASES_GIVEN_MAX = 256;

/** Fewest iterations of SCRAM-SHA-256 that a client takes [RFC 7677, 4]. */
export const SCRAM_ITERATIONS_MIN = 4_096;
/** Most: more than a second of a core, which a server is not to ask of a client. */
export const SCRAM_ITERATIONS_MAX = 2_000_000;
/** Bytes of a SCRAM message: a user's name, two nonces, a salt. */
export const SCRAM_MESSAGE_BYTES_MAX = 4_096;

/**
 * Wills that wait for their delay, for each shard: their clients are away, and nothing else says
 * how many there may be. One beyond is published at once.
 */
export const DELAYED_WILLS_BYTES_MAX: number = 16 * 1024 * 1024;

/** Texts that every client may be told: they are to fit in small packets. */
export const SERVER_TEXT_BYTES_MAX = 1_024;
/**
 * Memory that a worker keeps to lay out runs of 5.0 in without their aliases and expiry: what a
 * read holds, when topics come in the place of aliases. Longer runs get memory for themselves.
 */
export const CANONICAL_BYTES_KEPT = 1_048_576;
/**
 * Messages that wait for a member of a Shared Subscription beside those in flight before others
 * come first: a moment's work, so that they are not far behind those of the other members.
 */
export const GROUP_MEMBER_QUEUE_MAX = 64;
/**
 * Topics of which a group knows the members that may read them, where their rights are not the
 * same: to find those of one more is a look at each member.
 */
export const GROUP_TOPICS_KEPT_MAX = 256;
/**
 * What a member of a group gets in this time, at the pace of the last GROUP_PACE_PERIOD_MS, it is
 * given in one go where runs are long: none is ahead of the others by more than twice that.
 */
export const GROUP_PIECE_MS = 20;
export const GROUP_PACE_PERIOD_MS = 100;
/** What a group gives of what has waited for a member in one turn. */
export const GROUP_PIECE_BYTES = 65_536;
