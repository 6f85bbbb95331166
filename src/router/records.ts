/**
 * What the shards say to each other on the rings: kinds of records and the meaning of their four
 * words. No logic. Bodies other than PUBLISH frames are msgpackr.
 */

export const RecordKind = {
  /**
   * Body: a run. Words: publisher's connection id; header byte | flags; topic length; count.
   */
  run: 1,
  /**
   * Body: InterestChange. Word 0, 1: low and high half of its number, confirmed by
   * `interestConfirmed`.
   */
  interest: 2,
  /** The same words: the interest change that this shard has applied, with all before it. */
  interestConfirmed: 3,
  /**
   * Word 0: connection id of a publisher that feeds an outbox over its mark; word 1: a Slowdown,
   * plus 4 when that outbox lags, plus 8 when it kept up until now.
   * How long it waits is up to its shard.
   */
  slowDown: 4,
  /** The same words: it may go on. */
  goOn: 5,
  /** Body: filter key (latin1). Word 0: replay id of the asking shard. */
  retainedQuery: 6,
  /**
   * Body: one PUBLISH frame. Words: replay id; 0; topic length; 0.
   */
  retainedMessage: 7,
  /**
   * Word 0: replay id; word 1: 1 when this was the last part, 0 when more is sent on
   * `retainedMore`.
   */
  retainedPart: 8,
  /** Word 0: replay id; word 1: 1 to go on, 0 to give up. */
  retainedMore: 9,
  /** Body: HandoverOffer. Word 0, 1: low and high half of the new claim. */
  handoverOffer: 10,
  /**
   * Body: filters the session's new shard is interested in. Words: claim; word 2: the old holder.
   */
  handoverCut: 11,
  /** Words: claim. From here on this shard's runs for the moving session go to its new shard. */
  handoverCutDone: 12,
  /** Body: SessionSnapshot. Words: claim. */
  handoverSession: 13,
  /** Body: topic key (latin1). Word 0: connection id of a publisher of the asking shard. */
  readersQuery: 20,
  /** Word 0: the same id. A reader of that topic keeps up here; no answer means that none does. */
  readersKeepUp: 21,
} as const;

/** Filters in which the sending shard became interested or lost interest, in that order. */
export interface InterestChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Answer of the shard that holds a session to the one that wants it. */
export interface HandoverOffer {
  /** False: nothing to hand over; the claimer begins a new session. */
  readonly exists: boolean;
  readonly subscriptions: readonly (readonly [filterKey: string, qos: 0 | 1 | 2])[];
}
