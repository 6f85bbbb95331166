/** What a session's window may send, in its place between what is published before and behind. */
import type { Session } from '../sessions/session.js';
import type { TurnArena } from './turn-arena.js';

/** The arena is filled up in such pieces. */
const PIECE_BYTES = 16 * 1024;

/**
 * Lays out what the window of a session may send now, `bytesMax` bytes at most: behind what was
 * published before at another QoS, before what is published next.
 * @param nowMs what its deliveries are stamped with.
 * @returns false when there is nothing, or no room now: the flush sends it.
 */
export function layOutWindow(
  session: Session,
  arena: TurnArena,
  bytesMax: number,
  nowMs: number,
): boolean {
  const { outlet, window } = session;
  if (outlet === null || window === null || outlet.isBlocked || !window.sendable) return false;
  if (arena.isCrowded(bytesMax)) return false;
  const at = arena.reserve(bytesMax);
  arena.shrink(window.fill(arena.buffer, at, at + bytesMax, nowMs));
  if (arena.position > at) outlet.append(at, arena.position);
  return true;
}

/**
 * Lays out all that the window of a session may send now: what a resumed session has waited for
 * comes before what is published next. A socket that takes no more ends it; the rest then follows
 * as the socket drains.
 */
export function layOutWholeWindow(session: Session, arena: TurnArena, nowMs: number): void {
  const { outlet, window } = session;
  if (window === null) return;
  // A flush that makes room in the arena may find the connection closed.
  let isAnyLeft = true;
  while (isAnyLeft && session.outlet === outlet && window.sendable) {
    isAnyLeft = layOutWindow(session, arena, Math.max(PIECE_BYTES, window.nextFrameBytes()), nowMs);
  }
}
