/** Which member of a group gets a message [MQTT 5.0, 4.8.2]. */
import type { SharedStrategy } from '../base/shared-strategy.js';
import { hashOfTopic } from './topic-places.js';

/** Messages that a member is given at a time by `least`, before others are looked at. */
const PIECE_BY_LOAD = 16;
const SHARD_SHIFT = 27;

/** What is known of a member that a message may be given to. */
export interface Candidate {
  /** Messages that it was given and has not acknowledged, as far as is known. */
  load: number;
}

/** How many of the next messages go to whom. One is filled again and again. */
export interface Choice {
  /** Index of the candidate. */
  at: number;
  count: number;
}

/** The choices of one group, which remembers whose turn it is. */
export class GroupChoice {
  readonly #strategy: SharedStrategy;
  readonly #choice: Choice = { at: 0, count: 0 };
  #turn = 0;

  constructor(strategy: SharedStrategy) {
    this.#strategy = strategy;
  }

  /**
   * Chooses for the next of `left` messages of a run of `count`, which go to candidates in the
   * order of their array.
   * @param source and @param publisherId say who has published it.
   */
  next(
    candidates: readonly Candidate[],
    topicKey: string,
    source: number,
    publisherId: number,
    count: number,
    left: number,
  ): Choice {
    const choice = this.#choice;
    const among = candidates.length;
    choice.count = left;
    switch (this.#strategy) {
      case 'sticky':
        choice.at = (hashOfTopic(topicKey) >>> 0) % among;
        break;
      case 'hash':
        choice.at = (Math.imul(publisherId ^ (source << SHARD_SHIFT), 0x9e3779b1) >>> 0) % among;
        break;
      case 'least':
        choice.at = leastOf(candidates, this.#turn++ % among);
        choice.count = Math.min(left, PIECE_BY_LOAD);
        break;
      default:
        // A run is dealt out in equal pieces: one message each where it is no longer than that.
        choice.at = this.#turn++ % among;
        choice.count = Math.min(left, Math.ceil(count / among));
    }
    return choice;
  }
}

/** The index of the candidate with the least load, the first from `from` on. */
function leastOf(candidates: readonly Candidate[], from: number): number {
  let least = from;
  for (let step = 1; step < candidates.length; step++) {
    const at = (from + step) % candidates.length;
    if (candidates[at]!.load < candidates[least]!.load) least = at;
  }
  return least;
}
