/** What becomes of a reader that is behind, and of what is published to it meanwhile. */
export const SLOW_CONSUMER_POLICIES = [
  'backpressure',
  'drop-newest',
  'drop-oldest',
  'latest',
  'disconnect',
] as const;
export type SlowConsumerPolicy = (typeof SLOW_CONSUMER_POLICIES)[number];
