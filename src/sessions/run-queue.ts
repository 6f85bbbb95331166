/** A first-in-first-out queue of runs: 8 bytes an entry, nothing before the first one. */
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { BLOCK_ENTRIES } from './entry-blocks.js';
import { EntryNotes } from './entry-notes.js';
import { GIVEN_AWAY, type Membership } from './membership.js';
import type { QueuedTotal } from './queued-total.js';

/** Entries of the first allocation: most queues never hold more. */
const CAPACITY_MIN = 4;
/** The ring has at most BLOCK_ENTRIES; what comes behind waits in blocks of as many. */
const BLOCK_SHIFT = 5;
/**
 * Added from queue to queue to where its first block begins: odd, so that all places come. Ten
 * thousand queues with the same runs would otherwise all go on to their next block within one
 * delivery.
 */
const PLACE_STEP = 13;
let places = 0;
/** Puts the message count beside the header byte; both together are below PLACE_UNIT. */
const COUNT_SHIFT = 8;
const PLACE_UNIT = 2 ** 25;
const PLACE_PART = 2 ** -25;

/**
 * An entry is a whole number: the place of its run among those that the shard holds, and behind it
 * `count << COUNT_SHIFT | header`. V8 keeps an array of numbers that are not all small as bare
 * doubles: nothing in it to follow for the garbage collector, half of what two elements would take.
 */
type Entries = number[];
/** What makes an array one of doubles from the start. */
const NO_ENTRY = -0.5;
const NO_ENTRIES: Entries = [];
const NO_BLOCKS: number[] = [];
/** Copied for each ring, which is much faster than to make and fill an array. */
const EMPTY_BLOCK: Entries = new Array<number>(BLOCK_ENTRIES).fill(NO_ENTRY);

/** A run on its way from one window to another: the frames in `bytes[start, end)`. */
export interface MovedRun extends Run {
  /** Subscription Identifiers to deliver with, if any. */
  readonly identifiers: readonly number[] | undefined;
  /** What its session has it for, if that is a group. */
  readonly membership: Membership | undefined;
  readonly start: number;
  readonly end: number;
  /** Header byte to deliver with. */
  readonly deliveryHeader: number;
}

/** A gap is closed when it is as long as what lies before it, but not for so few entries. */
const GAP_MIN = 64;

/** Where entries have been removed behind others. */
class Gap {
  /** So many entries lie before it. */
  at = 0;
  /** So many were there; 0: there is none. */
  length = 0;
  /** Entries that have left the queue since this was made. */
  left = 0;
  /** Entries that were moved over it: for tests that it costs little. */
  moved = 0;
}

/**
 * A ring of entries: a run, the header byte to deliver it with, and how many of its messages. The
 * runs are shared with other queues and never changed. Entry 0 is the oldest. The ring doubles when
 * it is full, up to BLOCK_ENTRIES, and halves when it has gone round once without having been more
 * than a quarter full.
 *
 * Entries may be removed behind those that are in flight. They leave a gap, which what lies before
 * it is moved over when it has become long: each entry that is removed costs as much as others.
 */
export class RunQueue {
  /** Number of entries, those of the gap not among them. */
  length = 0;
  /** Made when an entry is first removed, or known by its number. */
  #gap: Gap | null = null;
  #ring: Entries = NO_ENTRIES;
  #first = 0;
  #mask = -1;
  /** Entries in the ring; the rest of them is in the blocks. */
  #ringLength = 0;
  /** Numbers of the shard's blocks. */
  #blocks: number[] = NO_BLOCKS;
  /** Places at the beginning of the first block that are not used. */
  #skipped = 0;
  /** The most entries in the ring since it last went round. */
  #peak = 0;
  /** By entry, oldest first, where any has some: made by the first. */
  #identifiers: EntryNotes<readonly number[]> | null = null;
  /** Memberships that entries are for; made by the first. */
  #memberships: EntryNotes<Membership> | null = null;
  readonly #total: QueuedTotal;

  /** @param total of the shard: what this queue holds counts. */
  constructor(total: QueuedTotal) {
    this.#total = total;
  }

  /**
   * Appends an entry: the first `count` messages of `run`, to be delivered with `header`.
   * @param identifiers of subscriptions, to be delivered with.
   * @param membership that it is for.
   */
  push(
    run: Run,
    header: number,
    count: number,
    identifiers?: readonly number[],
    membership?: Membership,
  ): void {
    if (identifiers !== undefined || this.#identifiers !== null) {
      this.#identifiers ??= new EntryNotes(this.#entries);
      this.#identifiers.push(identifiers);
    }
    if (membership !== undefined || this.#memberships !== null) {
      this.#memberships ??= new EntryNotes(this.#entries);
      this.#memberships.push(membership);
    }
    const meta = (count << COUNT_SHIFT) | header;
    const entry = this.#total.hold(run) * PLACE_UNIT + meta;
    this.length++;
    if (this.#ringLength === BLOCK_ENTRIES || this.#blocks.length > 0) {
      this.#pushBehind(entry);
      return;
    }
    const capacity = this.#mask + 1;
    if (this.#ringLength === capacity) this.#resize(capacity === 0 ? CAPACITY_MIN : capacity * 2);
    const slot = (this.#first + this.#ringLength) & this.#mask;
    this.#ring[slot] = entry;
    this.#ringLength++;
    if (this.#ringLength > this.#peak) this.#peak = this.#ringLength;
  }

  /** The run of entry `index`, 0 <= index < length. */
  runAt(index: number): Run {
    return this.#total.runAt(placeOf(this.#entryAt(index)));
  }

  /** How many of its run's messages entry `index` stands for. */
  countAt(index: number): number {
    return metaOf(this.#entryAt(index)) >> COUNT_SHIFT;
  }

  /** The PUBLISH header byte, without DUP, that entry `index` is delivered with. */
  headerAt(index: number): number {
    return metaOf(this.#entryAt(index)) & 0xff;
  }

  /** The Subscription Identifiers that entry `index` is delivered with, if any. */
  identifiersAt(index: number): readonly number[] | undefined {
    return this.#identifiers === null ? undefined : this.#identifiers.at(this.#placeAt(index));
  }

  /** Whether an entry is for a group, or was. */
  get hasMemberships(): boolean {
    return this.#memberships !== null;
  }

  /** The membership that entry `index` is for, if any. */
  membershipAt(index: number): Membership | undefined {
    return this.#memberships === null ? undefined : this.#memberships.at(this.#placeAt(index));
  }

  /** Entry `index`, which is for a group, is not to be sent any more. */
  giveAway(index: number): void {
    const row = this.membershipAt(index)?.row;
    const note = row === undefined ? GIVEN_AWAY : { ...GIVEN_AWAY, row };
    this.#memberships?.set(this.#placeAt(index), note);
  }

  /** Nothing of entry `index` is to be found on disk any more. */
  leaveRow(index: number): void {
    const note = this.membershipAt(index);
    if (note?.row === undefined) return;
    note.row.leave();
    this.#memberships?.set(this.#placeAt(index), note.of ?? GIVEN_AWAY);
  }

  /** Entry `index` stands for the first `count` of its messages alone from here on. */
  cut(index: number, count: number): void {
    const entry = this.#entryAt(index);
    const meta = (count << COUNT_SHIFT) | (metaOf(entry) & 0xff);
    this.#setEntry(this.#placeAt(index), placeOf(entry) * PLACE_UNIT + meta);
  }

  /** Another run takes the place of entry `index`, which is for no group. */
  replace(
    index: number,
    run: Run,
    header: number,
    count: number,
    identifiers: readonly number[] | undefined,
  ): void {
    const at = this.#placeAt(index);
    const held = this.#total.hold(run);
    this.#total.letGo(placeOf(this.#entryAt(index)));
    this.#setEntry(at, held * PLACE_UNIT + ((count << COUNT_SHIFT) | header));
    if (identifiers === undefined && this.#identifiers === null) return;
    this.#identifiers ??= new EntryNotes(this.#entries);
    this.#identifiers.set(at, identifiers);
  }

  /** Removes entry `index`. */
  remove(index: number): void {
    this.#total.letGo(placeOf(this.#entryAt(index)));
    this.#gap ??= new Gap();
    const gap = this.#gap;
    if (gap.length > 0 && gap.at !== index) this.#closeGap(gap);
    gap.at = index;
    gap.length++;
    gap.left++;
    this.length--;
    if (index === 0 || (gap.length >= GAP_MIN && gap.length >= index)) this.#closeGap(gap);
  }

  /** Lets go of the oldest entry's run, whose bytes somebody else keeps from here on. */
  shiftKept(): void {
    this.#total.keepBytes(placeOf(this.#ring[this.#first]));
    this.shift();
  }

  /** Removes the oldest entry; the queue must not be empty. */
  shift(): void {
    this.#total.letGo(placeOf(this.#ring[this.#first]));
    this.length--;
    this.#shiftEntry();
    const gap = this.#gap;
    if (gap === null) return;
    gap.left++;
    if (gap.length > 0 && --gap.at === 0) this.#closeGap(gap);
  }

  /** Entries that have left since this was asked first: an entry is known by its index and them. */
  get left(): number {
    this.#gap ??= new Gap();
    return this.#gap.left;
  }

  /** Entries that were moved since others had been removed behind them. */
  get moved(): number {
    return this.#gap === null ? 0 : this.#gap.moved;
  }

  /** Entries, those of the gap among them. */
  get #entries(): number {
    return this.#gap === null ? this.length : this.length + this.#gap.length;
  }

  /** What lies before the gap is moved over it. */
  #closeGap(gap: Gap): void {
    const { length } = gap;
    gap.moved += gap.at;
    for (let from = gap.at - 1; from >= 0; from--) {
      this.#setEntry(from + length, this.#storedAt(from));
      this.#identifiers?.move(from, from + length);
      this.#memberships?.move(from, from + length);
    }
    for (let left = length; left > 0; left--) {
      // What is behind counts the entries of the gap until they are gone.
      gap.length = left - 1;
      this.#shiftEntry();
    }
    gap.at = 0;
  }

  /** Forgets the first stored entry. */
  #shiftEntry(): void {
    this.#identifiers?.shift();
    this.#memberships?.shift();
    this.#first = (this.#first + 1) & this.#mask;
    this.#ringLength--;
    if (this.#ringLength === 0 && this.#blocks.length > 0) {
      this.#takeBlock();
      return;
    }
    if (this.#first > 0) return;
    const capacity = this.#mask + 1;
    if (capacity > CAPACITY_MIN && this.#peak <= capacity >> 2) this.#resize(capacity >> 1);
    this.#peak = this.#ringLength;
  }

  /** Removes all entries. */
  clear(): void {
    for (let index = 0; index < this.length; index++) {
      this.leaveRow(index);
      this.#total.letGo(placeOf(this.#entryAt(index)));
    }
    this.length = 0;
    this.release();
  }

  /** Gives the arrays of an empty queue back. */
  release(): void {
    if (this.length > 0) return;
    this.#identifiers = null;
    this.#memberships = null;
    this.#ring = NO_ENTRIES;
    for (const block of this.#blocks) this.#total.blocks.give(block);
    this.#blocks = NO_BLOCKS;
    this.#ringLength = 0;
    this.#first = 0;
    this.#mask = -1;
    this.#peak = 0;
    this.#gap = null;
  }

  /** Bytes of the messages that entry `index` stands for. */
  bytesAt(index: number): number {
    const { bytes, count } = this.runAt(index);
    const taken = this.countAt(index);
    return taken === count ? bytes.length : framesEnd(bytes, 0, taken);
  }

  /** Where entry `index` is stored, as a number of stored entries before it. */
  #placeAt(index: number): number {
    const gap = this.#gap;
    return gap === null || index < gap.at ? index : index + gap.length;
  }

  #entryAt(index: number): number {
    return this.#storedAt(this.#placeAt(index));
  }

  #storedAt(at: number): number {
    if (at < this.#ringLength) return this.#ring[(this.#first + at) & this.#mask];
    const behind = at - this.#ringLength + this.#skipped;
    const block = this.#blocks[behind >> BLOCK_SHIFT];
    return this.#total.blocks.get(block, behind & (BLOCK_ENTRIES - 1));
  }

  #setEntry(at: number, entry: number): void {
    if (at < this.#ringLength) {
      this.#ring[(this.#first + at) & this.#mask] = entry;
      return;
    }
    const behind = at - this.#ringLength + this.#skipped;
    const block = this.#blocks[behind >> BLOCK_SHIFT];
    this.#total.blocks.set(block, behind & (BLOCK_ENTRIES - 1), entry);
  }

  /** Puts the last entry, which `length` counts already, behind those of the ring. */
  #pushBehind(entry: number): void {
    const { blocks } = this.#total;
    if (this.#blocks.length === 0) {
      places += PLACE_STEP;
      this.#skipped = places & (BLOCK_ENTRIES - 1);
      if (this.#blocks === NO_BLOCKS) this.#blocks = [];
      this.#blocks.push(blocks.take());
    }
    const last = this.#entries - 1;
    const at = (last - this.#ringLength + this.#skipped) & (BLOCK_ENTRIES - 1);
    if (at === 0 && last > this.#ringLength) this.#blocks.push(blocks.take());
    blocks.set(this.#blocks[this.#blocks.length - 1], at, entry);
  }

  /** What is in the oldest block goes to the ring, which is empty. */
  #takeBlock(): void {
    const { blocks } = this.#total;
    const block = this.#blocks.shift()!;
    const first = this.#skipped;
    this.#ringLength = Math.min(BLOCK_ENTRIES - first, this.#entries);
    const end = first + this.#ringLength;
    for (let at = first; at < end; at++) this.#ring[at] = blocks.get(block, at);
    blocks.give(block);
    this.#first = first;
    this.#skipped = 0;
    this.#peak = this.#ringLength;
  }

  #resize(capacity: number): void {
    const ring = EMPTY_BLOCK.slice(0, capacity);
    for (let index = 0; index < this.#ringLength; index++) {
      ring[index] = this.#ring[(this.#first + index) & this.#mask];
    }
    this.#ring = ring;
    this.#first = 0;
    this.#mask = capacity - 1;
  }
}

function placeOf(entry: number): number {
  return Math.floor(entry * PLACE_PART);
}

function metaOf(entry: number): number {
  // Bits are those of the low 32 of a whole number.
  return entry & (PLACE_UNIT - 1);
}

/** The end of `count` frames that begin at `position`. */
export function framesEnd(bytes: Buffer, position: number, count: number): number {
  let end = position;
  for (let left = count; left > 0; left--) end = frameEnd(bytes, end);
  return end;
}

/** How many of the `count` frames at `position` fit `room` bytes. */
export function framesWithin(bytes: Buffer, position: number, count: number, room: number): number {
  const limit = position + room;
  let end = position;
  for (let frames = 0; frames < count; frames++) {
    end = frameEnd(bytes, end);
    if (end > limit) return frames;
  }
  return count;
}
