/** Bounds of what shards tell each other of sessions and subscriptions; a part of limits.ts. */

/**
 * Filters in one record that announces them: about 64 filters of a kilobyte, or some thousand short
 * ones, which take the reader a millisecond or two. A record with all filters of a shard could be
 * larger than the largest packet, which no record may be. Smaller ones would tell the peers of
 * filters that come and go within a turn.
 */
export const INTEREST_PIECE_BYTES = 65_536;
/** Such records that a successor of a dead shard is sent before it has read the first. */
export const INTEREST_PIECES_AHEAD = 2;
/**
 * Steps in which a turn forgets what a dead peer was interested in: 64 filters each, about a
 * millisecond in all.
 */
export const FORGOTTEN_STEPS_PER_TURN = 4;
/**
 * A session moves to another shard in pieces of this size: as much as is sent before others of the
 * shard have their turn. The last message of a piece may pass it.
 */
export const HANDOVER_PIECE_BYTES = 65_536;
/**
 * Such bytes that a shard sends to another before that has taken the first of them: so much of the
 * ring, and of a turn, hand-overs take at most.
 */
export const HANDOVER_BYTES_AHEAD = 262_144;
/**
 * What a piece, a filter and a run count beside their bytes: to subscribe takes some 10 us however
 * short the filter, several times that before it is compiled, and every shard has to hear of it.
 */
export const HANDOVER_PIECE_COST_BYTES = 256;
export const HANDOVER_FILTER_COST_BYTES = 1_024;
export const HANDOVER_RUN_COST_BYTES = 64;
