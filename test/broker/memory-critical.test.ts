/** At 90 % of the memory limit publishers wait, nothing is lost, and what frees memory goes on. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { startBroker, unique } from '../support/broker.js';
import { numbers } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

const PUBLISHERS = 20;

for (const workers of [1, 2]) {
  describe(`a broker whose memory is nearly used up, ${workers} workers`, () => {
    test('has publishers wait, and refuses new clients, until there is some', async () => {
      const options: ServerOptions = { workers, listen: 'tcp://127.0.0.1:0', maxLoopDelay: 0 };
      await using broker = await startBroker(options);
      const { server } = broker;
      const topic = unique('critical');
      const subscriber = await broker.client({ clientId: unique('subscriber') });
      await subscriber.subscribe([topic, 1]);
      const publishers = await Promise.all(
        numbers(1, PUBLISHERS).map(() => broker.client({ clientId: unique('publisher') })),
      );
      for (const publisher of publishers) await publisher.publish(topic, 'before', { qos: 1 });
      // What is used is more than nine tenths of this, whatever it grows to.
      const { memoryUsedBytes } = server.stats();
      await server.reload({ ...options, memoryLimit: Math.floor(memoryUsedBytes * 0.8) });
      await eventually(() => server.stats().memoryLevel === 3, 'memory to be critical');
      await eventually(() => server.stats().pausedForMemory >= PUBLISHERS, 'all to be paused');
      // In their turn they are read: acks may be what memory waits for.
      await Promise.all(publishers.map((each) => each.publish(topic, 'meanwhile', { qos: 1 })));
      assert.ok(server.stats().pausedForMemory > PUBLISHERS, 'paused again behind each read');
      // Who only receives is read as ever.
      await subscriber.ping();
      await assert.rejects(broker.client({ clientId: unique('new') }), /3/);
      assert.ok(server.stats().refusedForMemory > 0);
      await server.reload(options);
      await eventually(() => server.stats().memoryLevel === 0, 'memory to be ample again');
      await Promise.all(publishers.map((each) => each.publish(topic, 'behind', { qos: 1 })));
      const waves = ['before', 'meanwhile', 'behind'];
      await subscriber.nextMessages(waves.length * PUBLISHERS);
      const counts = waves.map(
        (wave) => subscriber.payloads.filter((each) => each === wave).length,
      );
      assert.deepEqual(counts, [PUBLISHERS, PUBLISHERS, PUBLISHERS]);
      await broker.client({ clientId: unique('new') });
    });
  });
}
