/** What a session's window may send, in its place between what is published before and behind. */
import type { Session } from '../sessions/session.js';
import type { TurnArena } from './turn-arena.js';

/**
 * Lays out what the window of a session may send now, `bytesMax` bytes at most: behind what was
 * published before at another QoS, before what is published next.
 * @param nowMs what its deliveries are stamped with.
 */
export function layOutWindow(
  session: Session,
  arena: TurnArena,
  bytesMax: number,
  nowMs: number,
): void {
  const { outlet, window } = session;
  if (outlet === null || window === null || outlet.isBlocked || !window.sendable) return;
  const at = arena.reserve(bytesMax);
  arena.shrink(window.fill(arena.buffer, at, at + bytesMax, nowMs));
  if (arena.position > at) outlet.append(at, arena.position);
}
