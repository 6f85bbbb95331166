/** What the gauges say of messages of which most are on disk alone. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { numbers } from '../support/suite.js';
import { eventually } from '../support/waiting.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

/** Several times what is kept in memory of a queue. */
const MESSAGES = 200;
const PAYLOAD_BYTES = 8_192;

function started(context: TestContext): Promise<Broker> {
  const dataDir = temporaryFolder(context);
  return startBroker({ workers: 2, sessionsProvider: 'lmdb', dataDir });
}

async function publish(broker: Broker, topic: string): Promise<void> {
  const publisher = await broker.client();
  const texts = numbers(1, MESSAGES).map((n) => n.padEnd(PAYLOAD_BYTES));
  await publisher.publishAll(topic, texts, { qos: 1 });
  await publisher.disconnect();
}

/** Waits for this many messages to be said to wait. */
async function waiting(broker: Broker, messages: number): Promise<void> {
  const { server } = broker;
  await eventually(() => server.stats().queuedMessages === messages, `${messages} to wait`);
}

describe('messages that wait', () => {
  test('count while their client is away and while it is here', async (context) => {
    await using broker = await started(context);
    const [topic, clientId] = [unique('topic'), unique('absent')];
    const reader = await broker.client({ clientId, cleanSession: false });
    await reader.subscribe([topic, 1]);
    await reader.disconnect();
    await publish(broker, topic);
    await waiting(broker, MESSAGES);
    const back = await broker.client({ clientId, cleanSession: false });
    await back.until(() => back.messages.length === MESSAGES, 'all messages');
    await waiting(broker, 0);
  });

  test('count no more when their session has ended', async (context) => {
    await using broker = await started(context);
    const [topic, clientId] = [unique('topic'), unique('ends')];
    const reader = await broker.client({ clientId, cleanSession: false });
    await reader.subscribe([topic, 1]);
    await reader.disconnect();
    await publish(broker, topic);
    await waiting(broker, MESSAGES);
    const clean = await broker.client({ clientId });
    await waiting(broker, 0);
    const { droppedExpired } = broker.server.stats();
    assert.equal(droppedExpired, MESSAGES);
    await clean.disconnect();
  });

  test('count once for a group', async (context) => {
    await using broker = await started(context);
    const [topic, clientId] = [unique('topic'), unique('member')];
    const filter = `$share/${unique('group')}/${topic}`;
    const member = await broker.client({ clientId, cleanSession: false });
    await member.subscribe([filter, 1]);
    await member.disconnect();
    await publish(broker, topic);
    await waiting(broker, MESSAGES);
    const back = await broker.client({ clientId, cleanSession: false });
    await back.until(() => back.messages.length === MESSAGES, 'all messages');
    await waiting(broker, 0);
  });
});
