/**
 * What waits for a member of one group. Where the group is kept, each run that waits has a row on
 * disk (group-rows.ts), and beyond KEPT_WINDOW_BYTES it is there alone, to be read when those
 * before it are given out.
 */
import { Counter, type Counters } from '../base/counters.js';
import { GIVING_WAY_FOR_BYTES_MAX, KEPT_WINDOW_BYTES } from '../base/limits.js';
import { DUP, PUBLISH, QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';
import type { AbsentQueues } from '../sessions/absent-queues.js';
import { topicKeyOf } from '../sessions/delivery-form.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import { framesEnd, framesWithin } from '../sessions/run-queue.js';
import type { Session } from '../sessions/session.js';
import { countDropped } from './count-dropped.js';
import { type GroupRun, toGroupRun } from './group-link.js';
import type { GroupRow, GroupRows, Stretch } from './group-rows.js';

const QOS_BITS = 3;

/** What they work with, all of one shard. */
export interface GroupQueueParts {
  readonly counters: Counters;
  readonly queuedTotal: QueuedTotal;
  /** What counts what waits for absent clients, and for groups. */
  readonly absentQueues: AbsentQueues;
  /** Null: nothing is kept on disk. */
  readonly rows: GroupRows | null;
}

/** A run that has waited, and where it is on disk. */
export interface Waited {
  readonly run: GroupRun;
  readonly row: GroupRow | null;
}

/** One a group. */
export class GroupQueue {
  readonly #parts: GroupQueueParts;
  readonly #groupKey: string;
  /** What is in memory, the oldest of it. */
  readonly #session: Session;
  /** Null: the group is not kept. */
  #rows: GroupRows | null = null;
  /** Queues of a former life; the rest of the first is read next. */
  #former: Stretch[] = [];
  /** What is on disk alone, behind those; null: the group is not kept. */
  #own: Stretch | null = null;
  /** What members have given back, before all of those; null: nothing ever was. */
  #returned: Stretch | null = null;
  /** Bytes of all that, as far as it came since the shard began. */
  #diskBytes = 0;
  /** What is to go with the group. */
  readonly #all: Stretch[] = [];
  /** Nothing is read until this position of the journal is durable: what is gone is there still. */
  #readableAt = 0;
  /** The same of what was found, and is not all there: until then the first is not at its end. */
  #foundAt = 0;
  /** How far the journal was durable when there was nothing to read; -1: it was not so last. */
  #lookedAt = -1;
  /** Messages on disk alone that count among those that wait. */
  #counted = 0;
  /** Bytes of what has given way last. */
  #droppedBytes = 0;

  constructor(parts: GroupQueueParts, groupKey: string, session: Session) {
    this.#parts = parts;
    this.#groupKey = groupKey;
    this.#session = session;
  }

  /** Whether what waits here is on disk. */
  get isKept(): boolean {
    return this.#rows !== null;
  }

  /** It is from now on, with what was found there. */
  keep(rows: GroupRows): void {
    this.#rows = rows;
    this.#former = rows.take(this.#groupKey);
    this.#own = this.#former.pop() ?? rows.begin(this.#groupKey);
    this.#all.push(...this.#former, this.#own);
    this.#foundAt = rows.appended;
    // What has waited in memory by now gets its rows.
    for (let left = this.#session.window?.messages.runs.length ?? 0; left > 0; left--) {
      const { run } = this.take()!;
      this.#putKept(rows, this.#own, this.#onDisk, keptOf(run), run, null);
    }
    this.#count();
  }

  /** Messages that wait; of some on disk it is not known whether they are gone. */
  get messages(): number {
    return this.inMemory + this.#onDisk;
  }

  /** Of them those that can be taken at once. */
  get inMemory(): number {
    return this.#session.window?.queuedMessages ?? 0;
  }

  /** Position behind the last that is on disk alone. */
  get end(): number {
    return this.#own?.to ?? 0;
  }

  /** What is on disk alone has changed. */
  #count(): void {
    const onDisk = this.#onDisk;
    this.#parts.absentQueues.queuedMessages += onDisk - this.#counted;
    this.#counted = onDisk;
  }

  get #onDisk(): number {
    let messages = leftOf(this.#own) + leftOf(this.#returned);
    for (const former of this.#former) messages += leftOf(former);
    return messages;
  }

  /** What was given to `put` or `putBack` last has older ones given way, or on disk alone. */
  hasGivenWay = false;

  /**
   * Puts a run behind all that waits.
   * @param row where it is on disk; null: nowhere, or somebody waits for what is there.
   * @returns how many of its messages are in memory.
   */
  put(run: GroupRun, row: GroupRow | null): number {
    const kept = keptOf(run);
    this.hasGivenWay = false;
    if (this.#rows === null) return run.count - this.#enqueue(kept, run.header);
    // What is on disk already takes no more there.
    const whenFull = row === null ? this.#rows.whenFull : null;
    if (whenFull === 'drop-newest') {
      this.#countDropped(kept, kept.count);
      return 0;
    }
    if (whenFull === 'drop-oldest') this.#giveWay(kept);
    const count = this.#losesOldest && this.#makeRoom(kept) ? kept.count : this.#roomFor(kept);
    if (count < kept.count) this.#countDropped(kept, kept.count - count);
    if (count === 0) {
      row?.leave();
      return 0;
    }
    return this.#putKept(this.#rows, this.#own!, this.#onDisk, first(kept, count), run, row);
  }

  /**
   * Puts a run that a member has given back behind others that were, and before all else: what was
   * given to somebody once is older. It was within the bounds of that member's queue.
   * @returns how many of its messages are in memory.
   */
  putBack(run: GroupRun, row: GroupRow | null): number {
    const rows = this.#rows;
    if (rows === null) return this.put(run, row);
    if (this.#returned === null) {
      this.#returned = rows.begin(this.#groupKey, true);
      this.#all.push(this.#returned);
    }
    const returned = this.#returned;
    this.hasGivenWay = this.#unreadBehind(returned);
    this.#lookedAt = -1;
    return this.#putKept(rows, returned, leftOf(returned), keptOf(run), run, row);
  }

  /** What is in memory is on disk alone, if it is none of `returned`. @returns whether it was. */
  #unreadBehind(returned: Stretch): boolean {
    const runs = this.#session.window?.messages.runs;
    if (runs === undefined || runs.length === 0) return false;
    const newest = runs.membershipAt(runs.length - 1)?.row as GroupRow | undefined;
    if (newest === undefined || newest.number === returned.number) return false;
    for (let waited = this.take(); waited !== null; waited = this.take()) {
      const { run, row } = waited;
      const stretch = this.#all.find(({ number }) => number === row?.number);
      if (row === null || stretch === undefined) continue;
      stretch.from = Math.min(stretch.from, row.position);
      stretch.messages += run.count;
      this.#diskBytes += run.end - run.start;
    }
    const others = [this.#own, this.#returned];
    this.#readableAt = this.#rows!.appended;
    this.#former = this.#all.filter((each) => leftOf(each) > 0 && !others.includes(each));
    this.#count();
    return true;
  }

  /** @param before messages on disk alone that come before it. */
  #putKept(
    rows: GroupRows,
    own: Stretch,
    before: number,
    kept: Run,
    { header, count }: GroupRun,
    row: GroupRow | null,
  ): number {
    const { bytes } = kept;
    const queued = this.#session.window?.queuedBytes ?? 0;
    const isLong = queued > 0 && queued + bytes.length > KEPT_WINDOW_BYTES;
    const isOnDisk = before > 0 || isLong || !this.#parts.queuedTotal.hasRoomFor(kept);
    let place = row;
    const isElsewhere = place === null || place.number !== own.number;
    if (place === null || isElsewhere || isOnDisk || kept.count < count) {
      const run = toGroupRun(kept, topicKeyOf(kept), 0, bytes.length, header, kept.count);
      place = rows.put(own, this.#groupKey, run);
      row?.leave();
      if (isOnDisk) {
        own.messages += kept.count;
        this.#diskBytes += bytes.length;
        this.#count();
        return 0;
      }
    }
    own.from = own.to;
    this.#append(kept, PUBLISH | (header & (QOS_MASK | RETAIN)), place);
    return kept.count;
  }

  /** Takes the oldest run that is in memory; null: there is none. */
  take(): Waited | null {
    const moved = this.#session.takeRun();
    if (moved === null) return null;
    const { start, end, count, membership } = moved;
    // As it was published.
    const header = moved.bytes[start]! & ~DUP;
    const run = toGroupRun(moved, topicKeyOf(moved), start, end, header, count);
    return { run, row: (membership?.row as GroupRow | undefined) ?? null };
  }

  /** Whether more is on disk, of what was put there before position `upTo`. */
  hasMore(upTo: number): boolean {
    if (leftOf(this.#returned) > 0 || this.#former.length > 0) return true;
    return leftOf(this.#own) > 0 && this.#ownUpTo(upTo) > this.#own!.from;
  }

  /**
   * Reads more from disk, of what was put there before position `upTo`.
   * @returns how many messages; 0 where nothing more is committed.
   */
  readOn(upTo: number): number {
    const rows = this.#rows;
    if (rows === null || !this.hasMore(upTo) || this.#lookedAt === rows.durable) return 0;
    if (rows.durable < this.#readableAt) return 0;
    const returned = this.#returned;
    if (returned !== null && leftOf(returned) > 0) {
      const read = this.#read(rows, returned, returned.to);
      this.#lookedAt = read === 0 ? rows.durable : -1;
      return read;
    }
    for (let former = this.#former[0]; former !== undefined; former = this.#former[0]) {
      const read = this.#read(rows, former, former.to);
      if (read > 0) return read;
      if (leftOf(former) > 0 && rows.durable < this.#foundAt) {
        this.#lookedAt = rows.durable;
        return 0;
      }
      this.#former.shift();
    }
    const own = this.#own;
    const read = own === null ? 0 : this.#read(rows, own, this.#ownUpTo(upTo));
    this.#lookedAt = read === 0 ? rows.durable : -1;
    if (this.#onDisk === 0) this.#diskBytes = 0;
    this.#count();
    return read;
  }

  /** The group is no more: nothing of it is kept. @returns how many messages waited. */
  endAll(): number {
    const { messages } = this;
    this.#session.end();
    for (const stretch of this.#all) this.#rows?.drop(stretch);
    this.#parts.absentQueues.queuedMessages -= this.#counted;
    this.#counted = 0;
    return messages;
  }

  #ownUpTo(upTo: number): number {
    return Math.min(this.#own?.to ?? 0, upTo);
  }

  #read(rows: GroupRows, stretch: Stretch, upTo: number): number {
    let read = 0;
    for (const { position, run, count, deliveryHeader } of rows.entries(stretch)) {
      if (position >= upTo) {
        // What was before it is gone.
        stretch.from = Math.max(stretch.from, upTo);
        break;
      }
      stretch.from = position + count;
      stretch.messages = stretch.from < stretch.to ? Math.max(0, stretch.messages - count) : 0;
      this.#diskBytes = Math.max(0, this.#diskBytes - run.bytes.length);
      this.#append(run, deliveryHeader, rows.at(stretch.number, position));
      read += count;
    }
    if (read > 0) this.#count();
    return read;
  }

  #append(run: Run, deliveryHeader: number, row: GroupRow): void {
    const note = { groupKey: this.#groupKey, row };
    this.#session.openWindow().append(run, deliveryHeader, undefined, note);
    this.#parts.absentQueues.queuedMessages += run.count;
  }

  /** Of a group that is not kept. @returns how many were dropped. */
  #enqueue(kept: Run, header: number): number {
    const qos = ((header >> 1) & QOS_BITS) as 1 | 2;
    const dropped = this.#session.enqueue(kept, qos, (header & RETAIN) !== 0);
    if (dropped > 0) this.#countDropped(kept, dropped);
    this.#parts.counters.add(Counter.droppedSlowConsumer, this.#session.displaced);
    return dropped;
  }

  /** By `latest` too: topics are not told apart on disk. */
  get #losesOldest(): boolean {
    const { slowConsumerPolicy: policy, maxQueuedMessages } = this.#session.limits;
    // Where nothing may wait, as memory is short, what waits stays.
    return maxQueuedMessages > 0 && (policy === 'drop-oldest' || policy === 'latest');
  }

  /**
   * Has the oldest give way until a run is within the bounds. What is on its way to disk cannot
   * before it is there: the next run finds it. @returns false where it never will be.
   */
  #makeRoom(run: Run): boolean {
    const { maxQueuedMessages, maxQueuedBytes } = this.#session.limits;
    if (run.count > maxQueuedMessages || run.bytes.length > maxQueuedBytes) return false;
    while (this.#roomFor(run) < run.count && this.#dropOldest() > 0);
    return true;
  }

  /**
   * Has the oldest give way: as many messages as a run has, and as many bytes, or all there are.
   */
  #giveWay({ count, bytes }: Run): void {
    let left = count;
    let bytesLeft = bytes.length;
    let runsLeft = GIVING_WAY_FOR_BYTES_MAX;
    while (left > 0 || (bytesLeft > 0 && runsLeft-- > 0)) {
      const dropped = this.#dropOldest();
      if (dropped === 0) break;
      left -= dropped;
      bytesLeft -= this.#droppedBytes;
    }
  }

  /** @returns how many messages that were; 0 where none waits, or none can be read yet. */
  #dropOldest(): number {
    if (this.inMemory === 0) this.readOn(this.end);
    const waited = this.take();
    if (waited === null) return 0;
    this.hasGivenWay = true;
    const { run, row } = waited;
    row?.leave();
    this.#droppedBytes = run.end - run.start;
    this.#parts.counters.add(Counter.droppedSlowConsumer, run.count);
    return run.count;
  }

  /** How many of its messages may wait here. */
  #roomFor({ bytes, count }: Run): number {
    const { limits, window } = this.#session;
    const messages = Math.max(0, limits.maxQueuedMessages - this.messages);
    const used = (window?.queuedBytes ?? 0) + this.#diskBytes;
    const room = Math.max(0, limits.maxQueuedBytes - used);
    return framesWithin(bytes, 0, Math.min(count, messages), room);
  }

  #countDropped(run: Run, dropped: number): void {
    const { counters, queuedTotal } = this.#parts;
    countDropped(counters, queuedTotal, this.#session.limits.maxQueuedBytes, run, dropped);
  }
}

/** Its messages, as far as is known. */
function leftOf(stretch: Stretch | null): number {
  return stretch === null ? 0 : stretch.messages;
}

/** Its bytes copied, as what queues keep. */
export function keptOf({ buffer, start, end, header, topicKey, ...traits }: GroupRun): Run {
  const { count, propertyBytes, expiresAt } = traits;
  return {
    bytes: Buffer.from(buffer.subarray(start, end)),
    header: header & ~RETAIN,
    topicLength: topicKey.length,
    count,
    propertyBytes,
    expiresAt,
    topicKey,
  };
}

/** Its first `count` messages. */
function first(run: Run, count: number): Run {
  if (count === run.count) return run;
  const bytes = run.bytes.subarray(0, framesEnd(run.bytes, 0, count));
  return { ...run, bytes, count };
}
