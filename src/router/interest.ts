/**
 * Which filters this shard has told its peers about, and what they have confirmed. A SUBACK waits
 * here until every shard routes the filter, so that a publication made after it arrives wherever it
 * is made. A shard that takes the place of a dead one is told all filters, piece by piece.
 */
import { Packr } from 'msgpackr';
import { RecordError } from '../base/errors.js';
import { INTEREST_PIECE_BYTES, INTEREST_PIECES_AHEAD } from '../base/handover-limits.js';
import type { PeerLink } from './peer-link.js';
import { areFilters, unpackRecord } from './record-body.js';
import { type InterestChange, type OrphanedFilters, RecordKind } from './records.js';

const packr = new Packr({ useRecords: false });
const TWO_32 = 2 ** 32;

/** What has become of a filter since the last change was sent. */
const Collected = {
  added: 0,
  removed: 1,
  /** Removed before all peers had confirmed it. */
  removedUnconfirmed: 2,
  /** It is as it was. */
  unchanged: 3,
} as const;
type Collected = (typeof Collected)[keyof typeof Collected];

/** What waits for a confirmation; called once, in the order of waiting. */
export type Confirmed = () => void;

/** A successor that is being told what this shard holds. */
interface Welcome {
  readonly index: number;
  readonly filters: Iterator<string>;
  /** Numbers of the pieces that it has not confirmed. */
  readonly unconfirmed: number[];
  /** All is sent, the end too. */
  isSent: boolean;
  readonly onTold: () => void;
  readonly onWelcomed: () => void;
}

/**
 * One a shard. Changes are collected and sent once a turn. A filter that comes and goes, or goes
 * and comes, in between is none: clients that subscribe and unsubscribe without end would fill the
 * rings, and whoever has a message there waits.
 */
export class Interest {
  readonly #link: PeerLink;
  readonly #shardIndex: number;
  /** Bit mask of the other shards that are alive. */
  #peers = 0;
  readonly #collected = new Map<string, Collected>();
  /** Filters that the store of this shard keeps messages for from now on. */
  readonly #kept = new Set<string>();
  /** Whether it does; set once, where there is a store. */
  isKept: (filterKey: string) => boolean = () => false;
  /** Bytes of the filters there. */
  #collectedBytes = 0;
  /** Somebody waits for the change that is being collected, even if nothing is left of it. */
  #isAwaited = false;
  /**
   * Number of the change that is being collected; those before it were sent. A record has it in two
   * words: at a million changes a second it would reach 2^53 after 285 years.
   */
  #nextChange: number;
  readonly #welcomes: Welcome[] = [];
  /** Per shard: the last change it has confirmed. */
  readonly #confirmed: number[];
  /** Filters whose announcement is not confirmed by all, with the number of the change. */
  readonly #unconfirmed = new Map<string, number>();
  #waiting: { readonly change: number; readonly confirmed: Confirmed }[] = [];

  /** @param firstChange number of the first change; tests begin with a large one. */
  constructor(link: PeerLink, shardIndex: number, shardCount: number, firstChange = 1) {
    this.#link = link;
    this.#nextChange = firstChange;
    this.#shardIndex = shardIndex;
    this.#confirmed = new Array<number>(shardCount).fill(0);
    for (let index = 0; index < shardCount; index++) {
      if (index !== shardIndex) this.#peers |= 1 << index;
    }
  }

  /** Bit mask of the other shards that are alive. */
  get peers(): number {
    return this.#peers;
  }

  /** The first local subscription to a filter was made. */
  add(filterKey: string): void {
    if (this.#peers === 0) return;
    const known = this.#collected.get(filterKey);
    const isRemoved = known === Collected.removed || known === Collected.removedUnconfirmed;
    if (isRemoved && this.#welcomes.length === 0) {
      this.#collected.set(filterKey, Collected.unchanged);
      if (known === Collected.removed) return;
    } else {
      // A successor may have been told what is here without it: what was removed is said first.
      if (isRemoved) this.#send();
      this.#collect(filterKey, Collected.added);
    }
    this.#unconfirmed.set(filterKey, this.#nextChange);
  }

  /** This shard keeps messages of a filter in its store: whoever publishes them waits for that. */
  keep(filterKey: string): void {
    if (this.#peers === 0) return;
    if (this.#collectedBytes >= INTEREST_PIECE_BYTES) this.#send();
    this.#kept.add(filterKey);
    this.#collectedBytes += filterKey.length;
    this.#unconfirmed.set(filterKey, this.#nextChange);
  }

  /** The last local subscription to a filter is gone. */
  remove(filterKey: string): void {
    if (this.#peers === 0) return;
    const isUnconfirmed = this.#unconfirmed.delete(filterKey);
    const isAdded = this.#collected.get(filterKey) === Collected.added;
    if (isAdded) this.#collected.set(filterKey, Collected.unchanged);
    else if (isUnconfirmed) this.#collect(filterKey, Collected.removedUnconfirmed);
    else this.#collect(filterKey, Collected.removed);
  }

  /** Calls back once all peers route these filters: now, when they do already. */
  whenConfirmed(filterKeys: readonly string[], confirmed: Confirmed): void {
    let change = 0;
    for (const filterKey of filterKeys) {
      change = Math.max(change, this.#unconfirmed.get(filterKey) ?? 0);
    }
    if (change === 0) {
      confirmed();
      return;
    }
    this.#waiting.push({ change, confirmed });
    if (change === this.#nextChange) this.#isAwaited = true;
  }

  /** Calls back once all peers have confirmed all that was added so far. */
  whenAllConfirmed(confirmed: Confirmed): void {
    if (this.#unconfirmed.size === 0) confirmed();
    else this.#waiting.push({ change: this.#nextChange - (this.hasChanges ? 0 : 1), confirmed });
  }

  /**
   * Tells the peers of filters of sessions that were leaving for a shard that has died; calls back
   * when all know of them: now, where there is none, or no peer.
   */
  tellOrphaned(shard: number, filterKeys: ReadonlySet<string>, confirmed: Confirmed): void {
    if (filterKeys.size === 0 || this.#peers === 0) {
      confirmed();
      return;
    }
    // What is collected is waited for by the number of the change that is sent next.
    this.flush();
    let filters: string[] = [];
    let bytes = 0;
    const tell = () => {
      this.#write({ added: [], removed: [], orphaned: { shard, filters } }, this.#peers);
      filters = [];
      bytes = 0;
    };
    for (const filterKey of filterKeys) {
      filters.push(filterKey);
      bytes += filterKey.length;
      if (bytes >= INTEREST_PIECE_BYTES) tell();
    }
    if (filters.length > 0) tell();
    this.#waiting.push({ change: this.#nextChange - 1, confirmed });
  }

  /** Something is collected. */
  get hasChanges(): boolean {
    return this.#collected.size + this.#kept.size > 0;
  }

  /** Sends what the turn has collected; called before the link is flushed. */
  flush(): void {
    if (this.hasChanges || this.#isAwaited) this.#send();
  }

  /** A peer has applied all changes up to the one with this number, in two words. */
  onConfirmed(from: number, low: number, high: number): void {
    const change = high * TWO_32 + low;
    this.#confirmed[from] = change;
    this.#settle();
    const welcome = this.#welcomes.find(({ index }) => index === from);
    if (welcome !== undefined) this.#onPieceConfirmed(welcome, change);
  }

  /** A peer died: nobody waits for it any more. */
  dropPeer(index: number): void {
    this.#peers &= ~(1 << index);
    this.#endWelcome(index);
    this.#settle();
  }

  /**
   * The successor of a dead peer reads the ring from here on. It has to know every filter that this
   * shard holds; whoever subscribes meanwhile waits for it too. `sendPieces` goes on with it.
   * @param localFilters may change while it is read: what comes is announced by `add`.
   * @param onTold called when it has been sent all filters: what is sent to it then comes behind.
   * @param onWelcomed called once: when it has read all that, or has died before.
   */
  welcomePeer(
    index: number,
    localFilters: Iterable<string>,
    onTold: () => void,
    onWelcomed: () => void,
  ): void {
    this.flush();
    this.#peers |= 1 << index;
    this.#confirmed[index] = 0;
    const filters = localFilters[Symbol.iterator]();
    this.#welcomes.push({ index, filters, unconfirmed: [], isSent: false, onTold, onWelcomed });
    this.sendPieces();
  }

  /** Live peers without the successors that have not been told all filters yet. */
  get toldPeers(): number {
    let told = this.#peers;
    for (const { index, isSent } of this.#welcomes) if (!isSent) told &= ~(1 << index);
    return told;
  }

  /**
   * Tells successors more, as far as they follow and the ring has room. To be called once a turn,
   * when what waited for room is on the ring.
   * @returns whether anything was sent: the ring is to be flushed.
   */
  sendPieces(): boolean {
    let isAnySent = false;
    for (const welcome of [...this.#welcomes]) {
      while (!welcome.isSent && welcome.unconfirmed.length < INTEREST_PIECES_AHEAD) {
        if (this.#link.backlogBytes > 0) return isAnySent;
        this.#sendPiece(welcome);
        isAnySent = true;
      }
    }
    return isAnySent;
  }

  #sendPiece(welcome: Welcome): void {
    const { index, filters, unconfirmed } = welcome;
    const added: string[] = [];
    for (let bytes = 0; bytes < INTEREST_PIECE_BYTES; ) {
      const next = filters.next();
      if (next.done) break;
      added.push(next.value);
      bytes += next.value.length;
    }
    if (added.length === 0) {
      // Its end is a piece without filters, behind what is told on that occasion.
      welcome.isSent = true;
      welcome.onTold();
    }
    // Changes that are collected carry a later number than all that were sent.
    this.flush();
    unconfirmed.push(this.#nextChange);
    const kept = added.filter(this.isKept);
    const told = { added, removed: [] };
    this.#write(kept.length === 0 ? told : { ...told, kept }, 1 << index);
  }

  #onPieceConfirmed(welcome: Welcome, change: number): void {
    const { unconfirmed, index } = welcome;
    while (unconfirmed.length > 0 && unconfirmed[0] <= change) unconfirmed.shift();
    if (welcome.isSent && unconfirmed.length === 0) this.#endWelcome(index);
  }

  #endWelcome(index: number): void {
    const at = this.#welcomes.findIndex((welcome) => welcome.index === index);
    if (at >= 0) this.#welcomes.splice(at, 1)[0].onWelcomed();
  }

  /** A change that has become large is sent at once: what is collected next is another one. */
  #collect(filterKey: string, what: Collected): void {
    if (this.#collectedBytes >= INTEREST_PIECE_BYTES) this.#send();
    if (!this.#collected.has(filterKey)) this.#collectedBytes += filterKey.length;
    this.#collected.set(filterKey, what);
  }

  #send(): void {
    const added: string[] = [];
    const removed: string[] = [];
    for (const [filterKey, what] of this.#collected) {
      if (what === Collected.added) added.push(filterKey);
      else if (what !== Collected.unchanged) removed.push(filterKey);
    }
    const kept = [...this.#kept];
    const isChange = added.length + removed.length + kept.length > 0;
    this.#kept.clear();
    this.#collected.clear();
    this.#collectedBytes = 0;
    if (!isChange && !this.#isAwaited) return;
    this.#isAwaited = false;
    const change: InterestChange =
      kept.length === 0 ? { added, removed } : { added, removed, kept };
    this.#write(change, this.#peers);
    if (this.#peers === 0) this.#settle();
  }

  #write(change: InterestChange, peers: number): void {
    const body = packr.pack(change);
    const number = this.#nextChange++;
    const low = number % TWO_32;
    const high = Math.floor(number / TWO_32);
    this.#link.send(RecordKind.interest, peers, low, high, 0, 0, body, 0, body.length);
    this.#link.addWork(change.added.length + change.removed.length);
  }

  #settle(): void {
    let confirmed = this.#nextChange - 1;
    for (let index = 0; index < this.#confirmed.length; index++) {
      if (index === this.#shardIndex || ((this.#peers >>> index) & 1) === 0) continue;
      confirmed = Math.min(confirmed, this.#confirmed[index]);
    }
    let settled = 0;
    while (settled < this.#waiting.length && this.#waiting[settled].change <= confirmed) settled++;
    const ready = this.#waiting.splice(0, settled);
    for (const [filterKey, change] of this.#unconfirmed) {
      if (change > confirmed) break;
      this.#unconfirmed.delete(filterKey);
    }
    for (const { confirmed: callback } of ready) callback();
  }
}

/**
 * The body of an `interest` record, which lies in [start, end) of a ring.
 * @throws RecordError when it is none.
 */
export function unpackInterestChange(buffer: Buffer, start: number, end: number): InterestChange {
  const { added, removed, kept, orphaned } = unpackRecord(buffer, start, end);
  if (areFilters(added) && areFilters(removed)) {
    if (isOrphaned(orphaned)) return { added, removed, orphaned };
    if (kept === undefined) return { added, removed };
    if (areFilters(kept)) return { added, removed, kept };
  }
  throw new RecordError('an interest change has lists of filters');
}

function isOrphaned(value: unknown): value is OrphanedFilters {
  const { shard, filters } = (value ?? {}) as Partial<OrphanedFilters>;
  return Number.isInteger(shard) && areFilters(filters);
}
