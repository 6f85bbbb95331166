/** Every suite at a tiny size against the broker, so that none rots. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Cell } from '../../bench/support/results.js';
import { SUITES } from '../../bench/system/suites.js';
import { type Broker, startBroker } from '../support/broker.js';
import { runTiny } from './tiny.js';

let broker: Broker;
before(async () => {
  broker = await startBroker({ workers: 2 });
});
after(() => broker.close());

/** A measure of a cell's only round. */
function measure(cell: Cell, name: string): number {
  const found = cell.rounds[0].measures.find((one) => one.name === name);
  assert.ok(found !== undefined, `${cell.pattern} has no ${name}`);
  return found.value;
}

/** Percentiles of so many latencies, shown with the other measures. */
function assertLatencies(cell: Cell, count: number): void {
  assert.equal(cell.rounds[0].latency?.count, count);
  const [p50, p99, max] = ['p50', 'p99', 'max'].map((name) => measure(cell, name));
  assert.ok(p50 >= 1_000 && p50 <= p99 && p99 <= max, `${p50}, ${p99}, ${max}`);
}

async function runOne(pattern: string, flags: Record<string, string> = {}): Promise<Cell> {
  const [cell] = await runTiny([pattern], broker.port, flags);
  assert.deepEqual(cell.rounds[0].faults, []);
  return cell;
}

/** Deliveries for each publish with four clients, and the QoS levels that are run. */
const PATTERNS = {
  one: { fan: 1, qosLevels: ['0', '1', '2'] },
  'fan-in': { fan: 1, qosLevels: ['0', '1'] },
  'fan-out': { fan: 4, qosLevels: ['0', '2'] },
  mesh: { fan: 4, qosLevels: ['0', '1'] },
  pairs: { fan: 1, qosLevels: ['0'] },
} as const;

for (const [pattern, { fan, qosLevels }] of Object.entries(PATTERNS)) {
  for (const qos of qosLevels) {
    test(`${pattern} delivers every message once and in order at QoS ${qos}`, async () => {
      const cell = await runOne(pattern, { clients: '4', qos, window: '50' });
      const ratio = measure(cell, 'deliveries/s') / measure(cell, 'publishes/s');
      assert.equal(Math.round(ratio * 1_000), fan * 1_000);
      assert.ok(measure(cell, 'broker CPU a delivery') >= 0);
      assert.ok(measure(cell, 'peak memory') > 0);
      assert.ok(measure(cell, 'p50') > 0 && measure(cell, 'p99') <= measure(cell, 'max'));
    });
  }
}

test('topics in rotation, own topics and one message a write are delivered too', async () => {
  await runOne('fan-in', { clients: '3', 'topic-count': '50' });
  await runOne('fan-in', { clients: '3', 'topic-count': '0', topics: 'own' });
  await runOne('mesh', { clients: '3', topics: 'own', batch: '1', 'load-threads': '2' });
  await runOne('fan-out', { clients: '3', payload: '16KiB', messages: '50' });
});

test('paced sends at its rate and gives latencies', async () => {
  const flags = { clients: '10', rate: '1000', messages: '0', duration: '300ms' };
  const cell = await runOne('paced', flags);
  const [{ latency }] = cell.rounds;
  assert.ok(latency !== null);
  assert.equal(latency.count, 300);
  assert.ok(latency.p50 > 0 && latency.p50 <= latency.p99 && latency.p99 <= latency.max);
});

test('connect gives connections a second, and how long each took', async () => {
  const cell = await runOne('connect', { clients: '150' });
  assert.ok(measure(cell, 'connections/s') > 0);
  assertLatencies(cell, 150);
});

// Through Node's sockets, as where the C library cannot be called.
test('connect does so to a host that goes by its name', async () => {
  const [cell] = await runTiny(['connect'], broker.port, { clients: '70' }, 'localhost');
  assertLatencies(cell, 70);
});

test('subscribe gives filters a second, their latency, and what publishing costs', async () => {
  const cell = await runOne('subscribe', { count: '500', 'topic-count': '100' });
  assert.ok(measure(cell, 'filters/s') > 0);
  assert.ok(measure(cell, 'deliveries/s with all') > 0);
  // 50 filters of each of 10 clients: one SUBSCRIBE each.
  assertLatencies(cell, 10);
});

test('retained replays every message to every new subscriber, and takes the time', async () => {
  const cell = await runOne('retained', { count: '400', clients: '3', host: '127.0.0.1' });
  assert.ok(measure(cell, 'deliveries/s') > 0);
  // Of the first message of each, and of every 32nd from there on.
  assertLatencies(cell, 3 * 13);
});

test('retained takes its messages away again from a broker that was running', async () => {
  const client = await broker.client();
  await client.subscribe(['bench/#', 0]);
  await client.publish('bench/last', 'seen');
  const message = await client.nextMessage();
  assert.equal(message.topic, 'bench/last');
});

test('mixed goes through with slow readers and clients that come and go', async () => {
  const flags = { clients: '12', rate: '400', messages: '0', duration: '450ms' };
  const cell = await runOne('mixed', flags);
  assert.ok(measure(cell, 'memory at the end') > 0);
  assert.ok(cell.rounds[0].latency !== null);
});

test('conn-tcp-10k connects at its rate', async () => {
  const cell = await runOne('conn-tcp-10k', { clients: '60' });
  // 60 a second where there are fewer than a second's worth: the last is begun after 59 / 60 s.
  assert.ok(measure(cell, 'connections/s') < 62);
  assertLatencies(cell, 60);
  const [named] = await runTiny(['conn-tcp-10k'], broker.port, { clients: '40' }, 'localhost');
  assert.ok(measure(named, 'connections/s') < 42);
  assertLatencies(named, 40);
});

for (const [scenario, fan] of [
  ['p2p-1K', 1],
  ['fanout-1-1k', 20],
] as const) {
  test(`${scenario} sends a message a second of each publisher, and loses none`, async () => {
    const flags = { clients: '20', messages: '2', warmup: '0' };
    const cell = await runOne(scenario, flags);
    const publishers = scenario === 'p2p-1K' ? 20 : 1;
    assert.equal(measure(cell, 'lost'), 0);
    assertLatencies(cell, 2 * publishers * fan);
    assert.ok(measure(cell, 'publishes/s') < 2.5 * publishers);
  });
}

test('every suite has been run here, or in a file of its own', () => {
  const scenarios = ['conn-tcp-10k', 'p2p-1K', 'fanout-1-1k', 'sharedsub-1K-5'];
  const others = [
    'paced',
    'connect',
    'subscribe',
    'retained',
    'mixed',
    'fair',
    'durable',
    ...scenarios,
  ];
  assert.deepEqual([...SUITES.keys()].sort(), [...Object.keys(PATTERNS), ...others].sort());
});
