/** When a change counts as kept. */

/** On disk; in the system's memory, which survives the process; or at once. */
export const DURABILITIES = ['fsync', 'commit', 'none'] as const;
export type Durability = (typeof DURABILITIES)[number];
