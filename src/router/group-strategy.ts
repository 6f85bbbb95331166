/**
 * Which member of a group gets a message [MQTT 5.0, 4.8.2], and how many with it. A run that is no
 * longer than there are members gives them one each, a longer one an equal piece each. But a piece
 * costs a write to its member and a read of its acknowledgements, however long it is: where
 * thousands come a second, a member gets of long runs what it would get within a few milliseconds
 * in one go.
 */
import type { SharedStrategy } from '../base/shared-strategy.js';
import { GroupPace } from './group-pace.js';
import { hashOfTopic } from './topic-places.js';

/** Shorter pieces than these spare too little for what they delay. */
const LONG_PIECE_MIN = 16;
/** Messages that a member is given at a time by `least`, before others are looked at. */
const PIECE_BY_LOAD = 16;
const SHARD_SHIFT = 27;

/** What is known of a member that a message may be given to. */
export interface Candidate {
  /** Messages that it was given and has not acknowledged, as far as is known. */
  load: number;
  /** Messages that it may have in flight. */
  readonly inflightMax: number;
  /** Messages that are its turn's, or were and have gone to others: the choice's own. */
  due: number;
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
  readonly #pace: GroupPace;
  #turn = 0;
  /** Whose turn it is has been told what it is due. */
  #isInTurn = false;

  /** @param pace of its messages; tests bring their own. */
  constructor(strategy: SharedStrategy, pace = new GroupPace()) {
    this.#strategy = strategy;
    this.#pace = pace;
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
        if (left === count) this.#pace.note(count);
        choice.at = leastOf(candidates, this.#turn++ % among);
        choice.count = Math.min(left, this.#piece(candidates[choice.at]!, among, PIECE_BY_LOAD));
        break;
      default:
        this.#inTurn(candidates, count, left);
    }
    return choice;
  }

  /**
   * Short runs are dealt out one by one. Of longer ones a member is due a piece in its turn, and
   * what was left of its last one. What one piece would hold is not torn: who is due less than the
   * rest of a run waits for its next turn.
   */
  #inTurn(candidates: readonly Candidate[], count: number, left: number): void {
    const choice = this.#choice;
    const among = candidates.length;
    if (count <= among) {
      choice.at = this.#turn % among;
      choice.count = 1;
      this.#passOn();
      return;
    }
    if (left === count) this.#pace.note(count);
    const even = Math.ceil(count / among);
    for (;;) {
      choice.at = this.#turn % among;
      const candidate = candidates[choice.at]!;
      const piece = this.#piece(candidate, among, even);
      const due = this.#dueIn(candidate, piece);
      if (due >= Math.min(left, piece)) {
        choice.count = Math.min(left, due);
        candidate.due = due - choice.count;
        if (candidate.due === 0) this.#passOn();
        return;
      }
      candidate.due = due;
      this.#passOn();
    }
  }

  /** What a candidate whose turn it is may be given of it: less than two pieces. */
  #dueIn({ due }: Candidate, piece: number): number {
    // Messages may come more slowly than when the rest was left.
    if (this.#isInTurn) return Math.min(due, 2 * piece - 1);
    this.#isInTurn = true;
    return Math.min(due, piece - 1) + piece;
  }

  #passOn(): void {
    this.#turn++;
    this.#isInTurn = false;
  }

  /** What one of so many is given in one go: at least so much, and of more what it may be sent. */
  #piece({ inflightMax }: Candidate, among: number, least: number): number {
    const piece = Math.min(Math.floor(this.#pace.messages / among), inflightMax >> 1);
    return piece < LONG_PIECE_MIN ? least : Math.max(least, piece);
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
