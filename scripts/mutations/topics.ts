/** Mutations of src/topics: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'topics: # does not include the parent level',
    test: 'unit/topics/filter-index.test.ts',
    red: 'a topic is given the filters that the plain matcher finds, each once',
    edits: [
      {
        file: 'src/topics/filter-index.ts',
        text: 'if (multi !== 0) this.#matched[this.#matchedCount++] = multi;',
        by: 'if (multi !== 0 && depth !== count) this.#matched[this.#matchedCount++] = multi;',
      },
    ],
  },
  {
    name: 'topics: wildcards match $SYS [MQTT-4.7.2-1]',
    test: 'conformance/02-subscribe.test.ts',
    red: 'a topic that begins with $ is new to all wildcards',
    edits: [
      {
        file: 'src/topics/filter-index.ts',
        text: 'const first = beginsWithDollar(topicKey) ? this.#literalOf(ROOT, 0, 0) : ROOT;',
        by: 'const first = ROOT;',
      },
    ],
  },
  {
    name: 'topics: a walk over sorted topics expects what is below a level right behind it',
    test: 'unit/topics/filter-range.test.ts',
    red: 'topics whose order is not that of their levels are all found',
    edits: [
      {
        file: 'src/topics/filter-range.ts',
        text: 'if (code < SLASH && !isLast) this.next',
        by: 'if (code < 0 && !isLast) this.next',
      },
    ],
  },
];
