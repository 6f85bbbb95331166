/** A table of the store, as far as its rows are read in great numbers: see Environment.scan. */

/** Which rows, in the order of their keys. */
export interface ScanRange {
  /** The first key, or where it would stand; none: from the beginning. */
  readonly start?: string;
  /** The row of that key is none of them. */
  readonly exclusiveStart?: boolean;
  /** Where the rest begins that is not wanted; none: all is. */
  readonly end?: string;
  readonly limit?: number;
}

/** Rows whose keys are latin1 texts, as they were decoded. */
export interface Scan<V> {
  readonly range: (range: ScanRange) => Iterable<{ readonly key: string; readonly value: V }>;
  /** Undefined: there is none. */
  readonly get: (key: string) => V | undefined;
  /** Its bytes, until something else is read. */
  readonly getBytes: (key: string) => Buffer | undefined;
}

/**
 * Makes a row into what it is. @param row in memory that the next one is written over. @param key
 * of the row, as a latin1 text.
 */
export type RowDecoder<V> = (row: Buffer, key: string) => V;

/**
 * The same. @param memory that begins with the row and goes on behind it: how long it says that it
 * is does not count.
 */
export type InPlaceDecoder<V> = (memory: Buffer, length: number, key: string) => V;
