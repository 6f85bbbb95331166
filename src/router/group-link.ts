/**
 * Shared Subscriptions over all shards. Each group has an owner shard, as a retained message has
 * (`ownerOfGroup`). There the group subscribes to its filter like a session (groups.ts): every
 * message comes there once, and is given to one member. Members stay with their sessions
 * (members.ts), and tell the owner whether they are here, and how much they have. A message that a
 * member has not acknowledged when it goes comes back, and is given to another: so nothing is lost,
 * and nothing goes to two but by the rules of QoS 1.
 */
import type { Run } from '../protocol/run.js';
import { checkFrames, checkRun } from '../protocol/run-check.js';
import { propertyBytesOf } from '../protocol/v5/index.js';
import type { PeerLink } from './peer-link.js';
import { RecordKind } from './records.js';
import { retainedOwnerOf } from './route.js';
import { COUNT_SHIFT, highExpiry, lowExpiry } from './run-words.js';

const SOURCE_SHIFT = 8;
const SOURCE_BITS = 31;
/** Bit of a groupRun's or groupReturn's second word: it is one of 5.0. */
const OF_5 = 1 << 13;
const NO_BYTES: Buffer = Buffer.alloc(0);
const TWO_32 = 2 ** 32;

/** Whether a member can be given messages. */
export const MemberState = {
  /** Its client is away. */
  absent: 0,
  here: 1,
  /** Here, and so much waits for it that others come first. */
  behind: 2,
} as const;
export type MemberState = (typeof MemberState)[keyof typeof MemberState];

/** The shard that a group belongs to. */
export function ownerOfGroup(groupKey: string, shardCount: number): number {
  return retainedOwnerOf(groupKey, shardCount);
}

/** A run, or a part of one, on its way to a member or back. */
export interface GroupRun {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly header: number;
  readonly topicKey: string;
  readonly count: number;
  readonly propertyBytes: number;
  readonly expiresAt: number;
  /** Shard and connection id of its publisher. */
  readonly source: number;
  readonly publisherId: number;
}

/** The frames [start, end) of a kept run, as something to give to a member. */
export function toGroupRun(
  { bytes, propertyBytes, expiresAt }: Run,
  topicKey: string,
  start: number,
  end: number,
  header: number,
  count: number,
): GroupRun {
  const source = 0;
  const publisherId = 0;
  return {
    buffer: bytes,
    start,
    end,
    header,
    topicKey,
    count,
    propertyBytes,
    expiresAt,
    source,
    publisherId,
  };
}

/** Where a run of a group is on disk: group-rows.ts. */
export interface RowPlace {
  readonly number: number;
  readonly position: number;
}

/** Sends a run to member `memberId` of another shard. @param row where it is on disk, if it is. */
export function sendToMember(
  link: PeerLink,
  shard: number,
  memberId: number,
  run: GroupRun,
  row: RowPlace | null,
): void {
  if (row !== null) sendRow(link, shard, row);
  send(link, RecordKind.groupRun, shard, run.publisherId, memberId, run);
}

/**
 * Sends a run of a group back to the shard that owns it. It names the group: its member may be
 * forgotten there.
 */
export function sendBack(
  link: PeerLink,
  owner: number,
  groupKey: string,
  run: GroupRun,
  row: RowPlace | null,
): void {
  const name = Buffer.from(groupKey, 'latin1');
  link.send(RecordKind.groupName, 1 << owner, 0, 0, 0, 0, name, 0, name.length);
  if (row !== null) sendRow(link, owner, row);
  send(link, RecordKind.groupReturn, owner, 0, 0, run);
}

function sendRow(link: PeerLink, to: number, { number, position }: RowPlace): void {
  const words = [number, position].flatMap((each) => [each >>> 0, Math.floor(each / TWO_32)]);
  const [word0, word1, word2, word3] = words as [number, number, number, number];
  link.send(RecordKind.groupRow, 1 << to, word0, word1, word2, word3, NO_BYTES, 0, 0);
}

/** What the words of a groupRow say. */
export function placeOf(word0: number, word1: number, word2: number, word3: number): RowPlace {
  return { number: join(word0, word1), position: join(word2, word3) };
}

function join(low: number, high: number): number {
  return (high >>> 0) * TWO_32 + (low >>> 0);
}

function send(
  link: PeerLink,
  kind: number,
  to: number,
  word0: number,
  word3: number,
  run: GroupRun,
): void {
  const { header, source, topicKey, count, propertyBytes, expiresAt } = run;
  const mask = 1 << to;
  if (expiresAt !== 0) {
    const high = highExpiry(expiresAt);
    link.send(RecordKind.groupExpiry, mask, high, lowExpiry(expiresAt), 0, 0, NO_BYTES, 0, 0);
  }
  const word1 = header | (source << SOURCE_SHIFT) | (propertyBytes === 0 ? 0 : OF_5);
  const word2 = topicKey.length | ((count - 1) << COUNT_SHIFT);
  link.send(kind, mask, word0, word1, word2, word3, run.buffer, run.start, run.end);
}

/**
 * The run of a groupRun or groupReturn, whose body lies in [start, end) of a ring.
 * @param expiresAt as the groupExpiry before it says; 0: there was none.
 * @throws RecordError when it is none.
 */
export function readGroupRun(
  publisherId: number,
  word1: number,
  word2: number,
  expiresAt: number,
  buffer: Buffer,
  start: number,
  end: number,
): GroupRun {
  const header = word1 & 0xff;
  const source = (word1 >>> SOURCE_SHIFT) & SOURCE_BITS;
  const isOf5 = (word1 & OF_5) !== 0;
  const topicLength = word2 & 0xffff;
  const count = (word2 >>> COUNT_SHIFT) + 1;
  const topicAt = checkRun(buffer, start, end, header, topicLength, count);
  checkFrames(buffer, start, end, count);
  const propertyBytes = isOf5 ? propertyBytesOf(buffer, start, topicAt, topicLength, header) : 0;
  const topicKey = buffer.toString('latin1', topicAt, topicAt + topicLength);
  return {
    buffer,
    start,
    end,
    header,
    topicKey,
    count,
    propertyBytes,
    expiresAt,
    source,
    publisherId,
  };
}
