/**
 * How the words of a record say when the messages in it expire, in whole milliseconds of
 * `sharedMs`: 43 bits, enough for the 136 years that a Message Expiry Interval can be.
 */

/** Where in a word the upper bits stand: they are its highest. */
const HIGH_SHIFT = 21;
const TWO_32 = 2 ** 32;
/**
 * Bit of a run record's second word: its publisher is answered when what the reader does with it is
 * durable.
 */
export const AWAITS_DURABLE = 0x100;
/** Where in a word the number of frames, less 1, stands behind the length of their topic. */
export const COUNT_SHIFT = 16;

/** The upper bits, to be put beside others below bit 21. */
export function highExpiry(expiresAt: number): number {
  return Math.floor(expiresAt / TWO_32) << HIGH_SHIFT;
}

/** The lower 32 bits. */
export function lowExpiry(expiresAt: number): number {
  return expiresAt >>> 0;
}

/** When it expires, 0: never. */
export function expiryOf(high: number, low: number): number {
  return (high >>> HIGH_SHIFT) * TWO_32 + (low >>> 0);
}
