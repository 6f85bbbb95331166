/**
 * Access rules as people write them, in tokens and in answers of web services:
 * `[{ "allow": ["publish", "subscribe", "read"], "filter": "a/#" }, { "deny": [...], ... }]`.
 */
import type { AccessAction, AccessRule } from '../base/access-rule.js';
import { ADMISSION_RULES_MAX, RULE_FILTER_BYTES_MAX } from '../base/limits.js';
import { isValidTopicFilter, toTopicKey } from '../topics/topic.js';

const ACTIONS: readonly unknown[] = ['publish', 'read', 'subscribe'] satisfies AccessAction[];

/** Rules as they are meant; a text that says what is wrong with them where they are none. */
export function readWrittenRules(given: unknown): readonly AccessRule[] | string {
  if (!Array.isArray(given)) return 'rules must be a list';
  if (given.length > ADMISSION_RULES_MAX)
    return `at most ${ADMISSION_RULES_MAX} rules may be there`;
  const rules: AccessRule[] = [];
  for (const [at, item] of given.entries()) {
    const rule = readRule(item);
    if (typeof rule === 'string') return `rule ${at + 1} ${rule}`;
    rules.push(rule);
  }
  return rules;
}

function readRule(given: unknown): AccessRule | string {
  if (typeof given !== 'object' || given === null) return 'must be an object';
  const { allow, deny, filter, ...rest } = given as Readonly<Record<string, unknown>>;
  if (Object.keys(rest).length > 0) return 'has more than allow or deny, and filter';
  if ((allow === undefined) === (deny === undefined)) return 'must have one of allow and deny';
  const actions = allow ?? deny;
  const areActions =
    Array.isArray(actions) && actions.length > 0 && actions.every((one) => ACTIONS.includes(one));
  if (!areActions) return 'must name some of publish, read and subscribe';
  const isFilter =
    typeof filter === 'string' &&
    Buffer.byteLength(filter) <= RULE_FILTER_BYTES_MAX &&
    isValidTopicFilter(toTopicKey(filter));
  if (!isFilter) return `must have a filter of at most ${RULE_FILTER_BYTES_MAX} bytes`;
  const named = new Set(actions as AccessAction[]);
  return { effect: allow === undefined ? 'deny' : 'allow', actions: [...named], filter };
}
