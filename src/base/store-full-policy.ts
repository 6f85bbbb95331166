/** What becomes of a message for an absent client when the store is full. */
export const STORE_FULL_POLICIES = ['drop-oldest', 'drop-newest', 'reject'] as const;
export type StoreFullPolicy = (typeof STORE_FULL_POLICIES)[number];
