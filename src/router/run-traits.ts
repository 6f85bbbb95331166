/** What a run has beside its frames. */
import type { Session } from '../sessions/session.js';

/** A run in whose frames a Topic Alias of its publisher stands for the topic still. */
export interface AliasedRun {
  /** The frames are [start, end) of it; others than before, once they were made canonical. */
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  /** Where in each body the two bytes of the alias stand. */
  readonly aliasAt: number;
  /** Makes the frames canonical, which costs more than to send them with another alias. */
  settle(): void;
}

/** One is used for many runs: it says what it says until the next. */
export interface RunTraits {
  /** As in Run: 0 for frames of 3.x. */
  propertyBytes: number;
  /** As in Run: 0 for a message that does not expire. */
  expiresAt: number;
  /** The session of the publisher, for subscriptions with No Local; null: nobody's here. */
  own: Session | null;
  /** The run itself, where it is not canonical yet; null: it is. For local sessions alone. */
  aliased: AliasedRun | null;
}

/** Those of frames of 3.x whose publisher has no subscription with No Local. */
export const PLAIN_RUN: Readonly<RunTraits> = {
  propertyBytes: 0,
  expiresAt: 0,
  own: null,
  aliased: null,
};
