/**
 * The two ways in which a publisher is slowed down when a reader falls behind; see
 * shard/backpressure.ts.
 */
import type { Route } from './route.js';

/** How a publisher is slowed down. */
export const Slowdown = {
  /** PUBACK and PUBREC are withheld. */
  holdAcks: 1,
  /** Nothing is read from it. */
  stopReading: 2,
} as const;
export type Slowdown = (typeof Slowdown)[keyof typeof Slowdown];

/** Whether a reader that a publisher waits for lags: is behind for more than a moment. */
export const Lag = {
  none: 0,
  /** It has come to lag while it was waited for. */
  turned: 1,
  /** It lagged when it fell behind, and had done so lately. */
  known: 2,
} as const;
export type Lag = (typeof Lag)[keyof typeof Lag];

/** Which readers a publisher does not wait for. */
export const Impatience = {
  none: 0,
  /** Those that have been behind for a while, or have just come. */
  withLagging: 1,
  withAll: 2,
} as const;
export type Impatience = (typeof Impatience)[keyof typeof Impatience];

/** A publisher on this shard, as far as it can be slowed down. */
export interface Publisher {
  /** `shards` names shards that have a reader which needs it; 0 when it may go on. */
  slowDown(how: Slowdown, shards: number): void;
  /** Routes of what it has published last: a few, each of another topic. */
  recentRoutes(): readonly Route[];
}
