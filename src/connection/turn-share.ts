/**
 * How long one connection, or the records of other shards, may keep the rest of a turn waiting.
 * Everything that is handled is charged as work, and the clock is looked at when some has gathered:
 * so neither the kind of a packet nor what it sets off matters, only the time it takes.
 */
import { preciseMs } from '../base/clock.js';
import {
  POLLED_MS_MIN,
  POLLED_ONLY_MS_MIN,
  POLLED_ONLY_PARTS,
  POLLED_PARTS,
  WORK_PER_LOOK,
} from '../base/turn-limits.js';

/** One a shard: there is one share at a time, that of whatever is being handled. */
export class TurnShare {
  /** The share at hand is used up: stop as soon as what is being handled is whole. */
  isSpent = false;
  readonly #busyMs: number;
  readonly #clock: () => number;
  #owner: object | null = null;
  #workLeft = 0;
  #end = 0;
  /** The share that an interruption has broken into. */
  #outerOwner: object | null = null;
  #outerEnd = 0;
  #isOuterSpent = false;
  #interruptedAt = 0;
  /** Until when sockets that the event loop finds readable may take their time; 0: none has yet. */
  #pollEnd = 0;

  /**
   * @param busyMs of a turn, for all sockets that are polled (busyMsPerTurn).
   * @param clock in milliseconds with fractions; tests bring their own.
   */
  constructor(busyMs: number, clock: () => number = preciseMs) {
    this.#busyMs = busyMs;
    this.#clock = clock;
  }

  /**
   * The event loop has read a socket of `owner`. A further read of the same socket goes on with its
   * share. Each may take a part of what is left of this turn's time, so that those behind it get
   * some too.
   * @param isPolledOnly it cannot be read in another way.
   */
  beginPolled(owner: object, isPolledOnly: boolean): void {
    if (this.#owner === owner) return;
    const now = this.#clock();
    if (this.#pollEnd === 0) this.#pollEnd = now + this.#busyMs;
    const left = this.#pollEnd - now;
    const share = isPolledOnly
      ? Math.max(POLLED_ONLY_MS_MIN, left / POLLED_ONLY_PARTS)
      : Math.max(POLLED_MS_MIN, left / POLLED_PARTS);
    this.#begin(owner, now + share);
  }

  /** Gives `owner` a share of so many milliseconds; null is whoever is no connection. */
  begin(owner: object | null, milliseconds: number): void {
    this.#begin(owner, this.#clock() + milliseconds);
  }

  /**
   * Something else is to be done first, for so many milliseconds; `resume` gives the share at hand
   * back, later by the time that it took.
   */
  interrupt(milliseconds: number): void {
    this.#outerOwner = this.#owner;
    this.#outerEnd = this.#end;
    this.#isOuterSpent = this.isSpent;
    this.#interruptedAt = this.#clock();
    this.#begin(null, this.#interruptedAt + milliseconds);
  }

  /** See `interrupt`. @returns the milliseconds that it took. */
  resume(): number {
    const taken = this.#clock() - this.#interruptedAt;
    this.#begin(this.#outerOwner, this.#outerEnd + taken);
    this.isSpent = this.#isOuterSpent;
    if (this.#pollEnd > 0) this.#pollEnd += taken;
    return taken;
  }

  /**
   * Charges work, in units of some microseconds (WORK_PER_LOOK). @returns whether the share is
   * spent.
   */
  spend(work: number): boolean {
    this.#workLeft -= work;
    if (this.#workLeft > 0) return this.isSpent;
    this.#workLeft = WORK_PER_LOOK;
    if (this.#clock() >= this.#end) this.isSpent = true;
    return this.isSpent;
  }

  /** Milliseconds left of the share at hand; below 0 when it is over. */
  get left(): number {
    return this.#end - this.#clock();
  }

  /** Ends the share at hand: what is to be done next is too long for what is left of it. */
  end(): void {
    this.isSpent = true;
  }

  /** The turn has ended: sockets are polled anew. */
  endTurn(): void {
    this.#owner = null;
    this.#pollEnd = 0;
    this.isSpent = false;
  }

  #begin(owner: object | null, end: number): void {
    this.#owner = owner;
    this.#end = end;
    this.#workLeft = WORK_PER_LOOK;
    this.isSpent = false;
  }
}

/** What a run of `count` messages costs that goes to so many subscribers here, as work. */
export function workOfRun(count: number, subscribers: number): number {
  return (1 + (count >> 4)) * (1 + subscribers);
}
