/**
 * Topic filters by number, and the filters that match a topic. Numbers and typed arrays throughout:
 * with a million filters the time goes into memory that is far from the processor, so a match is
 * made to touch as little of it as can be, and the garbage collector to find little to follow.
 *
 * - All filters stand in a hash table by their whole key: that finds the one equal to the topic.
 * - Filters with wildcards stand in a trie of levels besides (filter-trie.ts).
 *
 * A match can be left when it has taken many steps, and gone on with later (match-walk.ts).
 */
import { TOPIC_LEVELS_MAX } from '../base/limits.js';
import { FilterTrie, NODE_SHIFT, NodeWord, ROOT, tagOfLevel } from './filter-trie.js';
import { hashKey, mixHash, TopicLevels } from './key-hash.js';
import { ANY_STEPS, MatchWalk, WALK_WORDS, WalkWord } from './match-walk.js';
import { SlotTable } from './slot-table.js';
import { beginsWithDollar, hasWildcard, matchesKey, matchesTail } from './topic.js';

/** In place of a number of filters: the match was left before its end. */
export const UNFINISHED = -1;

/** 64 characters are compared in the time that a step takes. */
const CHARACTERS_PER_STEP_SHIFT = 6;

/** Filters numbered from 1. All keys given must be valid (topic.ts). */
export class FilterIndex {
  /** By filter id; '' is a free id. */
  readonly #keys: string[] = [''];
  readonly #freeIds: number[] = [];
  readonly #byKey = new SlotTable();

  readonly #trie = new FilterTrie(this.#keys);

  readonly #topic = new TopicLevels();
  #topicKey = '';
  #matched: number[] = [];
  #matchedCount = 0;
  /** Nodes that the match has still to visit, WALK_WORDS each: one a level at most. */
  readonly #stack = new Int32Array((TOPIC_LEVELS_MAX + 1) * WALK_WORDS);
  #pending = 0;
  /** Matches that were left, and will be gone on with. */
  readonly #walks = new Set<MatchWalk>();
  /**
   * Steps that matches have taken: nodes visited and leaves compared, and what their caller adds.
   */
  steps = 0;
  /** Steps of the match at hand: a small integer, which `steps` is not for ever. */
  #taken = 0;

  /** Filters in the index. */
  get count(): number {
    return this.#byKey.size;
  }

  /** Nodes in use, the root included. */
  get nodeCount(): number {
    return this.#trie.nodeCount;
  }

  /** The filter with this id, '' if there is none. */
  keyOf(id: number): string {
    return this.#keys[id]!;
  }

  /** The id of a filter, 0 if it is not here. */
  find(filterKey: string): number {
    return this.#findWhole(filterKey, mixHash(hashKey(filterKey)));
  }

  /** Adds a filter that is not here. @returns its id: free ids are given before new ones. */
  add(filterKey: string): number {
    const id = this.#freeIds.pop() ?? this.#keys.length;
    this.#keys[id] = filterKey;
    this.#byKey.add(mixHash(hashKey(filterKey)), -id);
    if (hasWildcard(filterKey)) {
      this.#trie.add(id);
      for (const walk of this.#walks) {
        if (matchesKey(filterKey, walk.topicKey)) walk.added.add(filterKey);
      }
    }
    return id;
  }

  /** Removes a filter that is here, and the nodes that led to it alone. */
  remove(id: number): void {
    const filterKey = this.#keys[id]!;
    if (hasWildcard(filterKey)) {
      this.#trie.remove(id);
      for (const walk of this.#walks) walk.added.delete(filterKey);
    }
    this.#byKey.remove(mixHash(hashKey(filterKey)), -id);
    this.#keys[id] = '';
    this.#freeIds.push(id);
  }

  /**
   * Writes the ids of the filters that match a topic name into `ids`, none twice.
   *
   * Filters can be made up so that a topic leads to all of them: 65,536 then take some 10 ms.
   * Beyond `stepsMax` steps the match is left, to be gone on with: `leave` must be called next.
   * @returns how many they are, UNFINISHED if that is not known; what `ids` holds behind them means
   * nothing.
   */
  match(topicKey: string, ids: number[], stepsMax = ANY_STEPS): number {
    const topic = this.#topic;
    topic.split(topicKey);
    this.#topicKey = topicKey;
    this.#matched = ids;
    this.#matchedCount = 0;
    this.#pending = 0;
    this.#taken = 0;
    const first = beginsWithDollar(topicKey) ? this.#literalOf(ROOT, 0, 0) : ROOT;
    if (first > 0) {
      const isBelow = first !== ROOT;
      const isDone = this.#walk(first, isBelow ? 1 : 0, isBelow ? topic.starts[1]! : 0, stepsMax);
      if (!isDone) return UNFINISHED;
    }
    return this.#addExact();
  }

  /** What the `match` just called has left unfinished. `resume` or `abandon` must follow. */
  leave(): MatchWalk {
    const walk = new MatchWalk(this.#topicKey);
    this.#leaveIn(walk);
    this.#walks.add(walk);
    return walk;
  }

  /**
   * Goes on with a match. What it finds at last is what matches then: filters may come and go
   * meanwhile.
   * @returns as `match` does; when UNFINISHED, `walk` is to be gone on with again.
   */
  resume(walk: MatchWalk, ids: number[], stepsMax: number): number {
    this.#topic.split(walk.topicKey);
    this.#topicKey = walk.topicKey;
    this.#matched = ids;
    this.#taken = 0;
    this.#comeBackTo(walk);
    if (this.#pending > 0 && !this.#walkPending(stepsMax)) {
      this.#leaveIn(walk);
      return UNFINISHED;
    }
    this.#walks.delete(walk);
    if (walk.added.size > 0) this.#mergeAdded(walk);
    return this.#addExact();
  }

  /** Forgets a match that nobody will go on with. */
  abandon(walk: MatchWalk): void {
    this.#walks.delete(walk);
  }

  /** The filter that is equal to the topic: looked up last, so that it is of this moment. */
  #addExact(): number {
    this.steps += this.#taken;
    const exact = this.#findWhole(this.#topicKey, mixHash(this.#topic.wholeHash));
    if (exact !== 0) this.#matched[this.#matchedCount++] = exact;
    return this.#matchedCount;
  }

  #leaveIn(walk: MatchWalk): void {
    this.steps += this.#taken;
    const words = this.#pending * WALK_WORDS;
    walk.nodes = this.#stack.slice(0, words);
    walk.stamps.length = 0;
    for (let at = 0; at < words; at += WALK_WORDS) {
      walk.stamps.push(this.#trie.nodes[(walk.nodes[at]! << NODE_SHIFT) + NodeWord.stamp]!);
    }
    for (let i = walk.ids.length; i < this.#matchedCount; i++) {
      const id = this.#matched[i]!;
      walk.ids.push(id);
      walk.keys.push(this.#keys[id]!);
    }
  }

  /** Takes up what `walk` has, but for nodes and filters that were removed meanwhile. */
  #comeBackTo(walk: MatchWalk): void {
    this.#pending = 0;
    for (let i = 0; i < walk.stamps.length; i++) {
      const from = i * WALK_WORDS;
      const node = walk.nodes[from + WalkWord.node]!;
      if (this.#trie.nodes[(node << NODE_SHIFT) + NodeWord.stamp] !== walk.stamps[i]) continue;
      const { depth, filterStart } = WalkWord;
      this.#push(node, walk.nodes[from + depth]!, walk.nodes[from + filterStart]!);
    }
    const { ids, keys } = walk;
    let count = 0;
    for (let i = 0; i < ids.length; i++) {
      if (this.#keys[ids[i]!] !== keys[i]) continue;
      this.#matched[count] = ids[i]!;
      ids[count] = ids[i]!;
      keys[count] = keys[i]!;
      count++;
    }
    ids.length = count;
    keys.length = count;
    this.#matchedCount = count;
  }

  #mergeAdded(walk: MatchWalk): void {
    const found = new Set<number>();
    for (let i = 0; i < this.#matchedCount; i++) found.add(this.#matched[i]!);
    for (const filterKey of walk.added) {
      const id = this.find(filterKey);
      if (!found.has(id)) this.#matched[this.#matchedCount++] = id;
    }
  }

  #findWhole(key: string, tag: number): number {
    const { words, shift } = this.#byKey;
    const mask = words.length - 1;
    for (let at = (tag >>> shift) << 1; ; at = (at + 2) & mask) {
      const reference = words[at + 1]!;
      if (reference === 0) return 0;
      if (words[at] === tag && this.#keys[-reference] === key) return -reference;
    }
  }

  #push(node: number, depth: number, filterStart: number): void {
    const at = this.#pending++ * WALK_WORDS;
    this.#stack[at + WalkWord.node] = node;
    this.#stack[at + WalkWord.depth] = depth;
    this.#stack[at + WalkWord.filterStart] = filterStart;
  }

  /** Goes on with the nodes that are still to be visited; there is one at least. */
  #walkPending(stepsMax: number): boolean {
    const at = --this.#pending * WALK_WORDS;
    const { node, depth, filterStart } = WalkWord;
    const stack = this.#stack;
    return this.#walk(stack[at + node]!, stack[at + depth]!, stack[at + filterStart]!, stepsMax);
  }

  /**
   * Collects the filters below a node that the topic's first `depth` levels have led to, and below
   * those that are still to be visited. In those filters the next level begins at `filterStart`:
   * not where it does in the topic, as `+` is one character.
   * @returns false when it was left after `stepsMax` steps.
   */
  #walk(node: number, depth: number, filterStart: number, stepsMax: number): boolean {
    const { count, starts } = this.#topic;
    const nodes = this.#trie.nodes;
    for (;;) {
      this.#taken++;
      const base = node << NODE_SHIFT;
      // `#` includes the parent level, so it counts even where the topic has ended.
      const multi = nodes[base + NodeWord.multiWildcard]!;
      if (multi !== 0) this.#matched[this.#matchedCount++] = multi;
      let single = 0;
      let literal = 0;
      if (depth === count) {
        const own = nodes[base + NodeWord.own]!;
        if (own !== 0) this.#matched[this.#matchedCount++] = own;
      } else {
        single = nodes[base + NodeWord.singleWildcard]!;
        if (single < 0) {
          this.#visitLeaf(-single, depth + 1, filterStart + 2);
          single = 0;
        }
        if (nodes[base + NodeWord.literals] !== 0) {
          literal = this.#literalOf(node, depth, filterStart);
        }
      }
      const literalStart = filterStart + starts[depth + 1]! - starts[depth]!;
      if (single !== 0) {
        if (literal !== 0) this.#push(literal, depth + 1, literalStart);
        node = single;
        filterStart += 2;
      } else if (literal !== 0) {
        node = literal;
        filterStart = literalStart;
      } else if (this.#pending === 0) {
        return true;
      } else {
        const at = --this.#pending * WALK_WORDS;
        node = this.#stack[at + WalkWord.node]!;
        depth = this.#stack[at + WalkWord.depth]! - 1;
        filterStart = this.#stack[at + WalkWord.filterStart]!;
      }
      depth++;
      if (this.#taken >= stepsMax) {
        this.#push(node, depth, filterStart);
        return false;
      }
    }
  }

  /**
   * Collects the leaf below a node whose next level is that of the topic, literally.
   * @returns the node there, 0 if there is none.
   */
  #literalOf(node: number, depth: number, filterStart: number): number {
    const tag = tagOfLevel(node, this.#topic.hashes[depth]!);
    const { words, shift } = this.#trie.byLevel;
    const mask = words.length - 1;
    // The search does not stop at the first leaf: one with this tag may be of another level.
    for (let at = (tag >>> shift) << 1; ; at = (at + 2) & mask) {
      const reference = words[at + 1]!;
      if (reference === 0) return 0;
      if (words[at] !== tag) continue;
      if (reference < 0) {
        if (this.#trie.leafParents[-reference] === node)
          this.#visitLeaf(-reference, depth, filterStart);
      } else if (this.#isNodeOf(reference, node, depth)) {
        return reference;
      }
    }
  }

  #isNodeOf(node: number, parent: number, depth: number): boolean {
    if (this.#trie.nodes[node << NODE_SHIFT] !== parent) return false;
    const { starts } = this.#topic;
    const topicKey = this.#topicKey;
    const level = this.#trie.nodeLevels[node]!;
    const start = starts[depth]!;
    if (level.length !== starts[depth + 1]! - 1 - start) return false;
    for (let i = 0; i < level.length; i++) {
      if (level.charCodeAt(i) !== topicKey.charCodeAt(start + i)) return false;
    }
    return true;
  }

  /**
   * Collects a leaf whose levels from `filterStart` on match those of the topic from `depth` on.
   */
  #visitLeaf(id: number, depth: number, filterStart: number): void {
    const topicStart = this.#topic.starts[depth]!;
    this.#taken += 1 + ((this.#topicKey.length - topicStart) >> CHARACTERS_PER_STEP_SHIFT);
    if (matchesTail(this.#keys[id]!, filterStart, this.#topicKey, topicStart)) {
      this.#matched[this.#matchedCount++] = id;
    }
  }
}
