/** An authenticator that lets clients in as somebody, by user name; others it leaves. */
import type { AccessRule, Authenticator, AuthenticatorFactory } from '../../src/index.js';

/** How long `brief` is let in, in milliseconds: a busy machine has to let it in within that. */
export const BRIEF_MS = 1_000;
const RULES: readonly AccessRule[] = [{ effect: 'allow', actions: ['read'], filter: 'a/#' }];

const admittingAuthenticator: AuthenticatorFactory = (): Authenticator => ({
  authenticate({ username }) {
    switch (username) {
      case 'brief':
        return { username, expiresAtMs: Date.now() + BRIEF_MS, rules: null };
      case 'over':
        return Promise.resolve({ username, expiresAtMs: Date.now() - 1, rules: null });
      case 'renamed':
        return Promise.resolve({
          username: 'somebody\u001b[31m\nelse',
          expiresAtMs: null,
          rules: RULES,
        });
      case 'wrong':
        return false;
      default:
        return Promise.resolve(null);
    }
  },
});

export default admittingAuthenticator;
