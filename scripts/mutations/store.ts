/** Mutations of src/store: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'kept: what a search has read stands, though it is replaced on disk meanwhile',
    test: 'unit/store/kept-retained.test.ts',
    red: 'while a search is left topics change, those left alone come once',
    edits: [
      {
        file: 'src/store/kept-retained.ts',
        text: 'if (this.#epoch !== this.#changes.epoch) this.#leaveStale();',
        by: '',
      },
    ],
  },
  {
    name: 'kept: a message that is cleared and on disk still is found',
    test: 'unit/store/kept-retained.test.ts',
    red: 'any filter finds what the plain matcher finds, durable or not',
    edits: [
      {
        file: 'src/store/kept-retained.ts',
        text: 'const hidden = changes.size === 0 ? null : changes;',
        by: 'const hidden = null;',
      },
    ],
  },
];
