/** The groups of a shard and their members as their owner knows them, and what it works with. */
import type { Rights } from '../access/rights.js';
import type { Counters } from '../base/counters.js';
import type { SharedStrategy } from '../base/shared-strategy.js';
import type { AbsentQueues } from '../sessions/absent-queues.js';
import type { Membership } from '../sessions/membership.js';
import type { Session } from '../sessions/session.js';
import type { Grant } from '../topics/grant.js';
import type { TopicsProvider } from '../topics/provider.js';
import type { Delivery } from './delivery.js';
import type { PressureSink } from './delivery-parts.js';
import type { Candidates, Choosable } from './group-candidates.js';
import type { GroupRun, MemberState } from './group-link.js';
import type { GroupQueue, GroupQueueParts } from './group-queue.js';
import type { GroupRow } from './group-rows.js';
import type { GroupChoice } from './group-strategy.js';
import type { Interest } from './interest.js';
import type { PeerLink } from './peer-link.js';
import type { GroupJoin } from './records.js';
import type { RetainedMessage } from './retained-message.js';
import type { RouteCache } from './route.js';

/** A member of a group, on whatever shard. */
export interface Member extends Choosable {
  readonly shard: number;
  readonly who: MemberIdentity;
  readonly id: number;
  readonly group: Group;
  /** What it is given is on disk there before it is sent. */
  readonly isKept: boolean;
  /** What it said last that it has, and what it was given since. */
  load: number;
  inflightMax: number;
  due: number;
}

/** One group. */
export interface Group {
  readonly groupKey: string;
  readonly filterKey: string;
  /** What subscribes for it. */
  readonly session: Session;
  /** What waits while no member is here. */
  readonly queue: GroupQueue;
  readonly members: Map<number, Member>;
  readonly candidates: Candidates<Member>;
  /** Messages of what waits in memory that are still to be looked at, once each. */
  left: number;
  /** What waits on disk is to be looked at up to here: see GroupQueue.readOn. */
  upTo: number;
  /** Topics of those that nobody has got: what follows of them waits behind. */
  readonly blocked: Set<string>;
  /** A member has changed since the first of them was looked at. */
  isChanged: boolean;
  readonly choice: GroupChoice;
  /** When it ends, while it has no members and some may come again. */
  ending: NodeJS.Timeout | undefined;
}

/** Who a member is, for its rights. */
export type MemberIdentity = Omit<GroupJoin, 'groupKey' | 'isKept'>;

/** Delivers to a member of this shard. @param row where it is on disk, if it is. */
export type DeliverLocally = (memberId: number, run: GroupRun, row: GroupRow | null) => void;

/** What they work with, all of one shard. */
export interface GroupParts extends Omit<GroupQueueParts, 'absentQueues'> {
  readonly shardIndex: number;
  readonly link: PeerLink;
  readonly topics: TopicsProvider<Session, RetainedMessage>;
  readonly routes: RouteCache;
  readonly interest: Interest;
  readonly counters: Counters;
  readonly absentQueues: () => AbsentQueues;
  readonly strategy: SharedStrategy;
  /** Makes a session that has no client. */
  readonly makeSession: () => Session;
  readonly deliverLocally: DeliverLocally;
  /** What a member may do, by the rules of this shard, which are those of all. */
  readonly rightsOf: (who: MemberIdentity, clientId: string) => Rights | null;
  readonly pressure: PressureSink;
  /** Asks for another turn. */
  readonly schedule: () => void;
}

/** What waits for a member that takes nothing: see member-state.ts. */
export interface HeldRun {
  readonly run: GroupRun;
  readonly row: GroupRow;
}

/** A session in a group. */
export interface LocalMember extends Membership {
  readonly id: number;
  readonly session: Session;
  readonly owner: number;
  grant: Grant;
  /** As its group knows it. */
  state: MemberState;
  /** It is known here only until its group has forgotten it. */
  hasLeft: boolean;
  /** Its session is in the store alone, and joins again from the shard that finds it there. */
  isLetGo: boolean;
  /** As its group was told last. */
  load: number;
  /** What was on its way when it came to take nothing, oldest first. */
  readonly held: HeldRun[];
  /** Those who wait until all shards route to the group; null when they do. */
  waiting: (() => void)[] | null;
}

/** Something of a member's queue on its way back to its group. */
export interface Returned {
  readonly member: LocalMember;
  readonly run: GroupRun;
  /** It is on disk where it was, from this position on. */
  readonly isKept: boolean;
  readonly position: number;
}

/** What they work with, all of one shard. */
export interface MemberParts extends Omit<GroupParts, 'deliverLocally'> {
  /** A member has more to say of itself than is told: it gets nothing, as rules are configured. */
  onLongIdentity(session: Session): void;
  readonly shardCount: number;
  readonly link: PeerLink;
  readonly counters: Counters;
  readonly delivery: Delivery;
}
