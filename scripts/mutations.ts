/** The mutation table, from the lowest layer up: see mutations/mutation.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MUTATIONS as BASE } from './mutations/base.js';
import { MUTATIONS as CLIENT } from './mutations/client.js';
import { MUTATIONS as CONNECTION } from './mutations/connection.js';
import { MUTATIONS as EDGE } from './mutations/edge.js';
import type { Mutation } from './mutations/mutation.js';
import { MUTATIONS as PROTOCOL } from './mutations/protocol.js';
import { MUTATIONS as PROTOCOL_5 } from './mutations/protocol-v5.js';
import { MUTATIONS as ROUTER } from './mutations/router.js';
import { MUTATIONS as SESSIONS } from './mutations/sessions.js';
import { MUTATIONS as SHARD } from './mutations/shard.js';
import { MUTATIONS as STORE } from './mutations/store.js';
import { MUTATIONS as TOPICS } from './mutations/topics.js';

export type { Edit, Mutation } from './mutations/mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  ...BASE,
  ...PROTOCOL,
  ...PROTOCOL_5,
  ...TOPICS,
  ...STORE,
  ...SESSIONS,
  ...ROUTER,
  ...CONNECTION,
  ...SHARD,
  ...EDGE,
  ...CLIENT,
];

/** Mutations that cannot be tried on the checkout at `root`, a line each. */
export function staleMutations(root: string): string[] {
  return MUTATIONS.flatMap(({ name, edits }) =>
    edits.flatMap(({ file, text }) => {
      const times = readFileSync(join(root, file), 'utf8').split(text).length - 1;
      return times === 1 ? [] : [`${name}: its text stands ${times} times in ${file}`];
    }),
  );
}
