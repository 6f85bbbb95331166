/** Mutations of the edge: access rules, limits, configuration, reload. See mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'access: what one block denies another may allow',
    test: 'unit/access/rights.test.ts',
    red: 'what is denied is denied wherever it stands',
    edits: [
      {
        file: 'src/access/rights.ts',
        text: 'undecided &= ~(block >> DENIED_SHIFT);',
        by: 'undecided &= ALL_ACTIONS;',
      },
    ],
  },
  {
    name: 'access: rules for all count before those of the user',
    test: 'unit/access/rights.test.ts',
    red: 'rights are what the manual of the acl_file says',
    edits: [
      {
        file: 'src/access/rights.ts',
        text: 'allowed |= block & undecided;',
        by: 'allowed |= block;',
      },
    ],
  },
  {
    name: 'access: a filter apart from all rules may be subscribed',
    test: 'unit/access/rights.test.ts',
    red: 'a filter may be wider than the rules, but not apart from them',
    edits: [
      {
        file: 'src/access/rights.ts',
        text: 'if (hasWildcard(filter)) return isReachable(filter, this.#setsByBlock());',
        by: 'if (hasWildcard(filter)) return true;',
      },
    ],
  },
  {
    name: 'access: rules are not charged to the turn',
    test: 'unit/connection/subscribe-share.test.ts',
    red: 'one SUBSCRIBE of many filters',
    edits: [
      {
        file: 'src/connection/handle-subscribe.ts',
        text: '!filters.isPartRead && rulesLookedAt.count < RULES_PER_PART',
        by: '!filters.isPartRead',
      },
    ],
  },
  {
    name: 'access: names with + # / match through patterns',
    test: 'unit/access/rights.test.ts',
    red: 'a name in a rule of the configuration matters',
    edits: [
      {
        file: 'src/access/access-table.ts',
        text: 'if (block.isUnfit || (block.needsFitUser && !isFit)) return null;',
        by: 'if (block.isUnfit) return null;',
      },
    ],
  },
  {
    name: 'own settings: those of a listener stand before those of a user',
    test: 'broker/own-settings.test.ts',
    red: 'holds for clients of its listener or user alone',
    edits: [
      {
        file: 'src/shard/client-profiles.ts',
        text: '{ ...this.#config, ...ownOfListener, ...ownOfUser }',
        by: '{ ...this.#config, ...ownOfUser, ...ownOfListener }',
      },
    ],
  },
  {
    name: 'own settings: a reload does not reach connections',
    test: 'broker/own-settings.test.ts',
    red: 'is changed by a reload for clients that are here',
    edits: [
      {
        file: 'src/shard/client-profiles.ts',
        text: 'if (areOthers) giveProfile(connection);',
        by: '',
      },
    ],
  },
  {
    name: 'own settings: a reload does not reach profiles',
    test: 'broker/own-settings.test.ts',
    red: 'is changed by a reload for clients that are here',
    edits: [
      {
        file: 'src/shard/client-profiles.ts',
        text: 'profile.take(this.#configOf(profile.listener, profile.username), this.#mayQueue);',
        by: '',
      },
    ],
  },
  {
    name: 'own settings: the connections of a listener are not counted down',
    test: 'broker/own-settings.test.ts',
    red: 'of connections refuses more by its listener',
    edits: [
      {
        file: 'src/shard/shard.ts',
        text: 'this.listenerCounts.leave(connection.listenerSlot, this.shardIndex);',
        by: '',
      },
    ],
  },
  {
    name: 'own settings: a Will is held against what holds for all',
    test: 'broker/own-settings.test.ts',
    red: 'of a will is that of the user',
    edits: [{ file: 'src/connection/admit.ts', text: 'giveProfile(connection);', by: '' }],
  },
  {
    name: 'limits: a debt ends with its connection',
    test: 'broker/rates.test.ts',
    red: 'owes it on its next connection',
    edits: [
      { file: 'src/connection/rate-limit.ts', text: 'if (owed > 0) rate.owe(owed);', by: '' },
    ],
  },
  {
    name: 'limits: what is pipelined behind a CONNECT is free',
    test: 'broker/rates.test.ts',
    red: 'owes it on its next connection',
    edits: [
      {
        file: 'src/connection/connection.ts',
        text: 'if ((this.#pauses & Pause.overRate) === 0) this.#reading.handleKept();',
        by: 'this.#reading.handleKept();',
      },
    ],
  },
  {
    name: 'limits: who owes least keeps its place',
    test: 'unit/base/rate-debts.test.ts',
    red: 'are forgotten of who owes least',
    edits: [
      {
        file: 'src/base/rate-debts.ts',
        text: 'if (Atomics.load(this.#words, chosen + 1) > due) return;',
        by: 'if (Atomics.load(this.#words, chosen + 1) > BigInt(now)) return;',
      },
    ],
  },
  {
    name: 'give way: what is in flight gives way',
    test: 'unit/sessions/give-way.test.ts',
    red: 'that is full has the newest, and what is in flight stays',
    edits: [
      {
        file: 'src/sessions/window-messages.ts',
        text: 'const { runs, kept, sendEntry: entry, sendIndex } = this;',
        by: `const { runs, kept, sendIndex } = this;
    const entry = 0;`,
      },
    ],
  },
  {
    name: 'give way: a gap is closed one entry too short',
    test: 'unit/sessions/run-queue.test.ts',
    red: 'it is an array with what is removed',
    edits: [
      {
        file: 'src/sessions/run-queue.ts',
        text: 'for (let left = length; left > 0; left--) {',
        by: 'for (let left = length; left > 1; left--) {',
      },
    ],
  },
  {
    name: 'give way: what has left stays the newest of its topic',
    test: 'unit/sessions/give-way.test.ts',
    red: 'brings of each topic the newest',
    edits: [
      {
        file: 'src/sessions/give-way.ts',
        text: 'const index = entry - messages.runs.left;',
        by: 'const index = entry;',
      },
    ],
  },
  {
    name: 'config: faults are gathered without end',
    test: 'unit/base/config-file.test.ts',
    red: 'of nothing but faults is read as far as a thousand',
    edits: [
      {
        file: 'src/base/yaml-text.ts',
        text: 'if (this.found.length >= CONFIG_FAULTS_FOUND_MAX) {',
        by: 'if (this.found.length < 0) {',
      },
    ],
  },
  {
    name: 'config: an alias brings anchors of before again',
    test: 'unit/base/config-file.test.ts',
    red: 'may have as many aliases as other values',
    edits: [
      {
        file: 'src/base/yaml-text.ts',
        text: 'anchor !== undefined && this.#aliasDepth === 0',
        by: 'anchor !== undefined',
      },
    ],
  },
  {
    name: 'reload: two listeners in the way of each other are a port in use',
    test: 'broker/reload-listeners.test.ts',
    red: 'from one address to all, or back',
    edits: [
      {
        file: 'src/primary/acceptor.ts',
        text: 'present.find(({ bound }) => isInTheWay(bound, config))',
        by: 'present.find(() => false)',
      },
    ],
  },
  {
    name: 'reload: users who are gone stay',
    test: 'broker/passwords.test.ts',
    red: 'closes users who are gone',
    edits: [
      {
        file: 'src/access/chain.ts',
        text: 'return this.#links.some((link) => link.knows?.(username, stamp) ?? false);',
        by: 'return username !== stamp;',
      },
    ],
  },
];
