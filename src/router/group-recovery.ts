/**
 * What a shard that has died leaves undone of groups that are kept: what was on its way to it, with
 * a member there that kept nothing, or on its way from it. All of it is among the loose entries of
 * some shard, and goes to the owner of its group again; each entry is taken up by one shard.
 */
import type { Membership } from '../sessions/membership.js';
import type { Session } from '../sessions/session.js';
import { ownerOfGroup } from './group-link.js';
import type { HeldRun } from './group-parts.js';
import { GroupRow, type GroupRows, type LooseRun } from './group-rows.js';

/** A member, as far as it has rows. */
interface Holder extends Membership {
  readonly owner: number;
  readonly session: Session;
  readonly held: readonly HeldRun[];
}

/** Those that this shard takes up. @param dead the shard that has died. */
export function* leftUndone(
  rows: GroupRows,
  dead: number,
  shardIndex: number,
  shardCount: number,
  isHeld: (row: GroupRow) => boolean,
): Generator<LooseRun> {
  for (const loose of rows.leftBy(dead)) {
    const { home, target, groupKey, row } = loose;
    const owner = ownerOfGroup(groupKey, shardCount);
    const isBack = target === null;
    // Given back to a group there; given to a member here, and never come.
    const wasItsGroups =
      owner === dead &&
      ((home === shardIndex && isBack) || (home === dead && target === shardIndex && !isHeld(row)));
    // Given to a member there; given back from there, and never come.
    const isOurGroups =
      owner === shardIndex && (home === shardIndex ? target === dead : home === dead && isBack);
    if (wasItsGroups || isOurGroups) yield loose;
  }
}

/**
 * Whether a member here has what a row is about, of a group that the dead shard had. To be asked
 * for when its successor is welcomed: what is given back from then on goes to that one, and rows
 * that are gone by the time that they are looked at may be there still.
 */
export function heldRows(members: Iterable<Holder>, dead: number): (row: GroupRow) => boolean {
  const sessions = new Set<Session>();
  const held = new Set<string>();
  for (const { owner, session, held: runs } of members) {
    if (owner !== dead) continue;
    sessions.add(session);
    for (const { row } of runs) held.add(keyOf(row));
  }
  for (const { window } of sessions) {
    if (window === null) continue;
    const { runs } = window.messages;
    for (let entry = 0; entry < runs.length; entry++) {
      const row = runs.membershipAt(entry)?.row;
      if (row instanceof GroupRow) held.add(keyOf(row));
    }
  }
  return (row) => held.has(keyOf(row));
}

function keyOf({ number, position }: GroupRow): string {
  return `${number}:${position}`;
}
