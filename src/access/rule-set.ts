/** Rules as they are looked up: all that one topic matches, in one go. */
import type { AccessAction } from '../base/access-rule.js';
import { beginsWithDollar, levelEnd, matchesKey } from '../topics/topic.js';

/** Bits of what a rule speaks of. */
export const ActionBit = { publish: 1, read: 2, subscribe: 4 } as const;
export const ALL_ACTIONS = 7;
/** Bits of what is denied stand so much higher than those of what is allowed. */
export const DENIED_SHIFT = 3;

/** From so many rules on they are found level by level; fewer are looked through. */
const LEVELS_FROM = 8;

/** One rule in its compiled form. */
export interface CompiledRule {
  /** A valid Topic Filter, as a key. */
  readonly filterKey: string;
  /** Bits of ActionBit of what it allows, or those shifted by DENIED_SHIFT of what it denies. */
  readonly bits: number;
}

/** The bits of a rule. */
export function ruleBits(effect: 'allow' | 'deny', actions: readonly AccessAction[]): number {
  let bits = 0;
  for (const action of actions) bits |= ActionBit[action];
  return effect === 'deny' ? bits << DENIED_SHIFT : bits;
}

/** A level of filters. Their first level is that of the root. */
interface Level {
  readonly next: Map<string, Level>;
  /** Below `+`. */
  any: Level | null;
  /** Of filters that end here. */
  bits: number;
  /** Of filters that end here with `/#`. */
  restBits: number;
}

/** Rules that count alike: which of them comes first makes no difference. */
export class RuleSet {
  readonly rules: readonly CompiledRule[];
  readonly #root: Level | null;

  constructor(rules: readonly CompiledRule[]) {
    this.rules = rules;
    this.#root = rules.length < LEVELS_FROM ? null : toLevels(rules);
  }

  /** What all rules together say of a topic: bits allowed, and bits denied. */
  bitsOf(topicKey: string): number {
    if (this.#root !== null) {
      const isHidden = beginsWithDollar(topicKey);
      return collect(this.#root, topicKey, 0, isHidden);
    }
    let bits = 0;
    for (const rule of this.rules) {
      if (matchesKey(rule.filterKey, topicKey)) bits |= rule.bits;
    }
    return bits;
  }
}

function newLevel(): Level {
  return { next: new Map(), any: null, bits: 0, restBits: 0 };
}

function toLevels(rules: readonly CompiledRule[]): Level {
  const root = newLevel();
  for (const { filterKey, bits } of rules) {
    let level = root;
    let isRest = false;
    for (const name of filterKey.split('/')) {
      isRest = name === '#';
      if (isRest) break;
      level = below(level, name);
    }
    if (isRest) level.restBits |= bits;
    else level.bits |= bits;
  }
  return root;
}

function below(level: Level, name: string): Level {
  if (name === '+') {
    level.any ??= newLevel();
    return level.any;
  }
  let next = level.next.get(name);
  if (next === undefined) {
    next = newLevel();
    level.next.set(name, next);
  }
  return next;
}

/**
 * Bits of the filters at and below a level. No level is come to twice, so it takes no more steps
 * than there are rules times their levels.
 * @param start of the topic's next level; one past its end when there is none.
 * @param isHidden whether wildcards of this level do not count [MQTT-4.7.2-1].
 */
function collect(level: Level, topicKey: string, start: number, isHidden: boolean): number {
  let bits = isHidden ? 0 : level.restBits;
  if (start > topicKey.length) return bits | level.bits;
  const end = levelEnd(topicKey, start);
  const next = level.next.size === 0 ? undefined : level.next.get(topicKey.slice(start, end));
  if (next !== undefined) bits |= collect(next, topicKey, end + 1, false);
  if (level.any !== null && !isHidden) bits |= collect(level.any, topicKey, end + 1, false);
  return bits;
}

/** Whether a name may stand in a filter in the place of `%u` or `%c`: it is a part of a level. */
export function isFitName(name: string): boolean {
  return !/[+#/]/.test(name);
}

/**
 * A rule's filter with the names of who asks.
 * @param username null: nobody's, which no `%u` stands for.
 * @returns null where it is no rule for them: the name is missing, or would turn it into another
 *   kind of filter.
 */
export function expand(template: string, username: string | null, clientId: string): string | null {
  if (username === null && template.includes('%u')) return null;
  const filter = template.replace(/%[uc]/g, (name) => (name === '%u' ? username! : clientId));
  // What begins with a name is the client's own: never what the server keeps below `$`.
  if (filter.startsWith('$') && !template.startsWith('$')) return null;
  return filter === '' ? null : filter;
}
