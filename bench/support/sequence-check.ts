/**
 * Whether a subscriber gets each publisher's messages once and in order. The expected case is one
 * comparison, done by the receiver; what is here runs only when it fails.
 */

import type { GroupCheck } from './group-check.js';

/** What went wrong between one publisher and one subscriber. */
export interface PairFault {
  readonly publisher: number;
  readonly subscriber: string;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
}

/** Gaps remembered for a pair, to tell a late message from a second one. */
const GAPS_MAX = 1_000;

/** How messages are held against what was sent. */
export type CheckKind =
  /** Every message once and in order. */
  | 'whole'
  /**
   * In order without gaps from the first one seen to the last: a subscriber that comes and goes.
   */
  | 'joined'
  /** Every message once, in any order: retained messages. */
  | 'set'
  /** In order, and with the other members of its group every message once: Shared Subscriptions. */
  | 'shared';

interface MutableFault {
  lost: number;
  duplicated: number;
  reordered: number;
  /** Start and end of the stretches that are missing. */
  readonly gaps: number[];
}

/** Of one subscriber, for a range of publishers. Sequences are 32 bits and wrap. */
export class SequenceCheck {
  /** The next sequence expected of each publisher of the range. */
  readonly next: Int32Array;
  readonly kind: CheckKind;
  readonly #firstPublisher: number;
  readonly #isKnown: Uint8Array;
  readonly #faults = new Map<number, MutableFault>();
  /** Sequences seen, a bit each, by publisher: only for sets. */
  readonly #seen: Map<number, Uint8Array> = new Map();
  readonly #group: GroupCheck | null;
  /** Messages of no publisher of the range, or of another form than its frames. */
  #foreign = 0;

  /** @param group what the members of its group have got; only of kind `shared`. */
  constructor(
    kind: CheckKind,
    firstPublisher: number,
    publisherCount: number,
    group: GroupCheck | null = null,
  ) {
    this.kind = kind;
    this.#group = group;
    this.#firstPublisher = firstPublisher;
    this.next = new Int32Array(publisherCount);
    this.#isKnown = new Uint8Array(publisherCount);
  }

  /** A message need not follow the one before it: each is looked at by itself. */
  get isOfAny(): boolean {
    return this.kind === 'set' || this.kind === 'shared';
  }

  /** A new connection begins: what was missed between the two is nobody's fault. */
  onJoin(): void {
    this.#isKnown.fill(0);
  }

  /** A PUBLISH that is none of what this subscriber can get. */
  onForeign(): void {
    this.#foreign++;
  }

  /** A message that is not the expected one; afterwards `next` says what is. */
  onUnexpected(publisher: number, sequence: number): void {
    const index = publisher - this.#firstPublisher;
    if (index < 0 || index >= this.next.length) this.#foreign++;
    else if (this.kind === 'set') this.#onMember(index, sequence);
    else if (this.kind === 'shared') this.#onShared(index, sequence);
    else this.#onOutOfOrder(index, sequence);
  }

  #onOutOfOrder(index: number, sequence: number): void {
    const isFirst = this.kind === 'joined' && this.#isKnown[index] === 0;
    this.#isKnown[index] = 1;
    const ahead = (sequence - this.next[index]) | 0;
    if (ahead >= 0 || isFirst) {
      if (ahead > 0 && !isFirst) {
        const fault = this.#fault(index);
        fault.lost += ahead;
        if (fault.gaps.length < 2 * GAPS_MAX) fault.gaps.push(this.next[index], sequence);
      }
      this.next[index] = (sequence + 1) | 0;
      return;
    }
    const fault = this.#fault(index);
    if (fillGap(fault.gaps, sequence)) {
      fault.lost--;
      fault.reordered++;
    } else {
      fault.duplicated++;
    }
  }

  #onMember(index: number, sequence: number): void {
    let seen = this.#seen.get(index);
    if (seen === undefined || sequence >> 3 >= seen.length) {
      const larger = new Uint8Array(Math.max(1_024, 2 * (sequence >> 3)));
      if (seen !== undefined) larger.set(seen);
      seen = larger;
      this.#seen.set(index, seen);
    }
    const bit = 1 << (sequence & 7);
    if ((seen[sequence >> 3] & bit) !== 0) {
      this.#fault(index).duplicated++;
    } else {
      seen[sequence >> 3] |= bit;
      this.next[index]++;
    }
  }

  #onShared(index: number, sequence: number): void {
    const isNew = this.#group!.take(index, sequence);
    const isBehind = ((sequence - this.next[index]) | 0) < 0;
    if (!isNew) this.#fault(index).duplicated++;
    else if (isBehind) this.#fault(index).reordered++;
    if (!isBehind) this.next[index] = (sequence + 1) | 0;
  }

  /**
   * Whether everything that publishers have sent is here, or with another of its group.
   * @param totals sent, by publisher.
   */
  isComplete(totals: Float64Array): boolean {
    if (this.kind === 'joined') return true;
    if (this.#group !== null) return this.#group.isComplete(totals, this.#firstPublisher);
    for (let index = 0; index < this.next.length; index++) {
      if (this.next[index] !== (totals[this.#firstPublisher + index] | 0)) return false;
    }
    return true;
  }

  /**
   * What went wrong since the last call. What has not come by now counts as lost.
   * @param totals messages sent so far, by publisher.
   */
  takeFaults(subscriber: string, totals: Float64Array): PairFault[] {
    const isWhole = this.kind === 'whole' || this.kind === 'set';
    for (let index = 0; index < this.next.length; index++) {
      // The first member that is asked says what none of the group has got.
      const missed = this.#group?.takeLost(index, totals[this.#firstPublisher + index]) ?? 0;
      if (missed > 0) this.#fault(index).lost += missed;
      if (!isWhole) continue;
      const total = totals[this.#firstPublisher + index] | 0;
      const missing = (total - this.next[index]) | 0;
      if (missing > 0) {
        this.#fault(index).lost += missing;
        this.next[index] = total;
      }
    }
    const faults = [...this.#faults].map(([index, { lost, duplicated, reordered }]) => ({
      publisher: this.#firstPublisher + index,
      subscriber,
      lost,
      duplicated,
      reordered,
    }));
    this.#faults.clear();
    if (this.#foreign > 0) {
      faults.push({ publisher: -1, subscriber, lost: 0, duplicated: this.#foreign, reordered: 0 });
      this.#foreign = 0;
    }
    return faults;
  }

  #fault(index: number): MutableFault {
    let fault = this.#faults.get(index);
    if (fault === undefined) {
      fault = { lost: 0, duplicated: 0, reordered: 0, gaps: [] };
      this.#faults.set(index, fault);
    }
    return fault;
  }
}

/** Takes `sequence` out of the gaps. @returns false when it is in none. */
function fillGap(gaps: number[], sequence: number): boolean {
  for (let at = 0; at < gaps.length; at += 2) {
    const start = gaps[at];
    const end = gaps[at + 1];
    if (((sequence - start) | 0) < 0 || ((end - sequence) | 0) <= 0) continue;
    const parts: number[] = [];
    if (sequence !== start) parts.push(start, sequence);
    if (((sequence + 1) | 0) !== end) parts.push((sequence + 1) | 0, end);
    gaps.splice(at, 2, ...parts);
    return true;
  }
  return false;
}
