/** How many messages come to a group in long runs: where it is thousands a second, in pieces. */
import { preciseMs } from '../base/clock.js';
import { GROUP_PACE_PERIOD_MS, GROUP_PIECE_MS } from '../base/limits.js';

/** One a group. */
export class GroupPace {
  /** Messages of the group in GROUP_PIECE_MS, by the period before this one; 0: few, or none. */
  messages = 0;
  readonly #clock: () => number;
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  /** @param clock in milliseconds; tests bring their own. */
  constructor(clock: () => number = preciseMs) {
    this.#clock = clock;
  }

  /** A run of so many messages comes. */
  note(count: number): void {
    const now = this.#clock();
    const elapsed = now - this.#since;
    if (elapsed >= GROUP_PACE_PERIOD_MS) {
      // What came at once, and nothing for as long again, says nothing of what comes now.
      const isLate = elapsed >= 2 * GROUP_PACE_PERIOD_MS;
      this.messages = isLate ? 0 : (this.#count * GROUP_PIECE_MS) / elapsed;
      this.#since = now;
      this.#count = 0;
    }
    this.#count += count;
  }
}
