/**
 * What the client library must do with any broker, as tests that are given the broker's port. Every
 * test has topics and client ids of its own, so that one broker serves all of them.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import {
  Client,
  type ClientOptions,
  ClosedError,
  ConnectionLostError,
  connect,
  type Message,
  type QoS,
} from '../../src/client/index.js';
import { eventually, within } from '../support/waiting.js';
import { CuttingProxy } from './cutting-proxy.js';

/** A broker that runs. */
export interface RunningBroker {
  readonly port: number;
  /** Of its URI; default mqtt. */
  readonly scheme?: string;
  close(): Promise<void>;
}

let count = 0;
/** A topic or client id that nobody else uses. */
const unique = (name: string): string => `${name}-${process.pid}-${++count}`;

/**
 * Runs the suite against the broker that `start` starts.
 * @param defaults options of clients that a test does not choose otherwise.
 */
export function clientSuite(
  title: string,
  start: () => Promise<RunningBroker>,
  defaults: ClientOptions = {},
): void {
  describe(title, () => {
    let broker: RunningBroker | null = null;
    before(async () => {
      broker = await start();
    });
    after(() => broker?.close());
    const uri = (): string => {
      assert(broker !== null, 'the broker runs');
      return `${broker.scheme ?? 'mqtt'}://127.0.0.1:${broker.port}`;
    };
    /** A connected client that ends with the test. */
    const connected = async (t: TestContext, options: ClientOptions = {}): Promise<Client> => {
      const client = await connect(uri(), { clientId: unique('client'), ...defaults, ...options });
      t.after(() => client.disconnect({ drain: false }));
      return client;
    };
    const proxied = async (t: TestContext): Promise<CuttingProxy> => {
      assert(broker !== null, 'the broker runs');
      const proxy = await CuttingProxy.start(broker.port, broker.scheme);
      t.after(() => proxy.stop());
      return proxy;
    };
    messagesTests(connected);
    subscriptionTests(connected);
    sessionTests(uri, { tls: defaults.tls }, connected, proxied);
  });
}

type Connected = (t: TestContext, options?: ClientOptions) => Promise<Client>;

/** Collects what a filter brings. */
async function collect(client: Client, filter: string, qos: QoS): Promise<Message[]> {
  const messages: Message[] = [];
  const handler = (message: Message): void => void messages.push(message);
  const granted = await client.subscribe(filter, handler, { qos });
  assert.deepEqual(granted, [{ filter, qos }]);
  return messages;
}

const texts = (messages: readonly Message[]): string[] =>
  messages.map(({ payload }) => `${payload}`);

const numbers = (length: number): string[] => Array.from({ length }, (_, i) => `${i}`);

function messagesTests(connected: Connected): void {
  for (const protocolVersion of [4, 3] as const) {
    test(`version ${protocolVersion}: every QoS there and back, ping, disconnect`, async (t) => {
      const client = await connected(t, { protocolVersion });
      const topic = unique('round-trip/größe');
      const messages = await collect(client, topic, 2);
      for (const qos of [0, 1, 2] as const) {
        await client.publish(topic, `payload ${qos} 😀`, { qos });
      }
      await client.ping();
      await eventually(() => messages.length === 3, 'three messages');
      assert.deepEqual(
        messages.map(({ topic, payload, qos }) => [topic, `${payload}`, qos]),
        [0, 1, 2].map((qos) => [topic, `payload ${qos} 😀`, qos]),
      );
      await client.disconnect();
      assert.equal(client.state, 'closed');
    });
  }

  test('payloads of every length arrive byte for byte', async (t) => {
    const client = await connected(t);
    const topic = unique('length');
    const messages = await collect(client, topic, 1);
    const lengths = [0, 1, 100, 127, 128, 129, 16_383, 16_384, 70_000, 500_000];
    const payloads = lengths.map((length) => Buffer.alloc(length, `${length} bytes `));
    await Promise.all(payloads.map((payload) => client.publish(topic, payload, { qos: 1 })));
    await eventually(() => messages.length === lengths.length, 'all of them');
    for (let i = 0; i < lengths.length; i++) {
      assert(messages[i].payload.equals(payloads[i]), `${lengths[i]} bytes`);
    }
  });

  test('10,000 QoS 0 messages arrive in order', async (t) => {
    const [publisher, subscriber] = [await connected(t), await connected(t)];
    const topic = unique('many');
    const messages = await collect(subscriber, topic, 0);
    for (const number of numbers(10_000)) await publisher.publish(topic, number);
    await eventually(() => messages.length >= 10_000, 'all of them');
    assert.deepEqual(texts(messages), numbers(10_000));
  });

  test('messages of all QoS mixed arrive once each, in order within their QoS', async (t) => {
    const [publisher, subscriber] = [await connected(t), await connected(t)];
    const topic = unique('mixed');
    const messages = await collect(subscriber, topic, 2);
    const all = numbers(600);
    await Promise.all(
      all.map((text) => publisher.publish(topic, text, { qos: (Number(text) % 3) as QoS })),
    );
    await eventually(() => messages.length >= all.length, 'all of them');
    for (const qos of [0, 1, 2]) {
      const received = texts(messages.filter((message) => message.qos === qos));
      assert.deepEqual(
        received,
        all.filter((text) => Number(text) % 3 === qos),
      );
    }
  });

  test('a loop over a filter gets everything through a queue of ten', async (t) => {
    const [publisher, subscriber] = [await connected(t), await connected(t)];
    const topic = unique('loop');
    const stream = subscriber.messages(`${topic}/#`, { qos: 1, highWaterMark: 10 });
    await stream.ready;
    const published = Promise.all(
      numbers(500).map((text) => publisher.publish(`${topic}/x`, text, { qos: 1 })),
    );
    const received: string[] = [];
    for await (const { payload } of stream) {
      received.push(`${payload}`);
      // Publishing on the same connection works though reading stops all the time.
      if (received.length % 100 === 0)
        await subscriber.publish(`${topic}-copy`, payload, { qos: 1 });
      if (received.length === 500) break;
    }
    await published;
    assert.deepEqual(received, numbers(500));
    assert.equal(subscriber.droppedMessages, 0);
  });
}

function subscriptionTests(connected: Connected): void {
  test('overlapping filters: each handler gets a message once', async (t) => {
    const client = await connected(t);
    const topic = unique('overlap');
    const seen: string[] = [];
    const handler = (name: string) => (message: Message) => {
      seen.push(`${name} ${message.payload}`);
    };
    for (const [name, filter] of [
      ['all', `${topic}/#`],
      ['plus', `${topic}/+`],
      ['exact', `${topic}/a`],
    ]) {
      await client.subscribe(filter, handler(name), { qos: 1 });
    }
    await client.publish(topic, '1', { qos: 1 });
    await client.publish(`${topic}/a`, '2', { qos: 1 });
    await client.publish(`${topic}/a/b`, '3', { qos: 1 });
    await eventually(() => seen.includes('all 3'), 'the last one');
    // A broker may send one copy for each filter; then each copy goes to every handler.
    assert.deepEqual([...new Set(seen)].sort(), ['all 1', 'all 2', 'all 3', 'exact 2', 'plus 2']);
  });

  test('unsubscribe ends it', async (t) => {
    const client = await connected(t);
    const topic = unique('unsubscribe');
    const ended = await collect(client, `${topic}/a`, 0);
    const goesOn = await collect(client, `${topic}/b`, 0);
    await client.unsubscribe(`${topic}/a`);
    const events: string[] = [];
    client.on('message', (message) => events.push(message.topic));
    await client.publish(`${topic}/a`, 'x');
    await client.publish(`${topic}/b`, 'x');
    await eventually(() => goesOn.length > 0, 'the other message');
    assert.equal(ended.length, 0);
    assert.deepEqual(events, [`${topic}/b`]);
  });

  test('retained: kept, replaced, cleared', async (t) => {
    const client = await connected(t);
    const topic = unique('retained');
    await client.publish(topic, 'one', { qos: 1, retain: true });
    await client.publish(topic, 'two', { qos: 1, retain: true });
    const messages = await collect(client, topic, 1);
    await eventually(() => messages.length === 1, 'the retained message');
    assert.deepEqual([`${messages[0].payload}`, messages[0].retain], ['two', true]);
    await client.publish(topic, 'three', { qos: 1, retain: true });
    await eventually(() => messages.length === 2, 'the live message');
    assert.equal(messages[1].retain, false);
    await client.publish(topic, '', { qos: 1, retain: true });
    const other = await connected(t);
    const later = await collect(other, topic, 1);
    await other.publish(topic, 'live', { qos: 1 });
    await eventually(() => later.length > 0, 'a message');
    assert.deepEqual(texts(later), ['live']);
  });

  test('a hundred filters in one SUBSCRIBE', async (t) => {
    const client = await connected(t);
    const topic = unique('filters');
    const filters = numbers(100).map((n) => `${topic}/${n}/+`);
    const seen: string[] = [];
    const granted = await client.subscribe(filters, ({ topic }) => void seen.push(topic), {
      qos: 2,
    });
    assert.deepEqual(
      granted,
      filters.map((filter) => ({ filter, qos: 2 })),
    );
    await Promise.all(numbers(100).map((n) => client.publish(`${topic}/${n}/x`, '', { qos: 1 })));
    await eventually(() => seen.length === 100, 'a message for each');
  });
}

/** @param secured options without which there is no connection. */
function sessionTests(
  uri: () => string,
  secured: ClientOptions,
  connected: Connected,
  proxied: (t: TestContext) => Promise<CuttingProxy>,
): void {
  test('the will is published when the connection is cut, and not on disconnect', async (t) => {
    const proxy = await proxied(t);
    const watcher = await connected(t);
    const topic = unique('will');
    const wills = await collect(watcher, `${topic}/#`, 2);
    const will = (name: string): ClientOptions => ({
      will: { topic: `${topic}/${name}`, payload: name, qos: 2 },
    });
    const quiet = await connect(uri(), { ...secured, ...will('quiet'), clientId: unique('quiet') });
    await quiet.disconnect();
    const options = { ...secured, ...will('cut'), clientId: unique('cut'), reconnect: false };
    const cut = await connect(proxy.uri, options);
    proxy.cut();
    await eventually(() => wills.length > 0, 'the will');
    assert.deepEqual(texts(wills), ['cut']);
    await assert.rejects(cut.publish(topic, 'x'), ConnectionLostError);
  });

  test('a kept session: messages of the time away come when the client returns', async (t) => {
    const topic = unique('away');
    const options = { ...secured, clientId: unique('kept'), cleanSession: false };
    const first = await connected(t, options);
    assert.equal(first.sessionPresent, false);
    await collect(first, topic, 1);
    await first.disconnect();
    const publisher = await connected(t);
    for (const text of numbers(20)) await publisher.publish(topic, text, { qos: 1 });
    const client = new Client(uri(), options);
    t.after(() => client.disconnect({ drain: false }));
    const received: string[] = [];
    client.on('message', ({ payload }) => received.push(`${payload}`));
    await client.connect();
    assert.equal(client.sessionPresent, true);
    await eventually(() => received.length >= 20, 'the messages of the time away');
    assert.deepEqual(received, numbers(20));
    // A clean connection takes the session away again.
    await client.disconnect();
    const clean = await connected(t, { clientId: options.clientId });
    assert.equal(clean.sessionPresent, false);
  });

  test('messages of a kept session wait for a handler made after connect()', async (t) => {
    const topic = unique('late');
    const options = { ...secured, clientId: unique('late'), cleanSession: false };
    const first = await connected(t, options);
    await first.subscribe([`${topic}/a`, `${topic}/b`], () => {}, { qos: 1 });
    await first.disconnect();
    const publisher = await connected(t);
    for (const text of numbers(20)) {
      await publisher.publish(`${topic}/${Number(text) % 2 === 0 ? 'a' : 'b'}`, text, { qos: 1 });
    }
    const client = await connected(t, options);
    await client.ping();
    // One after the other, with a turn of the event loop in between.
    const a = await collect(client, `${topic}/a`, 1);
    const b = await collect(client, `${topic}/b`, 1);
    await eventually(() => a.length + b.length >= 20, 'the messages of the time away');
    assert.deepEqual(
      [texts(a), texts(b)],
      [0, 1].map((rest) => numbers(20).filter((text) => Number(text) % 2 === rest)),
    );
    await client.disconnect();
    await connected(t, { clientId: options.clientId });
  });

  test('connections cut in mid-flight: QoS 1 at least, QoS 2 exactly once', async (t) => {
    const proxy = await proxied(t);
    const kept = (name: string): ClientOptions => ({
      ...secured,
      clientId: unique(name),
      cleanSession: false,
      reconnect: { minDelay: '5ms', maxDelay: '50ms' },
    });
    const topic = unique('cut');
    const subscriber = await connect(proxy.uri, kept('subscriber'));
    const publisher = await connect(proxy.uri, kept('publisher'));
    t.after(() => Promise.all([subscriber, publisher].map((c) => c.disconnect({ drain: false }))));
    const messages = await collect(subscriber, topic, 2);
    const all = numbers(400);
    let settled = 0;
    const calls = all.map(async (text) => {
      await publisher.publish(topic, text, { qos: Number(text) % 2 === 0 ? 1 : 2 });
      // Both connections are cut, with messages and acks on their way.
      if (++settled % 80 === 0) proxy.cut();
    });
    await within(Promise.all(calls), 'all acks', 30_000);
    const distinct = (): number => new Set(texts(messages)).size;
    await eventually(() => distinct() === all.length, 'all messages');
    const exactlyOnce = texts(messages.filter(({ qos }) => qos === 2));
    assert.deepEqual(
      exactlyOnce,
      all.filter((text) => Number(text) % 2 === 1),
    );
    // The first of each is in order, and may have DUP: its first delivery was cut off. (Without
    // those the order is another: a publication repeated by its publisher is a new one, without.)
    const atLeastOnce = new Set(texts(messages.filter(({ qos }) => qos === 1)));
    assert.deepEqual(
      [...atLeastOnce],
      all.filter((text) => Number(text) % 2 === 0),
    );
  });

  test('subscriptions of a clean session are made again after a cut', async (t) => {
    const proxy = await proxied(t);
    const options = { ...secured, clientId: unique('clean'), reconnect: { minDelay: '5ms' } };
    const client = await connect(proxy.uri, options);
    t.after(() => client.disconnect({ drain: false }));
    const topic = unique('again');
    const messages = await collect(client, topic, 1);
    const back = new Promise((resolve) => client.once('connect', resolve));
    proxy.cut();
    await within(back, 'the next connection');
    // Behind the SUBSCRIBE on the same connection, so it is not missed.
    await client.publish(topic, 'after', { qos: 1 });
    await eventually(() => messages.length > 0, 'the message');
    assert.deepEqual(texts(messages), ['after']);
  });

  test('a second connection with the same client id takes the session over', async (t) => {
    const options = { ...secured, clientId: unique('twin'), reconnect: false };
    const first = await connected(t, options);
    const lost = new Promise<Error | null>((resolve) => {
      first.once('disconnect', ({ error }) => resolve(error));
    });
    const second = await connected(t, options);
    assert((await within(lost, 'the end of the first')) instanceof ConnectionLostError);
    await second.ping();
    await assert.rejects(first.publish('x', 'y'), ConnectionLostError);
  });

  test('disconnect() waits for what was published', async (t) => {
    const topic = unique('drain');
    const watcher = await connected(t);
    const messages = await collect(watcher, topic, 2);
    const client = await connected(t);
    const calls = numbers(100).map((text) => client.publish(topic, text, { qos: 2 }));
    await client.disconnect();
    await Promise.all(calls);
    await eventually(() => messages.length === 100, 'all of them');
    await assert.rejects(client.publish(topic, 'x'), ClosedError);
  });
}
