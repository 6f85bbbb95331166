/**
 * An authenticator with methods of enhanced authentication: SCRAM-SHA-256 for a user, and `script`,
 * whose client says what is to be answered.
 */
import type { AuthenticationVerdict, Authenticator } from '../../src/index.js';
import { scramKeys, scramSha256Exchange } from '../../src/index.js';

const SALT = Buffer.from('0123456789abcdef');

/** By the data of the client; the rest is no verdict. */
const ANSWERS: Readonly<Record<string, AuthenticationVerdict>> = {
  ask: { result: 'continue', data: Buffer.from('question') },
  yes: { result: 'accept', data: Buffer.from('welcome') },
  no: { result: 'refuse' },
};

export default async function exchangingAuthenticator(): Promise<Authenticator> {
  const users = new Map([['ada', await scramKeys('lovelace', SALT, 4_096)]]);
  return {
    authenticate: () => true,
    begin({ method }) {
      if (method === 'SCRAM-SHA-256') {
        return scramSha256Exchange((username) => users.get(username) ?? null);
      }
      if (method !== 'script') return null;
      return {
        continue(data) {
          const text = data?.toString() ?? '';
          if (text === 'never') return new Promise(() => {});
          if (text === 'throw') throw new Error('out of order');
          return Promise.resolve(ANSWERS[text]!);
        },
      };
    },
  };
}
