/** A message that the embedding program publishes: as PUBACK would, it says when it is kept. */
import { willRun } from '../sessions/will.js';
import { toTopicKey } from '../topics/topic.js';
import type { InjectedMessage } from './control.js';
import type { Shard } from './shard.js';

/**
 * Publishes it; calls back when that is done, of QoS 1 and 2 when it is on disk where it is to be,
 * or a shard has died that may have lost it.
 */
export function publishForProgram(
  { router, durable, turn }: Shard,
  message: InjectedMessage,
  published: (isLost: boolean) => void,
): void {
  const payload = Buffer.from(message.payload);
  router.publishRun(willRun({ ...message, payload }), toTopicKey(message.topic));
  // Also by those that a shard finds which succeeds a dead one.
  router.made.whenAllPublished(() => {
    if (message.qos === 0 || durable === null) published(false);
    else durable.whenAllKept(published);
  });
  turn.schedule();
}
