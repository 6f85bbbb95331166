/**
 * The two ways in which a publisher is slowed down when a reader falls behind; see
 * shard/backpressure.ts.
 */

/** How a publisher is slowed down. */
export const Slowdown = {
  /** PUBACK and PUBREC are withheld. */
  holdAcks: 1,
  /** Nothing is read from it. */
  stopReading: 2,
} as const;
export type Slowdown = (typeof Slowdown)[keyof typeof Slowdown];

/** A publisher on this shard, as far as it can be slowed down. */
export interface Publisher {
  /** `shards` names shards that have a reader which needs it; 0 when it may go on. */
  slowDown(how: Slowdown, shards: number): void;
}
