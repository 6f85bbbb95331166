import { Counter } from '../base/counters.js';
import { WordIds } from '../base/word-ids.js';
import { DUP } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';
import { topicKeyOf } from '../sessions/delivery-form.js';
import type { Membership } from '../sessions/membership.js';
import type { Session } from '../sessions/session.js';
import { type Grant, grantedQos } from '../topics/grant.js';
import {
  type GroupRun,
  MemberState,
  ownerOfGroup,
  placeOf,
  readGroupRun,
  sendBack,
  toGroupRun,
} from './group-link.js';
import type { LocalMember, MemberParts, Returned } from './group-parts.js';
import { heldRows, leftUndone } from './group-recovery.js';
import type { GroupRow } from './group-rows.js';
import { Groups } from './groups.js';
import { identityOf, isLongIdentity, readJoin } from './member-identity.js';
import {
  beginMember,
  holdsBack,
  inflightMaxOf,
  stateNow,
  stateOf,
  takesNothing,
  toHeldRun,
} from './member-state.js';
import { packRecord } from './record-body.js';
import { type GroupJoin, RecordKind } from './records.js';
import { expiryOf } from './run-words.js';

const NO_BYTES: Buffer = Buffer.alloc(0);
const ALL_MEMBERSHIPS = null;

/** One a shard: the memberships here, and the groups owned here. */
export class Members {
  readonly #parts: MemberParts;
  readonly #groups: Groups;
  readonly #members = new Map<number, LocalMember>();
  readonly #ids = new WordIds();
  /** Those that were behind when they were looked at last. */
  readonly #behind = new Set<LocalMember>();
  /** Those with something to acknowledge, where their groups want to know how much. */
  readonly #loaded = new Set<LocalMember>();
  /** By dead shard: whether a run of it had arrived when its successor was welcomed. */
  readonly #arrived = new Map<number, (row: GroupRow) => boolean>();
  /** What the record that follows has, if it expires. */
  #expiresAt = 0;
  /** Of the group that a run comes back of next. */
  #groupName = '';
  /** Where the run of the record that follows is on disk, if it is. */
  #row: GroupRow | null = null;

  constructor(parts: MemberParts) {
    this.#parts = parts;
    const deliverLocally = this.#deliver.bind(this);
    this.#groups = new Groups({ ...parts, deliverLocally });
  }

  /**
   * A session subscribes to a group, whose key is valid, or changes what it is granted. Calls back
   * when all shards route to it.
   */
  subscribe(session: Session, groupKey: string, grant: Grant, confirmed: () => void): void {
    const known = session.memberships?.get(groupKey) as LocalMember | undefined;
    if (known !== undefined) {
      known.grant = grant;
      if (known.waiting === null) confirmed();
      else known.waiting.push(confirmed);
      return;
    }
    const { shardCount } = this.#parts;
    const id = this.#ids.next(this.#members);
    const owner = ownerOfGroup(groupKey, shardCount);
    const member = beginMember(groupKey, id, session, owner, grant, confirmed);
    this.#members.set(id, member);
    session.memberships ??= new Map();
    session.memberships.set(groupKey, member);
    if (session.rights !== null && isLongIdentity(session)) this.#parts.onLongIdentity(session);
    this.#join(member);
  }

  /** It unsubscribes, or has ended: what it was not sent goes to others. */
  unsubscribe(session: Session, groupKey: string): void {
    const member = session.memberships?.get(groupKey) as LocalMember | undefined;
    if (member === undefined) return;
    session.memberships!.delete(groupKey);
    this.#setState(member, MemberState.absent);
    this.#takeBack(session, member, false);
    this.#behind.delete(member);
    const { owner, id, waiting, isLetGo } = member;
    member.hasLeft = true;
    if (this.#isHere(owner)) {
      this.#groups.leave(owner, id, isLetGo);
      this.#members.delete(id);
    } else {
      // It is known until its group's owner has heard of it: what is on its way goes back.
      this.#tell(RecordKind.groupLeave, owner, id, isLetGo ? 1 : 0);
    }
    for (const confirmed of waiting ?? []) confirmed();
  }

  /** A session is about to end here alone: another shard is to find it in the store. */
  letGo({ memberships }: Session): void {
    for (const member of memberships?.values() ?? []) (member as LocalMember).isLetGo = true;
  }

  /** The client of a session has left: what it has not acknowledged goes to others. */
  onGone(session: Session): void {
    if (session.memberships === null) return;
    for (const member of session.memberships.values()) {
      this.#setState(member as LocalMember, MemberState.absent);
    }
    this.#takeBack(session, ALL_MEMBERSHIPS, true);
  }

  /** The client of a session is here. */
  onHere(session: Session): void {
    if (session.memberships === null || session.outlet === null) return;
    for (const member of session.memberships.values()) this.#look(member as LocalMember);
  }

  /**
   * A session may read other topics than before: what waits for it goes to others of its groups, or
   * comes again.
   */
  onRightsChanged(session: Session): void {
    if (isLongIdentity(session)) this.#joinAgain(session);
    this.#takeBack(session, ALL_MEMBERSHIPS, false);
  }

  /** A session is somebody else's now: the owners of its groups are told whose. */
  onIdentityChanged(session: Session): void {
    if (!isLongIdentity(session)) this.#joinAgain(session);
    this.onRightsChanged(session);
  }

  /** The rules are others: so may be what the members of the groups here can be given. */
  revise(): void {
    this.#groups.revise();
  }

  /** A run was routed to the group that `session` stands for. */
  deliverToGroup(session: Session, run: GroupRun): void {
    this.#groups.deliver(session, run);
  }

  /** See Groups. */
  putFound(groupKey: string, found: Run): void {
    this.#groups.putFound(groupKey, found);
  }

  /** What is to be done once a turn. */
  onTurn(): void {
    for (const member of this.#behind) this.#look(member);
    for (const member of this.#loaded) this.#tellLoad(member);
    this.#groups.onTurn();
  }

  /** The ring has room. */
  onRingRoom(): void {
    this.#groups.onRingRoom();
  }

  dropPeer(index: number): void {
    this.#groups.dropPeer(index);
    // Nobody routes to its groups until it has a successor.
    for (const member of this.#members.values()) {
      if (member.owner !== index || member.waiting === null) continue;
      for (const confirmed of member.waiting.splice(0)) confirmed();
    }
  }

  /** A dead peer has a successor, which owns its groups. */
  welcomePeer(index: number): void {
    const { rows } = this.#parts;
    rows?.noteSuccessor(index);
    if (rows !== null) this.#arrived.set(index, heldRows(this.#members.values(), index));
    for (const member of [...this.#members.values()]) {
      if (member.owner !== index) continue;
      if (member.hasLeft) this.#members.delete(member.id);
      else this.#join(member);
    }
  }

  /** The successor has found what there was, and what is here is on disk. */
  onPeerLoaded(index: number): void {
    const { rows, shardIndex, shardCount, link, schedule } = this.#parts;
    const isHeld = this.#arrived.get(index);
    this.#arrived.delete(index);
    if (rows === null || isHeld === undefined) return;
    for (const loose of leftUndone(rows, index, shardIndex, shardCount, isHeld)) {
      const { groupKey, run, header, row } = loose;
      const back = toGroupRun(run, topicKeyOf(run), 0, run.bytes.length, header, run.count);
      const owner = ownerOfGroup(groupKey, shardCount);
      if (this.#isHere(owner)) this.#groups.takeBack(groupKey, back, row);
      else sendBack(link, owner, groupKey, back, row);
    }
    schedule();
  }

  /** Groups of this shard that are kept. */
  get keptGroups(): readonly string[] {
    return this.#groups.keptKeys;
  }

  /** A record of kind groupJoin to groupReturn. @throws RecordError for one that is none. */
  onRecord(
    from: number,
    kind: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    switch (kind) {
      case RecordKind.groupJoin: {
        const join = readJoin(buffer, start, end);
        const joined = () => this.#groups.tellJoined(from, word0);
        this.#groups.join(from, word0, join, stateOf(word1), word2, joined);
        return;
      }
      case RecordKind.groupJoined:
        this.#onJoined(word0);
        return;
      case RecordKind.groupState:
        this.#groups.setState(from, word0, stateOf(word1), word2);
        return;
      case RecordKind.groupLoad:
        this.#groups.setLoad(from, word0, word1);
        return;
      case RecordKind.groupLeave:
        this.#groups.leave(from, word0, word1 === 1);
        this.#tell(RecordKind.groupLeft, from, word0, 0);
        return;
      case RecordKind.groupLeft:
        if (this.#members.get(word0)?.hasLeft) this.#members.delete(word0);
        return;
      case RecordKind.groupName:
        this.#groupName = buffer.toString('latin1', start, end);
        return;
      case RecordKind.groupExpiry:
        this.#expiresAt = expiryOf(word0, word1);
        return;
      case RecordKind.groupRow: {
        const { number, position } = placeOf(word0, word1, word2, word3);
        this.#row = this.#parts.rows?.at(number, position) ?? null;
        return;
      }
      case RecordKind.groupRun: {
        const row = this.#takeRow();
        this.#deliver(word3, this.#readRun(word0, word1, word2, buffer, start, end), row);
        return;
      }
      default: {
        const row = this.#takeRow();
        const run = this.#readRun(0, word1, word2, buffer, start, end);
        this.#groups.takeBack(this.#groupName, run, row);
      }
    }
  }

  #takeRow(): GroupRow | null {
    const row = this.#row;
    this.#row = null;
    return row;
  }

  #readRun(
    publisherId: number,
    word1: number,
    word2: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): GroupRun {
    const expiresAt = this.#expiresAt;
    this.#expiresAt = 0;
    return readGroupRun(publisherId, word1, word2, expiresAt, buffer, start, end);
  }

  /** Delivers to a member here; what it cannot take goes back to its group. */
  #deliver(memberId: number, run: GroupRun, row: GroupRow | null): void {
    const member = this.#members.get(memberId);
    if (member === undefined) {
      // Of one that another shard had, with this index. Where it is on disk it stays.
      this.#parts.counters.add(Counter.droppedExpired, run.count);
      return;
    }
    const { session } = member;
    if (session.outlet === null || member.hasLeft) {
      // Its will comes before anybody is told that it has gone: it must not be given it again.
      if (!member.hasLeft) this.#setState(member, MemberState.absent);
      this.#handBack(member, run, row);
      return;
    }
    if (holdsBack(member, run)) {
      this.#hold(member, run, row);
      return;
    }
    this.#deliverHere(member, run, row);
    this.#look(member);
  }

  /** It has a row until it is in the member's queue, or has gone back. */
  #hold(member: LocalMember, run: GroupRun, row: GroupRow | null): void {
    const { rows, shardIndex } = this.#parts;
    const heldRow = row ?? rows!.putLoose(member.groupKey, run, shardIndex);
    member.held.push({ run: toHeldRun(run), row: heldRow });
    this.#look(member);
  }

  #deliverHere(member: LocalMember, run: GroupRun, row: GroupRow | null): void {
    const { session, grant } = member;
    const { delivery } = this.#parts;
    if (row === null) delivery.deliverToMember(session, grant, member, run);
    else this.#deliverKept(member, run, row);
    if (this.#parts.strategy === 'least') this.#loaded.add(member);
  }

  /** What a member's own queue keeps is there alone; else it stays where it is on disk. */
  #deliverKept(member: LocalMember, run: GroupRun, row: GroupRow): void {
    const { session, grant, groupKey } = member;
    const { delivery } = this.#parts;
    if (session.kept !== null || grantedQos(grant) === 0) {
      row.leave();
      delivery.deliverToMember(session, grant, member, run);
      return;
    }
    const note = { groupKey, of: member, row };
    if (!delivery.deliverToMember(session, grant, note, run)) row.leave();
  }

  /** Has its group know what it has to acknowledge, until that is nothing. */
  #tellLoad(member: LocalMember): void {
    const { window, outlet } = member.session;
    const load = outlet === null || window === null ? 0 : window.inflight + window.queuedMessages;
    if (load === 0 || member.hasLeft) this.#loaded.delete(member);
    if (load === member.load || member.hasLeft) return;
    member.load = load;
    const { owner, id } = member;
    if (this.#isHere(owner)) this.#groups.setLoad(owner, id, load);
    else this.#tell(RecordKind.groupLoad, owner, id, load);
  }

  /** Has its group know when it falls behind or takes nothing, or has caught up. */
  #look(member: LocalMember): void {
    const { session, held } = member;
    if (session.outlet === null) {
      this.#behind.delete(member);
      return;
    }
    while (held.length > 0 && !takesNothing(session)) {
      const { run, row } = held.shift()!;
      this.#deliverHere(member, run, row);
    }
    const state = stateNow(member);
    this.#setState(member, state);
    if (state === MemberState.here) this.#behind.delete(member);
    else this.#behind.add(member);
  }

  #setState(member: LocalMember, state: MemberState): void {
    if (member.state === state) return;
    member.state = state;
    const { owner, id, session } = member;
    const inflightMax = inflightMaxOf(session);
    if (this.#isHere(owner)) this.#groups.setState(owner, id, state, inflightMax);
    else this.#tell(RecordKind.groupState, owner, id, state, inflightMax);
  }

  #join(member: LocalMember): void {
    const { shardIndex, link, schedule } = this.#parts;
    const { owner, id, groupKey, state } = member;
    const { kept, endsWithConnection } = member.session;
    const isKept = this.#parts.rows !== null && (kept !== null || !endsWithConnection);
    const join: GroupJoin = { groupKey, isKept, ...identityOf(member.session) };
    const inflightMax = inflightMaxOf(member.session);
    member.waiting ??= [];
    if (this.#isHere(owner)) {
      this.#groups.join(shardIndex, id, join, state, inflightMax, () => this.#onJoined(id));
    } else {
      const body = packRecord(join);
      link.send(RecordKind.groupJoin, 1 << owner, id, state, inflightMax, 0, body, 0, body.length);
    }
    schedule();
  }

  #joinAgain({ memberships }: Session): void {
    for (const member of memberships?.values() ?? []) this.#join(member as LocalMember);
  }

  #onJoined(id: number): void {
    const member = this.#members.get(id);
    if (member === undefined || member.waiting === null) return;
    const { waiting } = member;
    member.waiting = null;
    for (const confirmed of waiting) confirmed();
  }

  /** What is on disk is so as something on its way before anything else happens to it. */
  #takeBack(session: Session, membership: Membership | null, isSentToo: boolean): void {
    const back: Returned[] = [];
    session.takeBack(membership, isSentToo, (taken, start, end, count, note, position) => {
      const bytes = Buffer.from(taken.bytes.subarray(start, end));
      // As it was published.
      const header = bytes[0]! & ~DUP;
      const topicKey = topicKeyOf(taken);
      const run = toGroupRun({ ...taken, bytes }, topicKey, 0, bytes.length, header, count);
      const isKept = session.kept !== null || note.row !== undefined;
      back.push({ member: (note.of ?? note) as LocalMember, run, isKept, position });
    });
    const rows = back.map(({ member, run, isKept, position }) => {
      if (!isKept) return null;
      session.kept?.queue.onGiven(position, run.count);
      return this.#parts.rows?.putLoose(member.groupKey, run, null) ?? null;
    });
    for (const [at, { member, run }] of back.entries()) this.#handBack(member, run, rows[at]!);
    const members = membership === null ? (session.memberships?.values() ?? []) : [membership];
    for (const each of members) {
      const member = each as LocalMember;
      for (const { run, row } of member.held.splice(0)) this.#handBack(member, run, row);
    }
  }

  #handBack({ owner, groupKey }: LocalMember, run: GroupRun, row: GroupRow | null): void {
    const { link, schedule } = this.#parts;
    if (this.#isHere(owner)) this.#groups.takeBack(groupKey, run, row);
    else sendBack(link, owner, groupKey, run, row);
    schedule();
  }

  #isHere(owner: number): boolean {
    return owner === this.#parts.shardIndex;
  }

  #tell(kind: number, owner: number, id: number, word1: number, word2 = 0): void {
    this.#parts.link.send(kind, 1 << owner, id, word1, word2, 0, NO_BYTES, 0, 0);
    this.#parts.schedule();
  }
}
