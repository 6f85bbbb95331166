/**
 * Where each word of a ring sits. `ring.ts` holds the logic.
 *
 * One SharedArrayBuffer a shard: a header of cache lines, then the data area (a power of two of
 * bytes).
 *
 * ```
 *   line 0       head position      the ring's writer stores it, once a flush; all readers read it
 *                told count         the writer adds 1 before it tells clients what it handled
 *                id                 never 0, and no other ring's in this process
 *   line 1       want-room flag     set by a writer that waits for room, taken by who makes some
 *   line 2       welcome words      word w: stored by shard w, read by this ring's writer only
 *   line 3-34    tail of reader r   stored by reader r, read by the writer when the ring looks full
 *   line 35-66   sleep of reader r  set by reader r, taken by the writer, which then rings it
 *   then         data               the writer's: whole records, visible up to the head
 * ```
 *
 * Words that one thread writes while others read have a line of their own, so that a store to one
 * never takes another thread's out of somebody's cache. A line is 128 bytes: x86 fetches lines of
 * 64 in pairs, and Apple's cores have lines of 128.
 *
 * One more word is shared by all rings: the last ticket that a flush has taken (createTickets).
 *
 * Positions are 32-bit counters that grow and wrap; they are compared by their difference, `(a - b)
 * | 0`, which is right as long as no two of them are 2 GiB or more apart. A ring holds at most 1
 * GiB.
 *
 * Welcome words. Shard `w` stores the id of its ring in word `w` of shard `r`'s ring when `r` may
 * read it from `r`'s tail there. A shard that starts welcomes everyone: its own ring is new, and
 * every tail in it is 0. A shard that learns of a successor first moves that reader's tail to its
 * own head, then welcomes it. Until then the successor leaves the ring alone: the dead reader's
 * tail may point at overwritten bytes. Any other id is that of a successor of `w` which `r` has not
 * heard of: where both have died, `r` was given the ring of a dead shard.
 */

/** Bytes between two words that different threads write. */
export const RING_LINE_BYTES = 128;
/** 32-bit words in a line. */
export const RING_LINE_WORDS = RING_LINE_BYTES / 4;
/** Word index of the head position. */
export const HEAD_WORD = 0;
/** Word index of the count of how often the writer has told clients of something. */
export const TOLD_WORD = 1;
/** Word index of what tells a ring from those of earlier shards. */
export const RING_ID_WORD = 2;
/** Word index of the flag by which the writer asks to be rung when there is room. */
export const WANT_ROOM_WORD = RING_LINE_WORDS;
/** Word index of shard 0's welcome word; the others follow, one word each. */
export const WELCOME_WORD = 2 * RING_LINE_WORDS;
/** Word index of reader 0's tail; the others follow, one line each. */
export const TAIL_WORD = 3 * RING_LINE_WORDS;
/** Word index of reader 0's sleep flag; the others follow, one line each. */
export const SLEEP_WORD = TAIL_WORD + 32 * RING_LINE_WORDS;
/** Bytes before the data area. A multiple of 8, so that records stay aligned. */
export const RING_HEADER_BYTES = (SLEEP_WORD + 32 * RING_LINE_WORDS) * 4;

/** Memory for the word that the flushes of all rings take their tickets from. */
export function createTickets(): SharedArrayBuffer {
  return new SharedArrayBuffer(RING_LINE_BYTES);
}
