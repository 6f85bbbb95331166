/** What a shard does because time passes: its ticker, its deadlines, and whose they are. */
import { ListeningTime, sharedMs } from '../base/clock.js';
import type { Deadline } from '../base/deadlines.js';
import { SWEEP_MS } from '../base/limits.js';
import type { EndingAdmission } from '../connection/admit.js';
import type { Connection } from '../connection/connection.js';
import type { EnhancedAuthentication } from '../connection/enhanced-authentication.js';
import type { RateLimit } from '../connection/rate-limit.js';
import { Session } from '../sessions/session.js';
import { isLoading } from './make-store.js';
import { SessionWatch } from './session-watch.js';
import type { Shard } from './shard.js';
import { Sweeper } from './sweeper.js';

/** Starts everything that comes again and again. */
export function startClocks(shard: Shard): void {
  const { deadlines, ticker } = shard;
  const listening = new ListeningTime(ticker.now, SWEEP_MS);
  ticker.add((now) => deadlines.advance(listening.tick(now)));
  const sweeper = new Sweeper(shard);
  ticker.add((now) => sweeper.sweep(now));
  ticker.add((now) => {
    shard.pressure.onTick(now);
    shard.memory.check();
    shard.routes.sweep();
    if (shard.store?.retained.onTick()) shard.schedule();
    // That the store has room again is a word in shared memory, which wakes nobody.
    if (shard.durable !== null && shard.durable.heldConnections > 0) shard.schedule();
  });
  ticker.start();
  shard.loopDelay.start((lateMs) => shard.counters.seen(sharedMs(), lateMs));
}

/** A deadline has come: a session's, or one of a connection's. */
export function onDue(shard: Shard, deadline: Deadline): void {
  if (deadline instanceof Session) shard.sessionWatch.onDue(deadline);
  else (deadline as Connection | EnhancedAuthentication | EndingAdmission | RateLimit).onDeadline();
}

/** Makes the watch over the sessions of a shard. */
export function watchSessions(shard: Shard): SessionWatch {
  const { counters, deadlines, wills } = shard;
  return new SessionWatch({
    settings: () => shard.config,
    counters,
    deadlines,
    wills,
    log: shard.log.bind(shard),
    // Nor is it one's time while the shard stops: who would hear of a will may have gone.
    isTooEarly: () => isLoading(shard) || shard.isStopping,
    onExpired: (session) => {
      shard.registry.end(session);
      // The primary is told at the end of a turn.
      shard.schedule();
    },
  });
}
