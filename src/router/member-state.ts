/**
 * A member of a group on the shard of its session, and whether it takes what its group has for it.
 *
 * What a kept session is given whose client reads nothing goes to disk alone, where nobody knows
 * what of it is for a group: the group would have nothing of that back when the client leaves. So
 * the group of such a member is told that it is away, and goes on with others or keeps what comes.
 * What was on its way by then is held beside the session's queue, in its order: no more than a ring
 * holds, and what waited for the ring.
 */
import { RecordError } from '../base/errors.js';
import { GROUP_MEMBER_QUEUE_MAX } from '../base/limits.js';
import { QOS_MASK } from '../protocol/fixed-header.js';
import type { Session } from '../sessions/session.js';
import type { Grant } from '../topics/grant.js';
import { type GroupRun, MemberState } from './group-link.js';
import type { LocalMember } from './group-parts.js';

/** One that all shards do not route to yet. @param confirmed is to be called when they do. */
export function beginMember(
  groupKey: string,
  id: number,
  session: Session,
  owner: number,
  grant: Grant,
  confirmed: () => void,
): LocalMember {
  return {
    groupKey,
    id,
    session,
    owner,
    grant,
    state: session.outlet === null ? MemberState.absent : MemberState.here,
    hasLeft: false,
    isLetGo: false,
    load: 0,
    held: [],
    waiting: [confirmed],
  };
}

/** Whether what a session is given now, while its client is here, may go to disk alone. */
export function takesNothing({ kept, outlet }: Session): boolean {
  if (kept === null || outlet === null) return false;
  return outlet.isStalled || kept.queue.onDisk > 0;
}

/** Whether a run that comes for a member, whose client is here, is to be held. */
export function holdsBack({ session, held }: LocalMember, { header }: GroupRun): boolean {
  if ((header & QOS_MASK) === 0) return false;
  return held.length > 0 || takesNothing(session);
}

/** With its bytes copied: a ring has them no longer than a moment. */
export function toHeldRun(run: GroupRun): GroupRun {
  const buffer = Buffer.from(run.buffer.subarray(run.start, run.end));
  return { ...run, buffer, start: 0, end: buffer.length };
}

/** Of one whose client is here. */
export function stateNow({ session, state }: LocalMember): MemberState {
  // Others have it meanwhile, or its group.
  if (takesNothing(session)) return MemberState.absent;
  const { outlet, window } = session;
  const queued = window === null ? 0 : window.queuedMessages;
  const max = state === MemberState.behind ? 0 : GROUP_MEMBER_QUEUE_MAX;
  const isBehind = outlet!.isHeavy || outlet!.isStalled || queued > max;
  return isBehind ? MemberState.behind : MemberState.here;
}

/** How many messages the client of a session may have in flight. */
export function inflightMaxOf({ limits, receiver }: Session): number {
  const { maxInflight } = limits;
  return receiver === null ? maxInflight : Math.min(maxInflight, receiver.receiveMaximum);
}

/** As a record says it. @throws RecordError for what is none. */
export function stateOf(word: number): MemberState {
  if (word > MemberState.behind) throw new RecordError(`no state of a member is ${word}`);
  return word as MemberState;
}
