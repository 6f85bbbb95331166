/** How a retained message begins as a string: what its keeper and the store must agree on. */

/** First of a message of 5.0, before its expiry; no first byte of a PUBLISH. */
export const RETAINED_OF_5 = 0x05;
/** That byte, and the time when the message expires as a double of `sharedMs`, little-endian. */
export const RETAINED_PREFIX_BYTES = 9;
