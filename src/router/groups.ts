/** The groups of Shared Subscriptions that this shard owns: see group-link.ts. */
import { Counter } from '../base/counters.js';
import { GROUP_FOUND_MS, GROUP_PIECE_BYTES } from '../base/limits.js';
import type { Run } from '../protocol/run.js';
import { parseShareFilter } from '../protocol/v5/index.js';
import { topicKeyOf } from '../sessions/delivery-form.js';
import { framesEnd } from '../sessions/run-queue.js';
import type { Session } from '../sessions/session.js';
import { Unsubscribed } from '../topics/subscription-tree.js';
import { Candidates, mayRead } from './group-candidates.js';
import { type GroupRun, type MemberState, sendToMember, toGroupRun } from './group-link.js';
import type { Group, GroupParts, Member, MemberIdentity } from './group-parts.js';
import { GroupQueue, keptOf } from './group-queue.js';
import type { GroupRow } from './group-rows.js';
import { GroupChoice } from './group-strategy.js';
import { type GroupJoin, RecordKind } from './records.js';
import { RingPressure } from './ring-pressure.js';

const NO_BYTES: Buffer = Buffer.alloc(0);
const QOS_2 = 2;
const QOS_BITS = 3;
const RETAIN = 1;
/** Shard index in the low bits of a member's key. */
const SHARD_FACTOR = 32;

/** One a shard. */
export class Groups {
  readonly #parts: GroupParts;
  readonly #groups = new Map<string, Group>();
  readonly #bySession = new Map<Session, Group>();
  readonly #members = new Map<number, Member>();
  /** Groups with something waiting, and a member that is here. */
  readonly #waiting = new Set<Group>();
  readonly #ringPressure: RingPressure;
  /** Who has joined last. */
  #lastWho: MemberIdentity = { clientId: '', username: null, rules: null };

  constructor(parts: GroupParts) {
    this.#parts = parts;
    this.#ringPressure = new RingPressure(parts.shardIndex, parts.link, parts.pressure);
  }

  /** A member of shard `shard` has come; calls back when all shards route to its group. */
  join(
    shard: number,
    id: number,
    { groupKey, isKept, ...who }: GroupJoin,
    state: MemberState,
    inflightMax: number,
    joined: () => void,
  ): void {
    const group = this.#groups.get(groupKey) ?? this.#begin(groupKey);
    clearTimeout(group.ending);
    if (isKept) this.#keep(group);
    // Of the many groups that one client may join each would have its names once more.
    if (!isSame(who, this.#lastWho)) this.#lastWho = who;
    const rights = this.#parts.rightsOf(who, who.clientId);
    const member: Member = {
      shard,
      who: this.#lastWho,
      id,
      group,
      isKept,
      state,
      inflightMax,
      rights,
      load: 0,
      due: 0,
      place: 0,
    };
    const key = keyOf(shard, id);
    // It is somebody else's now, or its successor's shard has given its id to another.
    const known = this.#members.get(key);
    if (known !== undefined && known.group !== group) this.leave(shard, id);
    else if (known !== undefined) group.candidates.remove(known);
    group.members.set(key, member);
    this.#members.set(key, member);
    group.candidates.add(member);
    this.#onChange(group);
    this.#parts.interest.whenConfirmed([group.filterKey], joined);
  }

  /** A member has gone, come, fallen behind or caught up. @param inflightMax see Candidate. */
  setState(shard: number, id: number, state: MemberState, inflightMax: number): void {
    const member = this.#members.get(keyOf(shard, id));
    if (member === undefined) return;
    member.inflightMax = inflightMax;
    member.group.candidates.setState(member, state);
    this.#onChange(member.group);
  }

  /** So many messages wait for a member, or for its acknowledgement. */
  setLoad(shard: number, id: number, load: number): void {
    const member = this.#members.get(keyOf(shard, id));
    if (member !== undefined) member.load = load;
  }

  /**
   * A member is one no more. The last one takes the group with it.
   * @param isLetGo it comes again from another shard.
   */
  leave(shard: number, id: number, isLetGo = false): void {
    const group = this.#remove(shard, id);
    if (group === null || group.members.size > 0) return;
    if (isLetGo) this.#awaitMembers(group);
    else this.#end(group);
  }

  #remove(shard: number, id: number): Group | null {
    const key = keyOf(shard, id);
    const member = this.#members.get(key);
    if (member === undefined) return null;
    this.#members.delete(key);
    const { group } = member;
    group.members.delete(key);
    group.candidates.remove(member);
    if (group.members.size > 0) this.#onChange(group);
    return group;
  }

  /** A member of a group gives back what it has not acknowledged. */
  takeBack(groupKey: string, run: GroupRun, row: GroupRow | null): void {
    const group = this.#groups.get(groupKey);
    if (group !== undefined) {
      this.#give(group, run, row, true);
      return;
    }
    // It has no members yet: this shard is a successor.
    if (this.#parts.rows?.has(groupKey))
      this.#parts.rows.putFoundFirst(groupKey, keptOf(run), run.header);
    else this.#parts.counters.add(Counter.droppedExpired, run.count);
    row?.leave();
  }

  /** A run of QoS 2 was on its way to a group here when the broker ended. */
  putFound(groupKey: string, found: Run): void {
    const { bytes, header, count } = found;
    const run = toGroupRun(found, topicKeyOf(found), 0, bytes.length, header, count);
    const group = this.#groups.get(groupKey);
    if (group !== undefined) this.#give(group, run, null);
    else this.#parts.rows?.putFound(groupKey, { ...found, header: header & ~RETAIN }, header);
  }

  /** A run has been routed to the group that `session` stands for. */
  deliver(session: Session, run: GroupRun): void {
    const group = this.#bySession.get(session);
    if (group !== undefined) this.#give(group, run, null);
  }

  /** The rules are others: so may be what members can be given. */
  revise(): void {
    for (const member of this.#members.values()) {
      const rights = this.#parts.rightsOf(member.who, member.who.clientId);
      member.group.candidates.setRights(member, rights);
    }
    for (const group of this.#groups.values()) this.#onChange(group);
  }

  /** Gives members what has waited for one, a piece a turn, and lets publishers go on. */
  onTurn(): void {
    // What has waited waits on while the ring is full: it would only wait there. What is given out
    // is written where it goes, and once more when it comes back.
    const isFull = this.#parts.link.isFull || this.#parts.rows?.isFull === true;
    let isMore = false;
    if (!isFull) for (const group of this.#waiting) isMore = this.#givePiece(group) || isMore;
    if (this.#ringPressure.onTurn() || isMore) this.#parts.schedule();
  }

  /** The ring has room again: another turn goes on with what was left for it. */
  onRingRoom(): void {
    const isAnythingLeft = this.#waiting.size > 0 || this.#ringPressure.isHolding;
    if (isAnythingLeft && !this.#parts.link.isFull) this.#parts.schedule();
  }

  /** A peer died, and with it the members there; those whose sessions are kept join again. */
  dropPeer(index: number): void {
    for (const { shard, id } of [...this.#members.values()]) {
      const group = shard === index ? this.#remove(shard, id) : null;
      if (group !== null && group.members.size === 0) this.#awaitMembers(group);
    }
  }

  /** All are gone, and some may come again. */
  #awaitMembers(group: Group): void {
    if (group.queue.isKept) {
      group.ending = setTimeout(() => this.#end(group), GROUP_FOUND_MS).unref();
    } else {
      this.#end(group);
    }
  }

  /** Groups that are kept. */
  get keptKeys(): string[] {
    return [...this.#groups.values()].flatMap(({ groupKey, queue }) =>
      queue.isKept ? [groupKey] : [],
    );
  }

  #begin(groupKey: string): Group {
    const { topics, routes, interest, strategy, makeSession, rows } = this.#parts;
    const filterKey = parseShareFilter(groupKey)!.filter;
    const session = makeSession();
    const absentQueues = this.#parts.absentQueues();
    const queue = new GroupQueue({ ...this.#parts, absentQueues }, groupKey, session);
    const choice = new GroupChoice(strategy);
    const members = new Map<number, Member>();
    const candidates = new Candidates<Member>();
    const waiting = { left: 0, upTo: 0, blocked: new Set<string>(), isChanged: false };
    const parts = { groupKey, filterKey, session, queue, members, candidates, choice };
    const group: Group = { ...parts, ...waiting, ending: undefined };
    this.#groups.set(groupKey, group);
    this.#bySession.set(session, group);
    if (topics.subscribe(filterKey, session, QOS_2)) interest.add(filterKey);
    routes.invalidate(filterKey);
    if (rows?.has(groupKey)) this.#keep(group);
    return group;
  }

  /** What is for the group is on disk from here on, before it is acknowledged to its publisher. */
  #keep({ filterKey, queue }: Group): void {
    const { topics, routes, interest, rows } = this.#parts;
    if (rows === null || queue.isKept) return;
    queue.keep(rows);
    if (topics.keepHere(filterKey)) interest.keep(filterKey);
    routes.invalidate(filterKey);
  }

  #end(group: Group): void {
    const { topics, routes, interest, counters } = this.#parts;
    const { groupKey, filterKey, session } = group;
    this.#groups.delete(groupKey);
    this.#bySession.delete(session);
    this.#waiting.delete(group);
    if (topics.unsubscribe(filterKey, session) === Unsubscribed.last) interest.remove(filterKey);
    routes.invalidate(filterKey);
    counters.add(Counter.droppedExpired, group.queue.endAll());
  }

  #onChange(group: Group): void {
    if (this.#waiting.has(group)) group.isChanged = true;
    else this.#lookAtWaiting(group);
  }

  /** What waits is given to members from here on, as far as they may have it. */
  #lookAtWaiting(group: Group): void {
    const { queue, candidates } = group;
    group.isChanged = false;
    if (queue.messages === 0 || candidates.all.length === 0) return;
    group.left = queue.inMemory;
    group.upTo = queue.end;
    this.#waiting.add(group);
    this.#parts.schedule();
  }

  /**
   * Gives a run to members, or keeps it until one is here that may read it, behind what is given
   * out now. What nobody may is dropped.
   * @param row where it is on disk, if it is. @param isBack a member has had it.
   */
  #give(group: Group, run: GroupRun, row: GroupRow | null, isBack = false): void {
    const { candidates, members, queue } = group;
    const isGivingOut = this.#waiting.has(group);
    if (candidates.of(run.topicKey).length > 0 && !isGivingOut) {
      this.#dealOut(group, run, row);
    } else if (candidates.areRuled && !isAnybodyAllowed(members, run.topicKey)) {
      row?.leave();
      this.#parts.counters.add(Counter.deniedDeliveries, run.count);
    } else if (isAboveQos0(run)) {
      const inMemory = isBack ? queue.putBack(run, row) : queue.put(run, row);
      if (!isGivingOut) return;
      // What has come into memory for that is looked at, too.
      group.left = queue.hasGivenWay ? queue.inMemory : group.left + inMemory;
      if (inMemory === 0 || queue.hasGivenWay) group.upTo = queue.end;
    }
  }

  #dealOut(group: Group, run: GroupRun, row: GroupRow | null): void {
    if (group.queue.isKept && isAboveQos0(run)) this.#dealOutKept(group, run, row);
    else this.#dealOutUnkept(group, run);
  }

  /** Each piece is in a row before it goes anywhere, and the row of all of them goes with that. */
  #dealOutKept(group: Group, run: GroupRun, row: GroupRow | null): void {
    const { groupKey, candidates, choice } = group;
    const { topicKey, source, publisherId, count, buffer } = run;
    const among = candidates.of(topicKey);
    const pieces: { readonly member: Member; readonly run: GroupRun }[] = [];
    let start = run.start;
    for (let left = count; left > 0; ) {
      const { at, count: taken } = choice.next(among, topicKey, source, publisherId, count, left);
      const member = among[at]!;
      const end = taken === left ? run.end : framesEnd(buffer, start, taken);
      member.load += taken;
      pieces.push({ member, run: taken === count ? run : { ...run, start, end, count: taken } });
      start = end;
      left -= taken;
    }
    const rows = pieces.map(({ member, run: piece }) => {
      // It is on disk there before anything else happens.
      const isThere = row === null && member.isKept && member.shard === this.#parts.shardIndex;
      return isThere ? null : this.#parts.rows!.putLoose(groupKey, piece, member.shard);
    });
    row?.leave();
    for (const [at, { member, run: piece }] of pieces.entries()) {
      this.#send(member, piece, rows[at]!);
    }
  }

  #dealOutUnkept(group: Group, run: GroupRun): void {
    const { topicKey, source, publisherId, count, buffer } = run;
    let start = run.start;
    for (let left = count; left > 0; ) {
      // Those who are given something here and now may fall behind, or be found to have gone.
      const candidates = group.candidates.of(topicKey);
      if (candidates.length === 0) {
        if (isAboveQos0(run)) group.queue.put({ ...run, start, count: left }, null);
        return;
      }
      const piece = group.choice.next(candidates, topicKey, source, publisherId, count, left);
      const member = candidates[piece.at]!;
      const taken = piece.count;
      const end = taken === left ? run.end : framesEnd(buffer, start, taken);
      member.load += taken;
      this.#send(member, taken === count ? run : { ...run, start, end, count: taken }, null);
      start = end;
      left -= taken;
    }
  }

  #send({ shard, id }: Member, run: GroupRun, row: GroupRow | null): void {
    const { shardIndex, link, deliverLocally } = this.#parts;
    if (shard === shardIndex) {
      deliverLocally(id, run, row);
      return;
    }
    sendToMember(link, shard, id, run, row);
    this.#ringPressure.onSent(run.source, run.publisherId, (run.header >> 1) & QOS_BITS);
  }

  /**
   * What nobody here may read goes behind all that waits, and so keeps its order.
   * @returns whether there is more to be given now.
   */
  #givePiece(group: Group): boolean {
    const { queue, candidates, blocked } = group;
    let bytes = 0;
    while (bytes < GROUP_PIECE_BYTES) {
      const isNobodyHere = candidates.all.length === 0 && blocked.size === 0;
      if (group.left === 0 && !isNobodyHere) this.#readOn(group);
      const waited = isNobodyHere || group.left === 0 ? null : queue.take();
      if (waited === null) {
        // What is on disk and not committed comes when it is.
        if (!isNobodyHere && queue.hasMore(group.upTo)) return false;
        this.#endPass(group);
        return this.#waiting.has(group);
      }
      const { run, row } = waited;
      group.left = Math.max(0, group.left - run.count);
      bytes += run.end - run.start;
      if (blocked.has(run.topicKey) || candidates.of(run.topicKey).length === 0) {
        blocked.add(run.topicKey);
        queue.put(run, row);
      } else {
        this.#dealOut(group, run, row);
      }
    }
    return true;
  }

  #readOn(group: Group): void {
    if (group.queue.readOn(group.upTo) > 0) group.left = group.queue.inMemory;
  }

  /** All that waited has been looked at. */
  #endPass(group: Group): void {
    group.left = 0;
    this.#waiting.delete(group);
    group.blocked.clear();
    if (group.isChanged) this.#lookAtWaiting(group);
  }

  /** Tells the members' shard that it has joined. */
  tellJoined(shard: number, id: number): void {
    const { link, schedule } = this.#parts;
    link.send(RecordKind.groupJoined, 1 << shard, id, 0, 0, 0, NO_BYTES, 0, 0);
    schedule();
  }
}

function isAboveQos0({ header }: GroupRun): boolean {
  return ((header >> 1) & QOS_BITS) !== 0;
}

function isSame(one: MemberIdentity, other: MemberIdentity): boolean {
  if (one.rules !== null || other.rules !== null) return false;
  return one.clientId === other.clientId && one.username === other.username;
}

function isAnybodyAllowed(members: ReadonlyMap<number, Member>, topicKey: string): boolean {
  for (const member of members.values()) if (mayRead(member, topicKey)) return true;
  return false;
}

function keyOf(shard: number, id: number): number {
  return id * SHARD_FACTOR + shard;
}
