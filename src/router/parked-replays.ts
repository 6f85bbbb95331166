/** Replays whose clients are away: of so many it is known what was sent, of older ones not. */
import { PARKED_REPLAYS_MAX } from '../base/limits.js';
import type { Replay } from './replay.js';

/** One a shard. */
export class ParkedReplays {
  /** Oldest first. */
  readonly #replays = new Set<Replay>();

  add(replay: Replay): void {
    this.#replays.add(replay);
    if (this.#replays.size <= PARKED_REPLAYS_MAX) return;
    const [oldest] = this.#replays;
    this.#replays.delete(oldest!);
    oldest!.forgetPlace();
  }

  /** Its client is back, or it has ended. */
  delete(replay: Replay): void {
    this.#replays.delete(replay);
  }
}
