/** A client that watches a topic, for tests of what is published there without anybody asking. */
import type { Broker } from './broker.js';
import type { TestClient } from './test-client.js';

/** Connects a client and subscribes it to the topic at QoS 1. */
export async function watch(broker: Broker, topic: string): Promise<TestClient> {
  const watcher = await broker.client();
  await watcher.subscribe([topic, 1]);
  return watcher;
}

/** The payloads that the watcher has been sent up to a message that is published now. */
export async function seen(watcher: TestClient, topic: string): Promise<string[]> {
  await watcher.publish(topic, 'end', { qos: 1 });
  return (await watcher.messagesUntil('end')).map(({ payload }) => payload);
}
