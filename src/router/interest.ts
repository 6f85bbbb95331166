/**
 * Which filters this shard has told its peers about, and what they have confirmed. A SUBACK waits
 * here until every shard routes the filter, so that a publication made after it arrives wherever it
 * is made.
 */
import { Packr } from 'msgpackr';
import type { PeerLink } from './peer-link.js';
import { type InterestChange, RecordKind } from './records.js';

const packr = new Packr({ useRecords: false });

/** What waits for a confirmation; called once, in the order of waiting. */
export type Confirmed = () => void;

/** One a shard. Changes are collected and sent once a turn, in the order they were made. */
export class Interest {
  readonly #link: PeerLink;
  readonly #shardIndex: number;
  /** Bit mask of the other shards that are alive. */
  #peers = 0;
  #added: string[] = [];
  #removed: string[] = [];
  /** Number of the change that is being collected; those before it were sent. */
  #nextChange = 1;
  /** Per shard: the last change it has confirmed. */
  readonly #confirmed: number[];
  /** Filters whose announcement is not confirmed by all, with the number of the change. */
  readonly #unconfirmed = new Map<string, number>();
  #waiting: { readonly change: number; readonly confirmed: Confirmed }[] = [];

  constructor(link: PeerLink, shardIndex: number, shardCount: number) {
    this.#link = link;
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
    // Removed earlier in this turn: peers apply additions first, so this change must be closed.
    if (this.#removed.length > 0) this.#send();
    this.#added.push(filterKey);
    this.#unconfirmed.set(filterKey, this.#nextChange);
  }

  /** The last local subscription to a filter is gone. */
  remove(filterKey: string): void {
    if (this.#peers === 0) return;
    this.#removed.push(filterKey);
    this.#unconfirmed.delete(filterKey);
  }

  /** Calls back once all peers route these filters: now, when they do already. */
  whenConfirmed(filterKeys: readonly string[], confirmed: Confirmed): void {
    let change = 0;
    for (const filterKey of filterKeys) {
      change = Math.max(change, this.#unconfirmed.get(filterKey) ?? 0);
    }
    if (change === 0) confirmed();
    else this.#waiting.push({ change, confirmed });
  }

  /** Sends what the turn has collected; called before the link is flushed. */
  flush(): void {
    if (this.#added.length > 0 || this.#removed.length > 0) this.#send();
  }

  /** A peer has applied all changes up to this one. */
  onConfirmed(from: number, change: number): void {
    this.#confirmed[from] = change;
    this.#settle();
  }

  /** A peer died: nobody waits for it any more. */
  dropPeer(index: number): void {
    this.#peers &= ~(1 << index);
    this.#settle();
  }

  /**
   * The successor of a dead peer reads the ring from here on. It has to know every filter that this
   * shard holds; whoever subscribes meanwhile waits for it too.
   */
  welcomePeer(index: number, localFilters: Iterable<string>): void {
    this.flush();
    this.#peers |= 1 << index;
    this.#confirmed[index] = 0;
    const all: InterestChange = { added: [...localFilters], removed: [] };
    this.#write(all, 1 << index);
  }

  #send(): void {
    const change: InterestChange = { added: this.#added, removed: this.#removed };
    this.#added = [];
    this.#removed = [];
    this.#write(change, this.#peers);
    if (this.#peers === 0) this.#settle();
  }

  #write(change: InterestChange, peers: number): void {
    const body = packr.pack(change);
    const number = this.#nextChange++;
    this.#link.send(RecordKind.interest, peers, number, 0, 0, 0, body, 0, body.length);
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

/** The body of an `interest` record, which lies in [start, end) of a ring. */
export function unpackInterestChange(buffer: Buffer, start: number, end: number): InterestChange {
  return packr.unpack(Buffer.from(buffer.subarray(start, end))) as InterestChange;
}
