/** `durable` at a tiny size: its rows measure what they say, and what is lost fails the run. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Cell } from '../../bench/support/results.js';
import { type Broker, startBroker } from '../support/broker.js';
import { eventually } from '../support/waiting.js';
import { runTiny } from './tiny.js';

const TINY = { scale: '1', clients: '3', messages: '100', warmup: '10ms' } as const;

let broker: Broker;
before(async () => {
  broker = await startBroker({ workers: 2 });
});
after(() => broker.close());

function measure({ variation, rounds: [{ measures }] }: Cell, name: string): number {
  const found = measures.find((one) => one.name === name);
  assert.ok(found !== undefined, `${variation} has no ${name}`);
  return found.value;
}

/** What each row has to show of a broker that runs already. */
const MEASURES: Readonly<Record<string, readonly string[]>> = {
  'row=absent': ['acknowledged/s', 'replayed/s', 'fdatasync'],
  'row=connected': ['deliveries/s', 'publishes/s', 'fdatasync'],
  'row=round-trip': ['p50', 'p99', 'fdatasync', 'p50 in fdatasyncs'],
  'row=fan-out': ['queued/s', 'replayed/s'],
  'row=clean qos=0': ['deliveries/s'],
  'row=clean qos=1': ['deliveries/s'],
  'row=backlog': ['acknowledged/s', 'replayed/s', 'fdatasync'],
  'row=retained': ['set/s', 'replayed/s'],
};

async function runRows(flags: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const all = { ...TINY, count: '20000', host: '127.0.0.1', ...flags };
  const cells = await runTiny(['durable'], broker.port, all);
  for (const cell of cells) {
    assert.deepEqual(cell.rounds[0].faults, [], cell.variation);
    for (const name of MEASURES[cell.variation]) assert.ok(measure(cell, name) > 0, name);
  }
  return cells.map(({ variation }) => variation);
}

test('durable shows every row, and loses nothing', async () => {
  assert.deepEqual(await runRows({}), Object.keys(MEASURES));
});

test('durable keeps sessions of MQTT 5.0 too', async () => {
  const rows = ['absent', 'connected', 'round-trip', 'fan-out', 'retained'];
  const labels = await runRows({ protocol: '5', rows: rows.join() });
  assert.equal(labels.length, rows.length);
});

test('durable leaves neither sessions nor retained messages with a broker that runs', async () => {
  await eventually(() => broker.server.stats().sessions === 0, 'the last session to be gone');
  assert.equal(broker.server.stats().retainedMessages, 0);
});

test('an unknown row is refused with the names of those that there are', async () => {
  await assert.rejects(runTiny(['durable'], broker.port, { rows: 'absnt' }), /absent, connected/);
});
