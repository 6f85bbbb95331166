/** How long the primary waits for a shard that starts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mock, test } from 'node:test';
import type { MessagePort } from 'node:worker_threads';
import type { ShardPool } from '../../../src/primary/shard-pool.js';
import { ShardTask } from '../../../src/primary/shard-task.js';
import type { ShardStart } from '../../../src/shard/control.js';

test('a shard may take as long to start as it has more to load', async (context) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  context.after(() => mock.timers.reset());
  let port: MessagePort | undefined;
  let signal: AbortSignal | undefined;
  const run = (start: ShardStart, aborting: AbortSignal): Promise<void> => {
    port = start.port;
    signal = aborting;
    return new Promise((resolve) => port!.once('close', resolve));
  };
  const pool = { run } as unknown as ShardPool;
  let delivered = () => {};
  const owner = { onMessage: () => delivered(), onEnd: () => {} };
  new ShardTask(owner, pool, { shardIndex: 0 } as Omit<ShardStart, 'port'>, 1_000);
  const ended = once(port!, 'close');
  for (let loads = 0; loads < 5; loads++) {
    mock.timers.tick(900);
    const isDelivered = new Promise<void>((resolve) => {
      delivered = resolve;
    });
    port!.postMessage({ kind: 'loaded', sessions: [] });
    await isDelivered;
    assert.equal(signal!.aborted, false);
  }
  mock.timers.tick(1_000);
  assert.match(String(signal!.reason), /it was not ready within 1000 ms/);
  port!.close();
  await ended;
});
