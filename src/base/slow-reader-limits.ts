/** Bounds on what slow readers may cost others: a part of limits.ts, which exports them. */

/**
 * How long readers that lag may have a publisher wait, of every minute and all of them together,
 * while other readers of what it publishes keep up: as long as one that stands still altogether may
 * by default (slowConsumerTimeout).
 */
export const SLOW_READERS_WAIT_MS = 2_000;
export const SLOW_READERS_MINUTE_MS = 60_000;
/**
 * A reader lags when it is over its mark for so long: with the default mark one that takes less
 * than 2.6 MB a second, from a publisher that could send more. Shorter waits are how a stream flows
 * to a reader that is not quite as fast as its publisher.
 */
export const LAGGING_AFTER_MS = 200;
/** It keeps up again when it has not lagged for so long: slow readers may do so by turns. */
export const KEEPS_UP_AFTER_MS = 3_000;
/** Between two looks whether others keep up with a publisher that is asked to wait. */
export const READERS_LOOK_MS = 400;
/** Topics looked at then: those it has published to last. */
export const RECENT_ROUTES = 4;
/** Between two log lines that say that a client loses messages. */
export const CLIENT_DROPS_LOG_INTERVAL_MS = 60_000;
/** Clients of a shard that are told of in that time: more lines than that would say no more. */
export const CLIENT_DROPS_MAX = 1_000;
