/** A message that the embedding program publishes: as PUBACK would, it says when it is kept. */

import { MADE_RUNS_STEPS_PER_TURN } from '../base/limits.js';
import { PUBLISH, RETAIN } from '../protocol/fixed-header.js';
import { willRun } from '../sessions/will.js';
import { toTopicKey } from '../topics/topic.js';
import type { InjectedMessage } from './control.js';
import type { Shard } from './shard.js';

const WORKER_DIED = 'a worker died that may not have kept it: publish it again';
const NOT_KEPT = 'the store takes nothing more: publish it again later';

/**
 * Publishes it; calls back when that is done, of QoS 1 and 2 when it is on disk where it is to be,
 * or with why it is not: the store refuses it, or a shard has died that may have lost it.
 */
export function publishForProgram(
  shard: Shard,
  message: InjectedMessage,
  published: (why: string | null) => void,
): void {
  const { router, durable, turn } = shard;
  const topicKey = toTopicKey(message.topic);
  const run = willRun({ ...message, payload: Buffer.from(message.payload) });
  if (isRefused(shard, message, topicKey, run.bytes.length)) {
    published(NOT_KEPT);
    return;
  }
  router.publishRun(run, topicKey);
  // Also by those that a shard finds which succeeds a dead one.
  router.made.whenAllPublished(() => {
    if (message.qos === 0 || durable === null) published(null);
    else durable.whenAllKept((isLost) => published(isLost ? WORKER_DIED : null));
  });
  turn.schedule();
}

/** As what a client publishes is: see DurableAcks. One whose route takes long to find is not. */
function isRefused(
  { durable, routes }: Shard,
  { qos, retain, payload }: InjectedMessage,
  topicKey: string,
  bytes: number,
): boolean {
  if (durable === null || qos === 0 || !durable.mayRefuse) return false;
  const route = routes.findKeyWithin(topicKey, MADE_RUNS_STEPS_PER_TURN);
  const header = PUBLISH | (qos << 1) | (retain ? RETAIN : 0);
  const retained = retain && payload.length > 0 ? bytes : 0;
  return route !== null && durable.refuses(route, header, retained);
}
