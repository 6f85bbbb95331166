/**
 * An authenticator that is deadly for its shard: a client id that begins with `lethal` ends the
 * thread, as a fault of the broker or of a provider would.
 */
import type { Authenticator } from '../../src/access/authenticator.js';

export default function lethalAuthenticator(): Authenticator {
  return {
    authenticate({ clientId }) {
      if (!clientId.startsWith('lethal')) return true;
      setImmediate(() => {
        throw new Error(`killed by ${clientId}`);
      });
      return new Promise(() => {});
    },
  };
}
