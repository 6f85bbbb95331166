/** Ways to choose the member of a Shared Subscription that gets a message. */
export const SHARED_STRATEGIES = ['round-robin', 'sticky', 'hash', 'least'] as const;
/** One of them. */
export type SharedStrategy = (typeof SHARED_STRATEGIES)[number];
