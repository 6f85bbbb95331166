/** What a shard does because time passes: its ticker, its deadlines, and whose they are. */
import { ListeningTime } from '../base/clock.js';
import type { Deadline } from '../base/deadlines.js';
import { SWEEP_MS } from '../base/limits.js';
import { Connection } from '../connection/connection.js';
import type { Session } from '../sessions/session.js';
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
  ticker.add(() => {
    shard.memory.check();
    shard.routes.sweep();
  });
  ticker.start();
  shard.loopDelay.start();
}

/** A deadline has come: a connection's, or a session's. */
export function onDue(shard: Shard, deadline: Deadline): void {
  if (deadline instanceof Connection) deadline.onDeadline();
  else shard.sessionWatch.onDue(deadline as Session);
}

/** Makes the watch over the sessions of a shard. */
export function watchSessions(shard: Shard): SessionWatch {
  const { config, counters, deadlines } = shard;
  return new SessionWatch({
    config,
    counters,
    deadlines,
    log: shard.log.bind(shard),
    onExpired: (session) => {
      shard.registry.end(session);
      // The primary is told at the end of a turn.
      shard.schedule();
    },
  });
}
