/** Which messages of a run may go to a session at once, past its queue. */
import { growthMax } from '../sessions/delivery-form.js';
import type { Session } from '../sessions/session.js';
import type { TurnArena } from './turn-arena.js';

/** How many messages a session takes past its queue. @param bytes of all together. */
export function directRoom(
  arena: TurnArena,
  session: Session,
  identifiers: readonly number[] | undefined,
  bytes: number,
  count: number,
): number {
  const { outlet, receiver } = session;
  if (outlet === null || outlet.isBlocked) return 0;
  if (arena.isHeld && arena.isCrowded(bytes + count * growthMax(receiver, identifiers))) return 0;
  // Some may be too long for it, which the queue finds out.
  if (receiver !== null && bytes + growthMax(receiver, identifiers) > receiver.maximumPacketSize)
    return 0;
  return session.openWindow().directRoom;
}
