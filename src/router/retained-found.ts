/** What was found for a SUBSCRIBE before its SUBACK went out (opening.ts), sent behind that. */
import { OPENING_BYTES_MAX, OPENING_LEVELS_MAX } from '../base/limits.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import { hasWildcard, matchesKey } from '../topics/topic.js';
import type { Opening } from './opening.js';
import type { Asked, Replay } from './replay.js';
import { type RetainedDeliveryParts, sendRetained } from './retained-delivery.js';
import { type RetainedFrame, type RetainedMessage, toFrame } from './retained-message.js';
import type { RetainedStore } from './retained-store.js';

/** What it works with, all of one shard. */
export interface FoundParts extends RetainedDeliveryParts {
  readonly retained: RetainedStore;
}

/**
 * Sends at once what is retained for a filter, of which all has come that other shards have.
 * @returns false, and sends nothing, where this shard's part is large, or the client is behind.
 */
export function sendFound(
  parts: FoundParts,
  replay: Replay,
  opening: Opening,
  filterKey: string,
  asked: Asked,
): boolean {
  const { session } = replay;
  const local = findLocal(parts.retained, filterKey);
  if (local === null || session.outlet?.isHeavy !== false) return false;
  for (const [topicKey, message] of local) {
    if (replay.isSuperseded(topicKey, asked.since)) continue;
    sendNoted(parts, replay, topicKey, toFrame(message), asked);
  }
  for (const found of opening.found.get(filterKey) ?? []) {
    if (opening.newer.has(found.topicKey)) continue;
    sendNoted(parts, replay, found.topicKey, found, asked);
  }
  for (const [topicKey, message] of opening.newer) {
    if (message === null || !matchesKey(filterKey, topicKey)) continue;
    sendNoted(parts, replay, topicKey, toFrame(message), asked);
  }
  return true;
}

/** Sends a retained message, and has it noted where it must not be sent again. */
export function sendNoted(
  parts: RetainedDeliveryParts,
  replay: Replay,
  topicKey: string,
  message: RetainedFrame,
  { grant, since }: Asked,
): void {
  const qos = sendRetained(parts, replay.session, topicKey, message, grant);
  if (qos === 2) replay.notes?.noteSent(topicKey, since);
}

/** What this shard retains for a filter; null where it is much, or takes long to find. */
function findLocal(
  retained: RetainedStore,
  filterKey: string,
): RetainedMatch<RetainedMessage>[] | null {
  if (!hasWildcard(filterKey)) return [];
  const matches = retained.match(filterKey, OPENING_LEVELS_MAX);
  const found: RetainedMatch<RetainedMessage>[] = [];
  let next = matches.next();
  for (let bytes = 0; !next.done; next = matches.next()) {
    bytes += next.value?.[1].length ?? 0;
    if (next.value === null || bytes > OPENING_BYTES_MAX) return null;
    found.push(next.value);
  }
  return found;
}
