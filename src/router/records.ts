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
  /**
   * The holder of a session that another shard has claimed answers it. Word 0, 1: low and high half
   * of the claim, as in all that follow; word 2: 1 when there is a session, and 0 when there is
   * none.
   */
  handoverOffer: 10,
  /** The claimer is ready for the session. */
  handoverTake: 11,
  /**
   * Body: subscriptions, SubscriptionPiece. Word 2: their cost; word 3: 1 for the last of them,
   * plus 2 when retained messages are owed to the session.
   */
  handoverFilters: 12,
  /** Word 2: the old holder. The sender is interested in all filters of the session. */
  handoverCut: 13,
  /** From here on this shard's runs for the moving session go to its new shard. */
  handoverCutDone: 14,
  /** Body: SessionHead. The runs of the session's window follow. */
  handoverHead: 15,
  /**
   * Body: a run of the window, oldest first. Word 2: header byte | header byte to deliver with << 8
   * | topic length << 16; word 3: count.
   */
  handoverRun: 16,
  /** A piece of the window has been sent. Word 2: its cost; word 3: 1 for the last. */
  handoverPart: 17,
  /** Word 2: the cost of a piece of whatever session, which the claimer has taken. */
  handoverMore: 18,
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

/** Some subscriptions of a session that moves; `owed` 1: with all that is retained for it. */
export type SubscriptionPiece = readonly (readonly [
  filterKey: string,
  qos: 0 | 1 | 2,
  owed?: 0 | 1,
])[];
