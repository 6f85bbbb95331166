/**
 * A match that was left before its end, as what FilterIndex needs to go on with it in a later turn,
 * whatever filters have come and gone meanwhile.
 */

/** In place of a bound of steps: a match is not left. As an integer it is compared fastest. */
export const ANY_STEPS = 0x7fff_ffff;

/** Words of a node that is still to be visited. */
export const WalkWord = {
  node: 0,
  /** Levels of the topic that have led to it. */
  depth: 1,
  /** Where the next level begins in the filters below it. */
  filterStart: 2,
} as const;
export const WALK_WORDS = 3;

/** Kept by whoever goes on with the match, or abandons it: nobody else looks inside. */
export class MatchWalk {
  readonly topicKey: string;
  /** Nodes still to be visited, WALK_WORDS each. */
  nodes: Int32Array = new Int32Array(0);
  /** What the stamp of each of them was: in a node that was freed since it is another. */
  stamps: number[] = [];
  /** Ids of filters found so far, and the filters: an id may be another's by now. */
  ids: number[] = [];
  keys: string[] = [];
  /** Filters that have come meanwhile and match: the walk may have passed their place. */
  readonly added = new Set<string>();

  constructor(topicKey: string) {
    this.topicKey = topicKey;
  }
}
