/** The words that the journals of all shards and the store thread share. */
import { SHARDS_MAX } from '../base/limits.js';

/** Index of the last ticket that a journal has taken; it wraps. */
export const TICKET_WORD = 0;
/**
 * Index of the word that is 1 while the store holds as many bytes as it may; the store thread
 * writes it. On a cache line of its own: all read it, and the tickets change all the time.
 */
export const FULL_WORD = 32;
/**
 * Index of the words in which shard r says of shard s, in the order of r and then s, how many of
 * its marked runs are durable there: see shard/durable-acks.ts.
 */
export const DURABLE_WORDS = 64;
const WORDS = DURABLE_WORDS + SHARDS_MAX * SHARDS_MAX;

/** Memory for them, all 0. */
export function createStoreWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
}
