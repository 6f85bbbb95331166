/**
 * What of groups of Shared Subscriptions is on disk. A message that is kept for a group is in one
 * row at any time. Whoever takes it over writes a row of its own and lets the other one go, with
 * nothing submitted in between: so the store has both changes or neither, and nothing is lost or
 * there twice, whenever the process ends. No shard has to tell another one what is durable: what
 * led to a change is always written before it (store/cut-queue.ts).
 *
 * What waits for a member is in a queue of its group. What is on its way to a member, with one
 * whose session ends with its connection, or on its way back, is among the loose entries of the
 * shard that has put it there, each with its group's key. What a member has whose session is kept
 * is in that session's queue.
 */
import type { StoreFullPolicy } from '../base/store-full-policy.js';
import { PUBLISH, QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';
import type { KeptRow } from '../sessions/membership.js';
import type { Journal } from '../store/journal.js';
import type { QueueEnds, StoreReader } from '../store/store-reader.js';
import type { StoredSession } from '../store/stored-session.js';
import { type GroupRun, ownerOfGroup } from './group-link.js';

/** What rows of groups have in the place of a client id begins with it: no client id does. */
const NO_CLIENT_ID = '\0';
/** Entries that are moved at a time when a shard begins. */
const MOVED_BYTES = 65_536;

/** What rows are written to, and how far that is durable. */
export type GroupJournal = Pick<
  Journal,
  'putSession' | 'dropSession' | 'queue' | 'gone' | 'appended' | 'durable' | 'isFull'
>;

export interface GroupRowsParts {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly journal: GroupJournal;
  readonly reader: Pick<StoreReader, 'ends' | 'entries' | 'renew' | 'sessionsOfNoClient'>;
  /** What becomes of messages for absent clients now; null: the store has room for them. */
  readonly fullness: { readonly whenFull: StoreFullPolicy | null };
  /** A number that no session and nothing here has had. */
  readonly nextNumber: () => number;
}

/** The head of a row in the place of a session's. */
interface GroupHead {
  readonly home: number;
  /** Whose queue it is; null: loose entries of many groups. */
  readonly groupKey: string | null;
  /** It is older than all else of its group: see GroupQueue.putBack. */
  readonly isReturned?: boolean;
  /** As a session's: sessions/kept-session.ts. */
  readonly lookedTo?: number;
}

/** Entries [from, to) of a queue on disk, with gaps perhaps. */
export interface Stretch {
  readonly number: number;
  from: number;
  to: number;
  /** Of those the ones that are on disk alone; of one that was found the gaps are among them. */
  messages: number;
}

/** Loose entries of a shard, those of a former life of it too. */
interface Loose {
  readonly home: number;
  readonly stretch: Stretch;
}

/** One of them. */
export interface LooseRun {
  /** The shard that has put it there. */
  readonly home: number;
  /** The shard whose member it was given to; null: it was on its way back to its group. */
  readonly target: number | null;
  readonly groupKey: string;
  readonly row: GroupRow;
  readonly run: Run;
  /** First byte of its frames, as it was published. */
  readonly header: number;
}

/** Whether what is stored in the place of a session belongs to groups. */
export function isOfGroups({ clientId }: Pick<StoredSession, 'clientId'>): boolean {
  return clientId.startsWith(NO_CLIENT_ID);
}

/** Where a message of a group is. */
export class GroupRow implements KeptRow {
  readonly #journal: GroupJournal;
  readonly number: number;
  readonly position: number;

  constructor(journal: GroupJournal, number: number, position: number) {
    this.#journal = journal;
    this.number = number;
    this.position = position;
  }

  leave(): void {
    this.#journal.gone(this.number, this.position);
  }
}

/** One a shard that has a store. */
export class GroupRows {
  readonly #parts: GroupRowsParts;
  /** By group: what was found of it, until it has a member. */
  readonly #found = new Map<string, Stretch[]>();
  /** By group: the queue that goes on, of those that were found, and what it was looked at for. */
  readonly #looked = new Map<string, { readonly number: number; readonly to: number }>();
  #loose: Stretch | null = null;
  /** By dead shard: what was loose when it got a successor. */
  readonly #left = new Map<number, Loose[]>();
  /** By group of which something was found: what was on its way, which is before all that. */
  readonly #first = new Map<string, Stretch>();

  constructor(parts: GroupRowsParts) {
    this.#parts = parts;
  }

  /** How long the journal is. */
  get appended(): number {
    return this.#parts.journal.appended;
  }

  /** As much waits for the disk as may. */
  get isFull(): boolean {
    return this.#parts.journal.isFull;
  }

  /** How far the journal is durable. */
  get durable(): number {
    return this.#parts.journal.durable;
  }

  /** See GroupRowsParts. */
  get whenFull(): StoreFullPolicy | null {
    return this.#parts.fullness.whenFull;
  }

  /** The row at this place. */
  at(number: number, position: number): GroupRow {
    return new GroupRow(this.#parts.journal, number, position);
  }

  /** Begins the queue of a group. @param isReturned see GroupHead. */
  begin(groupKey: string | null, isReturned = false): Stretch {
    const { shardIndex, journal, nextNumber } = this.#parts;
    const number = nextNumber();
    const head: GroupHead = { home: shardIndex, groupKey, ...(isReturned && { isReturned }) };
    journal.putSession(number, idOf(number), head);
    return { number, from: 0, to: 0, messages: 0 };
  }

  /** Puts a run behind a stretch. @param target see LooseRun. */
  put(stretch: Stretch, groupKey: string, run: GroupRun, target: number | null = null): GroupRow {
    const { buffer, start, end, header, topicKey, count, propertyBytes, expiresAt } = run;
    const kept: Run = {
      bytes: buffer.subarray(start, end),
      header: header & ~RETAIN,
      topicLength: topicKey.length,
      count,
      propertyBytes,
      expiresAt,
    };
    const position = stretch.to;
    const delivered = PUBLISH | (header & (QOS_MASK | RETAIN));
    const { journal } = this.#parts;
    const bytes = end - start;
    // In the place of Subscription Identifiers, which a group has none of.
    const to = target === null ? undefined : [target];
    journal.queue(stretch.number, position, kept, bytes, delivered, count, to, groupKey);
    stretch.to += count;
    return this.at(stretch.number, position);
  }

  /** Puts a run among the loose entries of this shard. @param target see LooseRun. */
  putLoose(groupKey: string, run: GroupRun, target: number | null): GroupRow {
    this.#loose ??= this.begin(null);
    return this.put(this.#loose, groupKey, run, target);
  }

  /** Entries of a stretch, which are not gone from it. */
  entries({ number, from }: Stretch): ReturnType<StoreReader['entries']> {
    const { reader } = this.#parts;
    reader.renew();
    return reader.entries(number, from, MOVED_BYTES);
  }

  /** Nothing of a queue is wanted any more. */
  drop({ number }: Stretch): void {
    for (const [groupKey, looked] of this.#looked) {
      if (looked.number === number) this.#looked.delete(groupKey);
    }
    this.#parts.journal.dropSession(number, idOf(number));
  }

  /**
   * Takes what there is of groups when the shard begins, before any member can join: all that is
   * stored in the place of sessions. What is in the queue of a group that this shard owns waits for
   * its first member.
   * @param isSuccessor of a shard that has died: what other shards have on its way stays with them.
   */
  load(stored: Iterable<StoredSession>, isSuccessor: boolean): void {
    const { shardIndex, shardCount, reader } = this.#parts;
    const loose: Loose[] = [];
    // Of what members gave back to several shards in turn, the last came from the front of others.
    const inOrder = [...stored].sort((one, other) => one.number - other.number);
    for (const { number, head } of inOrder) {
      const { groupKey, home, lookedTo = 0, isReturned = false } = head as GroupHead;
      const stretch = stretchOf(number, reader.ends(number));
      if (groupKey === null) loose.push({ stretch, home });
      else if (!this.#isOwner(groupKey)) continue;
      else if (isReturned && stretch.to === 0) this.drop(stretch);
      else this.#find(groupKey, stretch, lookedTo, isReturned);
    }
    const taken: Loose[] = [];
    for (const { stretch, home } of loose) {
      const isOurs = isSuccessor ? home === shardIndex : home % shardCount === shardIndex;
      if (stretch.to === 0 && isOurs) this.drop(stretch);
      else if (isOurs || !isSuccessor) taken.push({ home, stretch });
    }
    // What a member gave back is older than what was on its way to it.
    for (const isBack of [true, false]) {
      for (const each of taken) this.#takeLoose(each, isBack, isSuccessor);
    }
  }

  /** Up to which of the runs that were on their way those of a group were looked at before. */
  lookedTo(groupKey: string): number {
    return this.#looked.get(groupKey)?.to ?? 0;
  }

  /** All groups that were found have what was for them: these were given some of it. */
  noteLooked(groupKeys: Iterable<string>, end: number): void {
    const { shardIndex, journal } = this.#parts;
    for (const groupKey of groupKeys) {
      const looked = this.#looked.get(groupKey);
      if (looked === undefined) continue;
      const head: GroupHead = { home: shardIndex, groupKey, lookedTo: end };
      journal.putSession(looked.number, idOf(looked.number), head);
    }
    this.#looked.clear();
  }

  /** Whether something was found of a group, which has no members yet. */
  has(groupKey: string): boolean {
    return this.#found.has(groupKey);
  }

  /** Groups of which something was found. */
  get found(): readonly string[] {
    return [...this.#found.keys()];
  }

  /** Takes what was found of a group, the last of which goes on; empty: there is nothing. */
  take(groupKey: string): Stretch[] {
    const found = this.#found.get(groupKey) ?? [];
    this.#found.delete(groupKey);
    this.#first.delete(groupKey);
    return found;
  }

  /** Lets go of what was found of groups that have no members. */
  forgetFound(): void {
    for (const stretches of this.#found.values()) for (const each of stretches) this.drop(each);
    this.#found.clear();
    this.#first.clear();
  }

  /** Puts a run behind what was found of a group. */
  putFound(groupKey: string, run: Run, deliveryHeader: number): void {
    const own = this.#found.get(groupKey)?.at(-1);
    if (own !== undefined) this.#putBehind(own, groupKey, run, deliveryHeader);
  }

  /** Puts a run that a member was given before what was found of a group, behind others like it. */
  putFoundFirst(groupKey: string, run: Run, deliveryHeader: number): void {
    const found = this.#found.get(groupKey);
    if (found === undefined) return;
    const first = this.#first.get(groupKey) ?? this.begin(groupKey, true);
    if (!this.#first.has(groupKey)) found.unshift(first);
    this.#first.set(groupKey, first);
    this.#putBehind(first, groupKey, run, deliveryHeader);
  }

  #putBehind(stretch: Stretch, groupKey: string, run: Run, deliveryHeader: number): void {
    const { number, to } = stretch;
    const { bytes, count } = run;
    const { journal } = this.#parts;
    journal.queue(number, to, run, bytes.length, deliveryHeader, count, undefined, groupKey);
    stretch.to += count;
    stretch.messages += count;
  }

  #isOwner(groupKey: string): boolean {
    return ownerOfGroup(groupKey, this.#parts.shardCount) === this.#parts.shardIndex;
  }

  #find(groupKey: string, stretch: Stretch, lookedTo: number, isReturned: boolean): void {
    const to = Math.max(this.lookedTo(groupKey), lookedTo);
    const known = this.#found.get(groupKey) ?? [];
    if (isReturned) known.unshift(stretch);
    else known.push(stretch);
    this.#found.set(groupKey, known);
    this.#looked.set(groupKey, { number: known.at(-1)!.number, to });
  }

  /**
   * Moves loose entries to their groups, those that this shard owns.
   * @param isBack those that were on their way back, or the others.
   */
  #takeLoose({ home, stretch }: Loose, isBack: boolean, isSuccessor: boolean): void {
    const { shardIndex } = this.#parts;
    const loose = { home, stretch: { ...stretch } };
    for (const { groupKey, run, header, row, target } of this.#runsOf(loose)) {
      const isWithOthers = isSuccessor && target !== null && target !== shardIndex;
      if ((target === null) !== isBack || isWithOthers || !this.#isOwner(groupKey)) continue;
      this.putFoundFirst(groupKey, run, header);
      row.leave();
    }
  }

  /**
   * A shard that has died has a successor, which has taken nothing yet: what other shards and this
   * one have given it, and it has them, is on disk.
   */
  noteSuccessor(index: number): void {
    const { reader, shardIndex } = this.#parts;
    reader.renew();
    const left: Loose[] = [];
    for (const { number, head } of reader.sessionsOfNoClient()) {
      const { groupKey, home } = head as GroupHead;
      const ends = groupKey === null && number !== this.#loose?.number ? reader.ends(number) : null;
      if (ends !== null) left.push({ home, stretch: stretchOf(number, ends) });
    }
    // Not all of it may be there yet.
    if (this.#loose !== null) left.push({ home: shardIndex, stretch: { ...this.#loose, from: 0 } });
    this.#left.set(index, left);
  }

  /** What was loose then, and still is. */
  *leftBy(index: number): Generator<LooseRun> {
    const left = this.#left.get(index) ?? [];
    this.#left.delete(index);
    for (const loose of left) yield* this.#runsOf(loose);
  }

  *#runsOf({ home, stretch }: Loose): Generator<LooseRun> {
    for (;;) {
      const entries = this.entries(stretch);
      for (const { position, run, count, deliveryHeader, group, identifiers } of entries) {
        if (position >= stretch.to) return;
        stretch.from = position + count;
        yield {
          home,
          target: identifiers[0] ?? null,
          groupKey: group,
          row: this.at(stretch.number, position),
          run: { ...run, count },
          header: deliveryHeader,
        };
      }
      if (entries.length === 0) return;
    }
  }
}

/** Of what was found of it. */
function stretchOf(number: number, ends: QueueEnds | null): Stretch {
  if (ends === null) return { number, from: 0, to: 0, messages: 0 };
  const { first, next } = ends;
  return { number, from: first, to: next, messages: next - first };
}

function idOf(number: number): string {
  return `${NO_CLIENT_ID}${number}`;
}
