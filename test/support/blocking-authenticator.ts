/** Keeps its thread busy for as long as a password says, in milliseconds, and lets everybody in. */
import type { Authenticator, AuthenticatorFactory } from '../../src/index.js';

const blockingAuthenticator: AuthenticatorFactory = (): Authenticator => ({
  authenticate({ password }) {
    const until = performance.now() + Number(password ?? 0);
    while (performance.now() < until);
    return true;
  },
});

export default blockingAuthenticator;
