/** Mutations of src/base: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'copies: pieces of what is shared lie on each other',
    test: 'unit/base/copy-bytes.test.ts',
    red: 'copies between memory of its own and shared memory, however both lie in their words',
    edits: [
      {
        file: 'src/base/copy-bytes.ts',
        text: 'to += length;',
        by: '',
      },
    ],
  },
  {
    name: 'piecewise maps: who goes through one is at its end when it is divided',
    test: 'unit/base/piecewise-map.test.ts',
    red: 'yields what was there and was not removed, though it is divided meanwhile',
    edits: [
      {
        file: 'src/base/piecewise-map.ts',
        text: 'for (const piece of this.#pieces ?? []) yield* piece;',
        by: 'else for (const piece of this.#pieces) yield* piece;',
      },
    ],
  },
  {
    name: 'deadlines: one comes early',
    test: 'unit/base/deadlines.test.ts',
    red: 'does not come early, and comes',
    edits: [
      {
        file: 'src/base/deadlines.ts',
        text: 'Math.ceil((since + delayMs + STAMP_SLACK_MS) / SWEEP_MS)',
        by: 'Math.floor((since + delayMs) / SWEEP_MS)',
      },
    ],
  },
  {
    name: 'deadlines: one that is far off is never filed anew',
    test: 'unit/base/deadlines.test.ts',
    red: 'of a week comes in the week',
    edits: [
      {
        file: 'src/base/deadlines.ts',
        text: `unlink(unfiled);
      this.#file(unfiled);`,
        by: 'unlink(unfiled);',
      },
    ],
  },
  {
    name: 'deadlines: all that are due come at once',
    test: 'unit/base/deadlines.test.ts',
    red: 'of many at once takes its share of a tick only',
    edits: [
      {
        file: 'src/base/deadlines.ts',
        text: 'if (this.#clock() >= until) return;',
        by: 'this.#clock();',
      },
    ],
  },
];
