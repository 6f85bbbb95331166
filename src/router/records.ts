/**
 * What the shards say to each other on the rings: kinds of records and the meaning of their four
 * words. No logic. Bodies other than PUBLISH frames are msgpackr.
 */

import type { AccessRule } from '../base/access-rule.js';
import type { Grant } from '../topics/grant.js';

export const RecordKind = {
  /**
   * Body: a run. Words: publisher's connection id; header byte | flags; topic length; count.
   */
  run: 1,
  /**
   * Body: a run of 5.0, canonical (protocol/v5/publish-view.ts). Words: publisher's connection id;
   * header byte | flags, with the upper bits of its expiry (run-words.ts); topic length |
   * (count - 1) << 16; the lower bits of its expiry.
   */
  run5: 22,
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
  /**
   * Body: filter key (latin1). Word 0: replay id of the asking shard; word 1: bytes that it wants
   * in one part, if they are all, or 0.
   */
  retainedQuery: 6,
  /**
   * Body: one PUBLISH frame. Words: replay id; 1 for one of 5.0, else 0, with the upper bits of its
   * expiry; topic length; the lower bits of its expiry.
   */
  retainedMessage: 7,
  /**
   * Word 0: replay id; word 1: 1 when this was the last part, 0 when more is sent on
   * `retainedMore`, or there is more than was wanted.
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
  /** Body: MovedTraits of the run that follows, where they are not those of 3.x. */
  handoverTraits: 23,
  /**
   * Body: GroupJoin. Word 0: member id of the sending shard; word 1: a MemberState; word 2: how
   * many messages it may have in flight. To the shard that the group's key names.
   */
  groupJoin: 24,
  /** Word 0: member id of the receiving shard: all shards route to its group. */
  groupJoined: 25,
  /** Word 0: member id; words 1, 2 as those of groupJoin, from here on. */
  groupState: 26,
  /**
   * Word 0: member id, which is a member no more; word 1: 1 where its session is to be found in the
   * store by another shard, and joins again from there. Answered by groupLeft.
   */
  groupLeave: 27,
  /** Words 0, 1: the expiry of the groupRun that follows, where it has one, or groupReturn. */
  groupExpiry: 28,
  /**
   * Body: a run for a member of the receiving shard. Words: publisher's connection id; header byte
   * | the shard of that << 8 | 1 << 13 for one of 5.0; topic length | (count - 1) << 16; member id.
   */
  groupRun: 29,
  /**
   * Body: a run that a member of the group named last has not acknowledged, and that is for
   * another one. Word 0: 0; the others as in groupRun.
   */
  groupReturn: 30,
  /** Word 0: a member id of the receiving shard that nothing is sent for any more. */
  groupLeft: 31,
  /** Body: the key (latin1) of the group that what follows of groupReturn is of. */
  groupName: 32,
  /** Word 0: member id; word 1: how many messages wait for it, or for its acknowledgement. */
  groupLoad: 33,
  /**
   * Where the groupRun that follows is on disk, if it is, or groupReturn. Words 0, 1: low and high
   * half of the queue's number; words 2, 3: of the position in it.
   */
  groupRow: 34,
  /** A piece of the window has been sent. Word 2: its cost; word 3: 1 for the last. */
  handoverPart: 17,
  /** Word 2: the cost of a piece of whatever session, which the claimer has taken. */
  handoverMore: 18,
  /** Body: topic key (latin1). Word 0: connection id of a publisher of the asking shard. */
  readersQuery: 20,
  /** Word 0: the same id. A reader of that topic keeps up here; no answer means that none does. */
  readersKeepUp: 21,
} as const;

/** Whether this is a kind of record about the groups of Shared Subscriptions. */
export function isOfGroups(kind: number): boolean {
  return kind >= RecordKind.groupJoin && kind <= RecordKind.groupRow;
}

/** Filters in which the sending shard became interested or lost interest, in that order. */
export interface InterestChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Those for some of whose subscribers it keeps messages in a store, behind both. */
  readonly kept?: readonly string[];
  readonly orphaned?: OrphanedFilters;
}

/**
 * Filters of sessions that were leaving the sending shard for one that has died: what is published
 * there waits until that has a successor which has found them.
 */
export interface OrphanedFilters {
  readonly shard: number;
  readonly filters: readonly string[];
}

/**
 * Some subscriptions of a session that moves; `since`: all that is retained for it is still to be
 * sent, which that SUBSCRIBE of its replay has asked for.
 */
export type SubscriptionPiece = readonly (readonly [
  filterKey: string,
  grant: Grant,
  since?: number,
])[];

/** A member comes to the group of a Shared Subscription. */
export interface GroupJoin {
  /** `$share/{ShareName}/{filter}`, as a key. */
  readonly groupKey: string;
  /** Who it is, which says what it may be given. */
  readonly clientId: string;
  readonly username: string | null;
  readonly rules: readonly AccessRule[] | null;
  /** Its session is kept on disk: so is what is for its group. */
  readonly isKept: boolean;
}

/** What a run of a window has beside its frames, and what its session gets them with. */
export interface MovedTraits {
  /** As in Run. */
  readonly propertyBytes: number;
  readonly expiresAt: number;
  /** Subscription Identifiers to deliver with, if any. */
  readonly identifiers: readonly number[];
  /** What is not sent of it is another member's of its group. */
  readonly isGivenAway: boolean;
}
