/**
 * How a shard stops, in two steps: so that no shard goes while another still has something for it.
 */
import { monotonicMs } from '../base/clock.js';
import { Counter } from '../base/counters.js';
import { CloseReason } from '../base/errors.js';
import { Pause } from '../connection/connection.js';
import type { Shard } from './shard.js';

/** Between two looks at what is still unsent. */
const LOOK_AGAIN_MS = 5;
/** Every reason to pause but the CONNECT that waits, and a turn, which ends by itself. */
const ALL_PAUSES = Pause.slowReader | Pause.ringFull | Pause.disk | Pause.quiesced;

/** First step: nothing more comes in. Resolves when all that came in is on the ring. */
export async function quiesce(shard: Shard): Promise<void> {
  shard.isStopping = true;
  for (const connection of shard.connections.values()) connection.pause(Pause.quiesced);
  shard.turn.flush();
  const { durable, link, router } = shard;
  const isStuck = () => router.made.isHeld && durable?.isRefusing === true;
  while (link.backlogBytes > 0 || (router.made.areWaiting && !isStuck())) await nextTurn(shard);
  // Acks that wait for a disk that works leave before the connections end.
  while (durable?.isWaiting && !durable.isRefusing) await nextTurn(shard);
}

/**
 * Second step, when all shards have taken the first: clients are read again, for their acks alone,
 * until what was acknowledged to publishers is sent to those who read and acknowledge, or until
 * `deadlineMs` from now. Then everything is closed.
 */
export async function stop(shard: Shard, deadlineMs: number): Promise<void> {
  const deadline = monotonicMs() + deadlineMs;
  for (const connection of shard.connections.values()) connection.unpause(ALL_PAUSES);
  await nextTurn(shard);
  let unsent = unsentOf(shard);
  let movedAt = monotonicMs();
  while (unsent > 0 && monotonicMs() < deadline) {
    await nextTurn(shard);
    const left = unsentOf(shard);
    if (left !== unsent) movedAt = monotonicMs();
    else if (monotonicMs() - movedAt > shard.config.slowConsumerTimeoutMs) break;
    unsent = left;
  }
  for (const connection of [...shard.connections.values()]) {
    connection.close(CloseReason.serverShutdown);
  }
  await nextTurn(shard);
  shard.turn.flush();
  // What the gauges say last is what goes.
  shard.ticker.tick();
  shard.ticker.stop();
  // The last look, for the primary: it says what goes with this memory.
  const { absentQueues } = shard.registry;
  shard.counters.set(Counter.queuedMessages, absentQueues.queuedMessages);
  shard.counters.set(Counter.inflightMessages, absentQueues.inflightMessages);
  shard.clientLog.onSecond();
  shard.loopDelay.stop();
  for (const connection of shard.connections.values()) connection.transport.destroy();
  shard.adoption.handshakes.close();
  shard.link.close();
  // Nothing is called behind it.
  shard.authenticationQueues.close();
  await shard.authenticator.close?.();
  shard.store?.retained.beforeClose();
  shard.durable?.submit();
  shard.isClosed = true;
  await shard.store?.journal.close();
  await shard.store?.reader.close();
  await shard.providers.store.close();
  await shard.topics.close();
}

/** Bytes that clients have not taken, and bytes and messages that wait for their acks. */
function unsentOf(shard: Shard): number {
  let unsent = 0;
  for (const { outbox, session } of shard.connections.values()) {
    if (outbox.isStalled) continue;
    const window = session?.window;
    unsent += outbox.pendingBytes + (window == null ? 0 : window.queuedBytes + window.inflight);
  }
  return unsent;
}

/** Lets the event loop go round, with a turn in it. */
function nextTurn(shard: Shard): Promise<void> {
  shard.schedule();
  return new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
}
