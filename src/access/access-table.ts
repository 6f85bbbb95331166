/** The rules of a configuration, made into the rights of those who connect. */

import type { AccessRule } from '../base/access-rule.js';
import { ADMISSION_RULES_MAX, CLASSES_KEPT_MAX } from '../base/limits.js';
import { isValidTopicFilter, toTopicKey } from '../topics/topic.js';
import { parseAclFile } from './acl-file.js';
import { type Block, Decisions, type Rights, RuledRights, SharedRules } from './rights.js';
import { type CompiledRule, expand, isFitName, RuleSet, ruleBits } from './rule-set.js';

/** A user, as far as its rules go. */
export interface RuledUser {
  readonly name: string;
  readonly rules: readonly AccessRule[] | null;
}

/** What rules are made of. */
export interface AccessSource {
  /** Contents of Mosquitto's acl_file; null: there is none. */
  readonly aclFile: string | null;
  /** For all. */
  readonly rules: readonly AccessRule[];
  /** Those of users; a user without may do what all may. */
  readonly users: readonly RuledUser[];
}

/** Rules of one block, by what they name of who asks. */
interface RuleBlock {
  /** The same for all. */
  readonly fixed: RuleSet;
  /** With `%u` and without `%c`. */
  readonly ofUser: readonly CompiledRule[];
  /** With `%c`. */
  readonly ofClient: readonly CompiledRule[];
  /** Who has a name that may not stand in a filter is allowed nothing by it, nor beyond. */
  readonly needsFitUser: boolean;
  readonly needsFitClient: boolean;
  /** A rule of it cannot be read: it allows nothing. */
  readonly isUnfit: boolean;
}

/** A user, as its clients come. */
interface UserClass {
  readonly shared: SharedRules;
  readonly own: RuleBlock;
  /** Of its clients that no rule tells apart. */
  readonly rights: Rights;
}

const NO_RULES: RuleBlock = blockOf([], []);

/** What is wrong with rules, a line each; empty when they are sound. @param where they stand. */
export function checkAccessRules(rules: readonly AccessRule[], where: string): string[] {
  return rules
    .filter(({ filter }) => !isValidTopicFilter(toTopicKey(filter)))
    .map(({ filter }) => `${where}: ${JSON.stringify(filter)} is no topic filter`);
}

/** One a shard, and another after each reload. */
export class AccessTable {
  /** No rules are configured: everybody may do everything. */
  readonly isOpen: boolean;
  readonly #common: RuleBlock;
  readonly #decisions = new Decisions();
  readonly #users = new Map<string | null, RuleBlock>();
  /** By user, those asked for last at the end: the first goes when they are too many. */
  readonly #classes = new Map<string | null, UserClass>();

  constructor({ aclFile, rules, users }: AccessSource) {
    const file = aclFile === null ? null : parseAclFile(aclFile);
    const isFileUnfit = file !== null && file.faults.length > 0;
    const ruled = users.filter((user) => user.rules !== null);
    this.isOpen = file === null && rules.length === 0 && ruled.length === 0;
    this.#common = blockOf([], rules, file?.patterns, isFileUnfit);
    const byName = new Map(ruled.map((user) => [user.name, user.rules!]));
    for (const name of new Set<string | null>([...(file?.users.keys() ?? []), ...byName.keys()])) {
      const own = (name === null ? undefined : byName.get(name)) ?? [];
      this.#users.set(name, blockOf(file?.users.get(name) ?? [], own, [], isFileUnfit));
    }
  }

  /**
   * The rights of a client; null: it may do everything, as no rules are configured.
   * @param username null: it has none. @param rules of its admission, in the place of its user's.
   */
  rightsOf(
    username: string | null,
    clientId: string,
    rules: readonly AccessRule[] | null,
  ): Rights | null {
    if (rules === null && this.isOpen) return null;
    const { shared, own, rights } =
      rules === null ? this.#classOf(username) : this.#makeClass(username, admitted(rules));
    const blocks = [own, this.#common];
    const isOneOfMany =
      blocks.every(({ ofClient }) => ofClient.length === 0) &&
      (isFitName(clientId) || !blocks.some(({ needsFitClient }) => needsFitClient));
    if (isOneOfMany) return rights;
    return new RuledRights(shared, this.#blocksOfClient(own, username, clientId));
  }

  #classOf(username: string | null): UserClass {
    const known = this.#classes.get(username);
    const found = known ?? this.#makeClass(username, this.#users.get(username) ?? NO_RULES);
    if (known !== undefined) this.#classes.delete(username);
    else if (this.#classes.size >= CLASSES_KEPT_MAX) this.#forgetOldest();
    this.#classes.set(username, found);
    return found;
  }

  #forgetOldest(): void {
    for (const username of this.#classes.keys()) {
      this.#classes.delete(username);
      return;
    }
  }

  #makeClass(username: string | null, own: RuleBlock): UserClass {
    const name = username === null ? null : toTopicKey(username);
    const isFit = name === null || isFitName(name);
    const blocks = [own, this.#common].map((block): Block => {
      if (block.isUnfit || (block.needsFitUser && !isFit)) return null;
      const ofUser = expandAll(block.ofUser, name, '');
      return ofUser.length === 0 ? [block.fixed] : [block.fixed, new RuleSet(ofUser)];
    });
    const shared = new SharedRules(blocks, this.#decisions);
    return { shared, own, rights: new RuledRights(shared, []) };
  }

  #blocksOfClient(own: RuleBlock, username: string | null, clientId: string): Block[] {
    const name = username === null ? null : toTopicKey(username);
    const id = toTopicKey(clientId);
    const isFit = isFitName(id);
    return [own, this.#common].map((block): Block => {
      if (block.needsFitClient && !isFit) return null;
      const ofClient = expandAll(block.ofClient, name, id);
      return ofClient.length === 0 ? [] : [new RuleSet(ofClient)];
    });
  }
}

/** The rules of an admission. */
function admitted(rules: readonly AccessRule[]): RuleBlock {
  return blockOf([], rules, [], rules.length > ADMISSION_RULES_MAX);
}

/**
 * @param literal rules in whose filters `%u` and `%c` stand for themselves.
 * @param patterns of an acl_file. With any, neither name may have `+`, `#` or `/`, as Mosquitto has
 *   it; else that is so of the names that the rules name.
 */
function blockOf(
  literal: readonly CompiledRule[],
  rules: readonly AccessRule[],
  patterns: readonly CompiledRule[] = [],
  isUnfit = false,
): RuleBlock {
  const compiled = rules.map(({ effect, actions, filter }): CompiledRule => {
    return { filterKey: toTopicKey(filter), bits: ruleBits(effect, actions) };
  });
  const templates = [...compiled, ...patterns];
  const isOfClient = ({ filterKey }: CompiledRule) => filterKey.includes('%c');
  const isOfUser = ({ filterKey }: CompiledRule) => filterKey.includes('%u');
  const ofClient = templates.filter(isOfClient);
  const ofUser = templates.filter((rule) => isOfUser(rule) && !isOfClient(rule));
  const plain = templates.filter((rule) => !isOfUser(rule) && !isOfClient(rule));
  const hasPatterns = patterns.length > 0;
  return {
    fixed: new RuleSet([...literal, ...plain]),
    ofUser,
    ofClient,
    needsFitUser: hasPatterns || templates.some(isOfUser),
    needsFitClient: hasPatterns || ofClient.length > 0,
    isUnfit: isUnfit || compiled.some(({ filterKey }) => !isValidTopicFilter(filterKey)),
  };
}

function expandAll(
  templates: readonly CompiledRule[],
  name: string | null,
  id: string,
): CompiledRule[] {
  const expanded: CompiledRule[] = [];
  for (const { filterKey, bits } of templates) {
    const filter = expand(filterKey, name, id);
    if (filter !== null) expanded.push({ filterKey: filter, bits });
  }
  return expanded;
}
