/** Mutations of src/client and of what it shares with the broker: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'aliases: what is sent again has no topic',
    test: 'unit/client/topic-alias.test.ts',
    red: 'what is sent again to a server that has the session has its topic',
    edits: [{ file: 'src/client/outgoing-ledger.ts', text: '    packet.restoreName();\n', by: '' }],
  },
  {
    name: 'aliases: those of the last connection go on',
    test: 'unit/client/topic-alias.test.ts',
    red: 'what is sent again to a server that has the session has its topic',
    edits: [{ file: 'src/client/outgoing-aliases.ts', text: '    this.#connection++;\n', by: '' }],
  },
  {
    name: 'aliases: more than the server takes',
    test: 'unit/client/topic-alias.test.ts',
    red: 'a topic gets an alias with its second message',
    edits: [
      {
        file: 'src/client/outgoing-aliases.ts',
        text: 'Math.min(this.#atMost, maximum)',
        by: 'this.#atMost',
      },
    ],
  },
  {
    name: 'scram: a server need not know the user',
    test: 'unit/base/scram.test.ts',
    red: 'a server that does not know the user is found out',
    edits: [
      {
        file: 'src/base/scram.ts',
        text: ' || !isEqual(signature, this.#serverSignature)',
        by: '',
      },
    ],
  },
  {
    name: 'scram: a server may take any nonce',
    test: 'unit/base/scram.test.ts',
    red: 'a client gives nothing to a server that does not keep to the rules',
    edits: [
      {
        file: 'src/base/scram.ts',
        text: '!nonce.startsWith(this.#nonce) || ',
        by: '',
      },
    ],
  },
  {
    name: 'authentication: AUTH that answers nothing is taken',
    test: 'unit/client/authentication.test.ts',
    red: 'a server that does not keep to its part of an exchange is left',
    edits: [
      {
        file: 'src/client/authentication.ts',
        text: 'this.#exchange === null || this.#isAnswering || (isSuccess && !isOpen)',
        by: 'this.#exchange === null',
      },
    ],
  },
  {
    name: 'authentication: a server that refuses 5.0 is asked without it',
    test: 'unit/client/authentication.test.ts',
    red: 'is not asked in another way',
    edits: [
      {
        file: 'src/client/lifecycle.ts',
        text: ' || authentication !== null',
        by: '',
      },
    ],
  },
];
