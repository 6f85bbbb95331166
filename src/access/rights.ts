/** What one client may do, found from the rules that are for it. */
import {
  DECISION_TOPIC_BYTES_MAX,
  DECISIONS_KEPT_MAX,
  SUBSCRIBE_LOOKS_MAX,
} from '../base/access-limits.js';
import { isShareFilter, parseShareFilter } from '../protocol/v5/index.js';
import { hasWildcard } from '../topics/topic.js';
import { covers, intersect, overlap } from './filter-algebra.js';
import { ActionBit, ALL_ACTIONS, DENIED_SHIFT, type RuleSet } from './rule-set.js';

/** Rules looked at for filters with wildcards; who charges them to somebody sets it to 0. */
export const rulesLookedAt = { count: 0 };

/** Of a class of clients: those with the same rules. Topics and filters are valid ones, as keys. */
export interface Rights {
  mayPublish(topicKey: string): boolean;
  /** Whether messages of the topic may be delivered, whatever has brought them. */
  mayRead(topicKey: string): boolean;
  /**
   * Whether anything that matches the filter may be subscribed to and read. One that is wider than
   * the rules may be: what is delivered is less.
   */
  maySubscribe(filterKey: string): boolean;
}

/**
 * Rules stand in two blocks: those of the user, then those for all. Within one, what is denied is
 * denied whatever else stands there; what the first says nothing of is for the second. What neither
 * allows is denied.
 */
export const BLOCKS = 2;
/** The bits of a block take so many, and those of the second stand above those of the first. */
const BLOCK_BITS = 6;
const BLOCK_MASK = 63;
const ALL_DENIED = ALL_ACTIONS << DENIED_SHIFT;

/** Rules of a block; null: nothing is allowed by it, nor by the next. */
export type Block = readonly RuleSet[] | null;

/** What has been decided, by topic: of all classes of a table, so that all together are bounded. */
export class Decisions {
  readonly #ofClasses = new Set<Map<string, number>>();
  #count = 0;

  /** A class is about to keep one more. */
  note(ofClass: Map<string, number>): void {
    // All at once: an order of use would cost each hit more than what is lost here.
    if (this.#count >= DECISIONS_KEPT_MAX) {
      for (const each of this.#ofClasses) each.clear();
      this.#ofClasses.clear();
      this.#count = 0;
    }
    if (ofClass.size === 0) this.#ofClasses.add(ofClass);
    this.#count++;
  }
}

/** What the rules of a user say that are the same for all its clients. */
export class SharedRules {
  readonly blocks: readonly Block[];
  readonly #decisions: Decisions;
  /** By topic: bits of all blocks. */
  readonly #kept = new Map<string, number>();

  /** @param blocks BLOCKS of them. */
  constructor(blocks: readonly Block[], decisions: Decisions) {
    this.blocks = blocks;
    this.#decisions = decisions;
  }

  /** Bits of all blocks. */
  bitsOf(topicKey: string): number {
    const kept = this.#kept.get(topicKey);
    if (kept !== undefined) return kept;
    let bits = 0;
    for (let at = 0; at < BLOCKS; at++) bits |= bitsOfBlock(this.blocks[at]!, topicKey, at);
    if (topicKey.length <= DECISION_TOPIC_BYTES_MAX) {
      this.#decisions.note(this.#kept);
      this.#kept.set(topicKey, bits);
    }
    return bits;
  }
}

/** Bits of one block where they stand in those of all. */
function bitsOfBlock(block: Block, topicKey: string, at: number): number {
  if (block === null) return closedBits(at);
  let bits = 0;
  for (const set of block) bits |= set.bitsOf(topicKey);
  return bits << (at * BLOCK_BITS);
}

function closedBits(at: number): number {
  return ALL_DENIED << (at * BLOCK_BITS);
}

/** The rights of a class of clients, or of one whose rules name its client id. */
export class RuledRights implements Rights {
  readonly #shared: SharedRules;
  readonly #own: readonly Block[];
  #lastTopic = '';
  #lastAllowed = 0;

  /** @param own rules of this client alone, by block; empty: none. */
  constructor(shared: SharedRules, own: readonly Block[]) {
    this.#shared = shared;
    this.#own = own;
  }

  mayPublish(topicKey: string): boolean {
    return (this.#allowedOf(topicKey) & ActionBit.publish) !== 0;
  }

  mayRead(topicKey: string): boolean {
    return (this.#allowedOf(topicKey) & ActionBit.read) !== 0;
  }

  maySubscribe(filterKey: string): boolean {
    const filter = isShareFilter(filterKey) ? parseShareFilter(filterKey)?.filter : filterKey;
    if (filter === undefined) return false;
    if (hasWildcard(filter)) return isReachable(filter, this.#setsByBlock());
    const { read, subscribe } = ActionBit;
    return (this.#allowedOf(filter) & (read | subscribe)) === (read | subscribe);
  }

  /** Bits of ActionBit. */
  #allowedOf(topicKey: string): number {
    // One run goes to many clients of a class.
    if (topicKey === this.#lastTopic) return this.#lastAllowed;
    let bits = this.#shared.bitsOf(topicKey);
    for (let at = 0; at < this.#own.length; at++) bits |= bitsOfBlock(this.#own[at]!, topicKey, at);
    const allowed = allowedBy(bits);
    if (topicKey.length > DECISION_TOPIC_BYTES_MAX) return allowed;
    this.#lastTopic = topicKey;
    this.#lastAllowed = allowed;
    return allowed;
  }

  /** Up to the first block that allows nothing. */
  #setsByBlock(): readonly (readonly RuleSet[])[] {
    const sets: (readonly RuleSet[])[] = [];
    for (let at = 0; at < BLOCKS; at++) {
      const shared = this.#shared.blocks[at]!;
      const own = this.#own.length === 0 ? [] : this.#own[at]!;
      if (shared === null || own === null) break;
      sets.push([...shared, ...own]);
    }
    return sets;
  }
}

/** What bits of all blocks come to. */
function allowedBy(bits: number): number {
  let undecided = ALL_ACTIONS;
  let allowed = 0;
  for (let at = 0; at < BLOCKS; at++) {
    const block = (bits >> (at * BLOCK_BITS)) & BLOCK_MASK;
    undecided &= ~(block >> DENIED_SHIFT);
    allowed |= block & undecided;
    undecided &= ~block;
  }
  return allowed;
}

/** A rule with the block that it stands in. */
interface Placed {
  readonly filterKey: string;
  readonly bits: number;
  readonly block: number;
}

/** Whether a topic that a filter matches may be subscribed to and read. */
function isReachable(filter: string, blocks: readonly (readonly RuleSet[])[]): boolean {
  const allowing: Placed[] = [];
  const denying: Placed[] = [];
  const { read, subscribe } = ActionBit;
  blocks.forEach((sets, block) => {
    for (const { rules } of sets) {
      rulesLookedAt.count += rules.length;
      for (const { filterKey, bits } of rules) {
        if (!overlap(filterKey, filter)) continue;
        if ((bits & (read | subscribe)) !== 0) allowing.push({ filterKey, bits, block });
        else if ((bits & ALL_DENIED) !== 0) denying.push({ filterKey, bits, block });
      }
    }
  });
  let looks = 0;
  /** Whether a rule for subscribing and one for reading open any of it together. */
  const open = (first: Placed, second: Placed): boolean => {
    const topics = intersect(filter, first.filterKey);
    const common = topics === null ? null : intersect(topics, second.filterKey);
    looks += 1 + denying.length;
    rulesLookedAt.count += 1 + denying.length;
    if (common === null) return false;
    return !denying.some(({ filterKey, bits, block }) => {
      const denied = bits >> DENIED_SHIFT;
      const isDenied =
        ((denied & subscribe) !== 0 && block <= first.block) ||
        ((denied & read) !== 0 && block <= second.block);
      return isDenied && covers(filterKey, common);
    });
  };
  for (const rule of allowing) {
    // Most rules are of both.
    if ((rule.bits & read) === 0 || (rule.bits & subscribe) === 0) continue;
    if (open(rule, rule) || looks > SUBSCRIBE_LOOKS_MAX) return true;
  }
  for (const first of allowing) {
    if ((first.bits & subscribe) === 0) continue;
    for (const second of allowing) {
      if (second === first || (second.bits & read) === 0) continue;
      if (open(first, second) || looks > SUBSCRIBE_LOOKS_MAX) return true;
    }
  }
  return false;
}
