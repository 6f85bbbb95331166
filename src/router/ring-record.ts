/**
 * What a record looks like in a ring, and in the backlog before it gets there. Constants only.
 *
 * ```
 *   byte   0            4            8            12           16   20   24   28   32
 *          +------------+------------+------------+------------+----+----+----+----+-------
 *          | length     | flags|kind | shard mask | total      | w0 | w1 | w2 | w3 | bytes
 *          +------------+------------+------------+------------+----+----+----+----+-------
 * ```
 *
 * - `length`: bytes after the header. -1: padding, skip to the end of the data area; nothing else
 *   is written.
 * - `kind`: bits 0-7, the caller's, 1 to 255. `flags`: bits 8-10, below.
 * - shard mask: bit r set: reader r takes the record; the others step over it.
 * - `total`: bytes of the whole record that a fragment is a part of; equal to `length` otherwise.
 * - w0 to w3: the caller's, 32 bits each.
 *
 * What one flush lets the readers see begins with a flush header of 8 bytes: -2 where a record has
 * its length, and the ticket of the flush, which is that of all records up to the next header.
 *
 * A record begins at a multiple of 8 and takes `length + 32` bytes, rounded up to a multiple of 8.
 */

/** Bytes before a record's own bytes. */
export const RECORD_HEADER_BYTES = 32;
/** Records begin at multiples of this. */
export const RECORD_ALIGNMENT = 8;
/** `length` of the padding record that fills the end of the data area. */
export const PADDING_LENGTH = -1;
/** What stands for a `length` in a flush header. */
export const TICKET_LENGTH = -2;
/** Bytes of a flush header. */
export const FLUSH_HEADER_BYTES = 8;
/** Word offset of the ticket in a flush header. */
export const FLUSH_TICKET = 1;

/** Bits of the second word that hold the kind. */
export const KIND_MASK = 0xff;
/** The record is one part of a larger one. */
export const FLAG_FRAGMENT = 0x100;
/** It is the first part, and states the total. */
export const FLAG_FIRST = 0x200;
/** It is the last part. */
export const FLAG_LAST = 0x400;

/** Word offsets from a record's begin. */
export const RECORD_LENGTH = 0;
export const RECORD_KIND = 1;
export const RECORD_MASK = 2;
export const RECORD_TOTAL = 3;
export const RECORD_WORD0 = 4;
export const RECORD_WORD1 = 5;
export const RECORD_WORD2 = 6;
export const RECORD_WORD3 = 7;
