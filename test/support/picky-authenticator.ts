/**
 * An authenticator that decides by user name: `wrong` is refused, `late` accepted in a while,
 * `broken` fails.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Authenticator, AuthenticatorFactory } from '../../src/index.js';

const pickyAuthenticator: AuthenticatorFactory = (): Authenticator => ({
  async authenticate({ username, password, clientId }) {
    if (username === 'broken') throw new Error('the directory of users cannot be reached');
    if (username === 'late') await delay(50);
    if (username === 'secretive') return password?.toString('hex') === '00ff';
    return username !== 'wrong' && !clientId.startsWith('banned');
  },
});

export default pickyAuthenticator;
