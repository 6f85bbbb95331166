/** `fair`: that its floods are what they say, and that what it shows beside them is measured. */
import assert from 'node:assert/strict';
import { constants, getPriority } from 'node:os';
import { after, before, test } from 'node:test';
import { FloodProcess } from '../../bench/support/flood-process.js';
import { FLOODS } from '../../bench/support/floods.js';
import type { Cell } from '../../bench/support/results.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { runTiny } from './tiny.js';

let broker: Broker;
before(async () => {
  broker = await startBroker({ workers: 2 });
});
after(() => broker.close());

/** Answer bytes of each packet type that the floods send; 0 where there is no answer. */
const ANSWER_BYTES: Readonly<Record<number, number>> = { 4: 0, 6: 4, 8: 5, 10: 4, 12: 2 };

function answerTo(firstByte: number): number {
  if (firstByte >> 4 === 3) return (firstByte & 6) === 0 ? 0 : 4;
  return ANSWER_BYTES[firstByte >> 4];
}

for (const flood of FLOODS.values()) {
  test(`a chunk of the flood ${flood.name} is whole packets, counted with their answers`, () => {
    const { bytes, packets, answerBytes, refresh } = flood.chunk(1);
    for (let time = 0; time < 2; time++) {
      let [at, count, answers] = [0, 0, 0];
      while (at < bytes.length) {
        let [length, digit] = [0, at + 1];
        do length += (bytes[digit] & 0x7f) * 128 ** (digit - at - 1);
        while (bytes[digit++] >= 0x80);
        answers += answerTo(bytes[at]);
        at = digit + length;
        count++;
      }
      assert.deepEqual([at, count, answers], [bytes.length, packets, answerBytes]);
      refresh?.();
    }
  });
}

test('match holds 65,536 filters, all different, and no topic comes twice', () => {
  const { heldFilters, chunk } = FLOODS.get('match')!;
  const filters = [...heldFilters!()].flat();
  assert.equal(new Set(filters).size, 65_536);
  const { bytes, refresh } = chunk(0);
  const first = Buffer.from(bytes);
  refresh!();
  assert.notDeepEqual(first, bytes);
});

/** A flood of two clients, until some of it is through. */
async function floodOnce(flood: string, transport: 'tcp' | 'ws', port: number): Promise<void> {
  const process = new FloodProcess();
  try {
    const at = { host: broker.host, port, transport };
    await process.command({ type: 'open', flood, ...at, clients: 2, clientId: unique(flood) });
    await process.command({ type: 'start' });
    let count = await process.command({ type: 'count' });
    const isThrough = async (): Promise<boolean> => {
      count = await process.command({ type: 'count' });
      return count.packets > 0 && count.bytesRead > 0;
    };
    while (!(await isThrough())) assert.equal(count.why, null, flood);
  } finally {
    await process.close();
  }
}

test('every flood gets through to the broker, and counts what did', async () => {
  for (const flood of FLOODS.keys()) {
    // Its one read would keep the broker of this process busy for long.
    if (flood !== 'match') await floodOnce(flood, 'tcp', broker.port);
  }
});

test('floods get through by WebSocket, too, those that change what they send as well', async () => {
  await broker.server.listenAndServe('ws://127.0.0.1:0');
  const { port } = broker.server.addresses.at(-1)!;
  for (const flood of ['qos1', 'topics']) await floodOnce(flood, 'ws', port);
});

test('a flood is a session of its own, and gives way to others', async () => {
  const flood = new FloodProcess();
  try {
    // It answers when it has begun.
    await flood.command({ type: 'count' });
    assert.ok(process.kill(-flood.pid, 0), 'it leads a group of processes');
    assert.equal(getPriority(flood.pid), constants.priority.PRIORITY_BELOW_NORMAL);
  } finally {
    await flood.close();
  }
});

function measure({ variation, rounds: [{ measures }] }: Cell, name: string): number {
  const found = measures.find((one) => one.name === name);
  assert.ok(found !== undefined, `${variation} has no ${name}`);
  return found.value;
}

test('fair shows the latency of the pair and the rate of the flood for each flood', async () => {
  const floods = 'none,qos0,pingreq';
  const cells = await runTiny(['fair'], broker.port, { floods, clients: '2', host: '127.0.0.1' });
  assert.deepEqual(
    cells.map(({ variation }) => variation),
    floods.split(',').map((name) => `flood=${name}`),
  );
  for (const cell of cells) {
    const [{ faults, warnings, latency }] = cell.rounds;
    assert.deepEqual([faults, warnings], [[], []], cell.variation);
    // 100 a second for 100 ms.
    assert.equal(latency?.count, 10);
    assert.ok(measure(cell, 'p50') > 0 && measure(cell, 'p50') <= measure(cell, 'max'));
    // A busy machine may give the flood no turn in so short a time.
    assert.ok(measure(cell, 'flood packets/s') >= 0 && measure(cell, 'flood bytes/s') >= 0);
  }
});

test('an unknown flood is refused with the names of those that there are', async () => {
  await assert.rejects(runTiny(['fair'], broker.port, { floods: 'qos3' }), /none, qos0, qos0-3/);
});
