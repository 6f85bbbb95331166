/** What a run has beside its frames. */
import type { Session } from '../sessions/session.js';

/** One is used for many runs: it says what it says until the next. */
export interface RunTraits {
  /** As in Run: 0 for frames of 3.x. */
  propertyBytes: number;
  /** As in Run: 0 for a message that does not expire. */
  expiresAt: number;
  /** The session of the publisher, for subscriptions with No Local; null: nobody's here. */
  own: Session | null;
}

/** Those of frames of 3.x whose publisher has no subscription with No Local. */
export const PLAIN_RUN: Readonly<RunTraits> = { propertyBytes: 0, expiresAt: 0, own: null };
