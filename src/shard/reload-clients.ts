/** Other authenticators, while clients are connected whom the former ones have let in. */
import type { Chain } from '../access/chain.js';
import { makeChain } from '../access/make-chain.js';
import { PROGRAM_AUTHENTICATOR } from '../base/credentials.js';
import { CloseReason } from '../base/errors.js';
import { CLOSED_AT_ONCE_MAX } from '../base/limits.js';
import type { Connection } from '../connection/connection.js';
import type { Shard } from './shard.js';

/** The chain that the configuration of a shard asks; modules are the same again. */
export function chainOf(shard: Shard): Chain {
  const { config, materials, providers, programAuthenticator, authenticationQueues } = shard;
  const others = new Map(providers.authenticators);
  others.set(PROGRAM_AUTHENTICATOR, programAuthenticator);
  const findListener = (uri: string) => shard.adoption.listener(uri);
  return makeChain(config, materials, others, authenticationQueues, findListener);
}

/**
 * Makes the chain anew, and closes whom it would not let in any more: users who are gone or have
 * another password, anonymous clients where these are not allowed.
 */
export function reloadAuthenticators(shard: Shard): void {
  const chain = chainOf(shard);
  shard.authenticator = chain;
  const outdated: Connection[] = [];
  for (const connection of shard.connections.values()) {
    const { admission, transport } = connection;
    if (admission === null || connection.isClosed) continue;
    if (!chain.isStillAllowed(admission, transport.peer.listener)) outdated.push(connection);
  }
  closeInParts(outdated);
}

/** Some in each turn of the event loop: others do not wait for all of them. */
function closeInParts(connections: readonly Connection[], from = 0): void {
  const end = Math.min(from + CLOSED_AT_ONCE_MAX, connections.length);
  const details = { detail: 'it is not allowed in any more' };
  for (let at = from; at < end; at++) connections[at].close(CloseReason.notAuthorized, details);
  if (end < connections.length) setImmediate(closeInParts, connections, end);
}
