/** What a delivery leaves behind when it does not come to its end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters } from '../../../src/base/counters.js';
import { RUN_BUFFER_BYTES_MIN, RUN_BUFFERS_MAX } from '../../../src/base/limits.js';
import { encodePublish } from '../../../src/protocol/publish-frame.js';
import { Delivery } from '../../../src/router/delivery.js';
import { RouteCache } from '../../../src/router/route.js';
import { PLAIN_RUN } from '../../../src/router/run-traits.js';
import { Impatience } from '../../../src/router/slowdown.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';

const LIMITS = { maxInflight: 10, maxQueuedMessages: 10, maxQueuedBytes: 1_000_000 };
const TOPIC = 'a';

test('a run that a delivery which fails was keeping gives its memory back', async () => {
  const topics = await createTopicsProvider<Session, never>('mem');
  const queuedTotal = new QueuedTotal();
  const session = new Session(
    'broken',
    Number.POSITIVE_INFINITY,
    4,
    1,
    LIMITS,
    new AbsentQueues(queuedTotal),
  );
  session.enqueue = () => {
    throw new RangeError('broken');
  };
  topics.subscribe(TOPIC, session, 1);
  const route = new RouteCache(topics as never, 1).findKey(TOPIC);
  const arena: TurnArena = new TurnArena(() => arena.rewind());
  const delivery = new Delivery({
    shardIndex: 0,
    arena,
    pressure: { impatient: new Map(), onFed: () => {}, relieve: () => {} },
    counters: new Counters(),
    queuedTotal,
    clock: { now: 1 },
  });
  const frame = encodePublish(TOPIC, Buffer.alloc(RUN_BUFFER_BYTES_MIN), 0x32, 1);
  assert.throws(() => {
    const { none } = Impatience;
    delivery.deliver(0, 0, none, route, frame, 0, frame.length, 0x32, 1, PLAIN_RUN);
  }, /broken/);
  for (let n = 0; n < RUN_BUFFERS_MAX; n++) {
    const run = queuedTotal.copyRun(frame, 0, frame.length, 0x32, TOPIC.length, 1);
    assert.notEqual(run.buffer, null, `buffer ${n}`);
  }
});
