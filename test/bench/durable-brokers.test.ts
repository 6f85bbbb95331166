/** `durable` with the brokers that it starts: what they have on disk, and what they forget. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DURABLE_PEERS, NAMED_PEERS, OURS, type Peer } from '../../bench/support/peers.js';
import type { Cell } from '../../bench/support/results.js';
import { LOSING, runTinyWith } from './tiny.js';

const TINY = { scale: '1', clients: '3', messages: '100', warmup: '10ms' } as const;

function measure({ variation, rounds: [{ measures }] }: Cell, name: string): number {
  const found = measures.find((one) => one.name === name);
  assert.ok(found !== undefined, `${variation} has no ${name}`);
  return found.value;
}

test('durable measures brokers of its own in the place of ours', async () => {
  const { peers, cells } = await runTinyWith(['durable'], [OURS], { ...TINY, rows: 'clean' });
  const names = ['surgemq', 'surgemq-mem', 'mosquitto-autosave'];
  assert.deepEqual(
    peers.map(({ name }) => name),
    names,
  );
  assert.deepEqual(
    cells.map(({ peer }) => peer),
    [...names, ...names],
  );
});

test('durable says how much disk a queued message takes, and how long a start', async () => {
  const flags = { ...TINY, rows: 'fan-out,start' };
  const { cells } = await runTinyWith(['durable'], DURABLE_PEERS, flags);
  assert.equal(cells.length, 2 * DURABLE_PEERS.length);
  for (const cell of cells) {
    assert.deepEqual(cell.rounds[0].faults, [], `${cell.variation} ${cell.peer}`);
    if (cell.variation === 'row=fan-out') {
      // 1,000 references are so little that free pages of the file may take them.
      assert.ok(measure(cell, 'disk a reference') >= 0, cell.peer);
      continue;
    }
    for (const name of ['start', 'start when killed', 'on disk']) {
      assert.ok(measure(cell, name) > 0, `${cell.peer} ${name}`);
    }
  }
});

// Mosquitto with a million retained messages and 100,000 sessions may take minutes to load them.
test('a broker that does not come back costs the run its own figures alone', async () => {
  const once: Peer = {
    ...OURS,
    name: 'once',
    how: {
      ...OURS.how,
      command(place) {
        const mark = join(place.folder, 'was-there');
        const { command } = OURS.how;
        return [
          'sh',
          '-c',
          `test ! -e ${mark} && touch ${mark} && exec "$@"`,
          'sh',
          ...command(place),
        ];
      },
    },
  };
  const flags = { ...TINY, rows: 'start' };
  const { cells } = await runTinyWith(['durable'], [once, DURABLE_PEERS[0]], flags);
  assert.deepEqual(cells[0].rounds[0].warnings, [
    'it did not come back after it was ended: the rest is not measured',
  ]);
  assert.ok(measure(cells[0], 'on disk') > 0);
  assert.ok(measure(cells[1], 'start') > 0);
});

test('what a broker has forgotten after a restart fails the run', async () => {
  const flags = { ...TINY, rows: 'start', ...LOSING };
  const { cells } = await runTinyWith(['durable'], [NAMED_PEERS.get('surgemq-mem')!], flags);
  const lost = cells[0].rounds[0].faults.reduce((sum, fault) => sum + fault.lost, 0);
  // A message for each of 1,000 sessions, and 10,000 retained ones in equal parts of three.
  assert.equal(lost, 1_000 + 3 * 3_334);
});
