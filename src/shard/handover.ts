/**
 * How a session moves from the shard H that holds it to the shard S that has claimed its client id,
 * without a message lost, doubled or reordered, whatever its size:
 *
 * - H offers the session (`handoverOffer`), and goes on queueing for it.
 * - S makes a session of its own, which takes no runs, and says so (`handoverTake`).
 * - H sends the subscriptions in pieces. S subscribes to each, and asks for more when all shards
 *   have confirmed it.
 * - Behind the last S lets its session take S's own runs, and sends `handoverCut` to all.
 * - Every shard, H too, answers `handoverCutDone`, which S and H both read in the order of its
 *   ring: its runs before the answer are H's, those behind it are S's. Each notes that in the
 *   session's `sourceMask`.
 * - H has cut all sources: nothing comes to its session any more. It sends what the session has,
 *   in pieces, and lets go of each. S keeps that apart from what it was given itself meanwhile, and
 *   puts that behind it when the last piece has come.
 * - S takes the session into use when it has read every shard's answer too: a ring that it is
 *   behind with may still bring runs that were H's.
 *
 * Pieces are sent while the ring has room, and while S has not HANDOVER_BYTES_AHEAD of them yet to
 * take: those of all sessions that move from H to S together. The sessions take turns.
 *
 * A successor T of a dead shard that comes meanwhile is asked like all others, by S when S has told
 * it all filters: before, T has no clients. H takes T's runs until it reads T's answer.
 */
import { Packr } from 'msgpackr';

/** Packs the bodies of hand-over records. */
export const packr: Packr = new Packr({ useRecords: false });
/** The body of a record that needs none. */
export const NO_BYTES: Buffer = Buffer.alloc(0);

const TWO_32 = 2 ** 32;

/** A claim's number as two words of a record: it is below 2^53. */
export function split(claim: number): [low: number, high: number] {
  return [claim % TWO_32, Math.floor(claim / TWO_32)];
}

/** The number that was split. */
export function join(low: number, high: number): number {
  return high * TWO_32 + low;
}

/** How much is sent at once, and ahead of what is taken; tests make it small. */
export interface HandoverSizes {
  readonly pieceBytes: number;
  readonly bytesAhead: number;
}
