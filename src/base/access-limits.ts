/** Bounds of access rules: see src/access. */

/**
 * Topics whose decisions a shard keeps, those of all classes of clients together: as many as most
 * brokers have. Beyond, all are found anew, which takes some tenths of a microsecond each.
 */
export const DECISIONS_KEPT_MAX = 65_536;
/** Decisions of longer topics are not kept: so they take 24 MiB a shard at most. */
export const DECISION_TOPIC_BYTES_MAX = 256;
/**
 * Classes that are kept for the next client of their user. More users than that at a time have one
 * class a client, which decides no otherwise, and keeps decisions of its own.
 */
export const CLASSES_KEPT_MAX = 4_096;
/**
 * Looks at rules that finding out takes whether anything can be delivered of a filter. Beyond, it
 * may be subscribed: what is delivered is looked at all the same. Each takes some 0.5 us, and one
 * filter is not interrupted.
 */
export const SUBSCRIBE_LOOKS_MAX = 4_000;
/**
 * Rules that are looked at for filters with wildcards before the clock is: some 50 us. A filter
 * whose own take longer, up to some 3 ms, is the last of its part.
 */
export const RULES_PER_PART = 1_024;
/** Subscriptions of a session whose routes are found anew one by one; of more, all routes are. */
export const INVALIDATED_APART_MAX = 64;
/** Of each turn, for bringing sessions to other rules: 1,000 or more of them. */
export const REVISION_MS_PER_TURN = 2;
/** A shard says no more often that rules have forbidden something, in milliseconds. */
export const FORBIDDEN_LOG_INTERVAL_MS = 1_000;
/**
 * What may be told of a member to the shard that owns its group, by the characters of its names and
 * rules. Each membership brings it, and a client may have a great many: one that has more to say
 * gets nothing of a group where rules are.
 */
export const MEMBER_IDENTITY_MAX = 2_048;
