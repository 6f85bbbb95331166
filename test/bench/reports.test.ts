import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shown } from '../../bench/support/format.js';
import { parsePeer, parsePeerCommand } from '../../bench/support/peers.js';
import { cpuNs, peakBytes, processTree, residentBytes } from '../../bench/support/proc.js';
import { allCharts } from '../../bench/support/report-charts.js';
import { reportHtml } from '../../bench/support/report-html.js';
import { reportText } from '../../bench/support/report-text.js';
import {
  type Cell,
  machine,
  median,
  type Results,
  type Round,
} from '../../bench/support/results.js';
import { loadBenchSettings } from '../../bench/support/settings.js';
import { compareCells, isSlower } from '../../bench/support/slowdowns.js';

function roundOf(deliveries: number, cpu: number, p99 = 0): Round {
  const latency = {
    count: 100,
    p50: p99 / 2,
    p99,
    p999: p99 * 2,
    max: p99 * 3,
    distribution: [
      [50, p99 / 2],
      [99, p99],
      [100, p99 * 3],
    ] as const,
  };
  return {
    measures: [
      { name: 'deliveries/s', unit: 'perSecond', value: deliveries },
      { name: 'broker CPU a delivery', unit: 'nanoseconds', value: cpu },
    ],
    latency: p99 === 0 ? null : latency,
    isPaced: p99 !== 0,
    faults: [],
    warnings: [],
  };
}

function resultsOf(cells: readonly Cell[]): Results {
  return {
    version: 1,
    date: '2026-01-02T03:04:05Z',
    command: 'surgemq bench <one>',
    commit: 'abc1234',
    machine: machine(),
    settings: loadBenchSettings({}, {}).settings,
    peers: [
      { name: 'base', settings: 'defaults' },
      { name: 'head', settings: 'others' },
    ],
    cells,
  };
}

const CELLS: readonly Cell[] = [
  { pattern: 'one', peer: 'base', variation: '', rounds: [roundOf(1e6, 100), roundOf(3e6, 120)] },
  { pattern: 'one', peer: 'head', variation: '', rounds: [roundOf(4e6, 121), roundOf(4e6, 123)] },
];

test('numbers are shown with three digits and a unit', () => {
  assert.equal(shown(12_345_678, 'perSecond'), '12.3 M/s');
  assert.equal(shown(88.04, 'nanoseconds'), '88.0 ns');
  assert.equal(shown(1_500, 'nanoseconds'), '1.50 µs');
  assert.equal(shown(6 * 1_024, 'bytes'), '6.00 KiB');
  assert.equal(shown(0.413, 'share'), '41.3 %');
  assert.equal(shown(0, 'perSecond'), '0 /s');
});

test('a median of an even number of values is the mean of the two in the middle', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

test('the text has the medians and what they are of the first broker', () => {
  const text = reportText(resultsOf(CELLS));
  assert.match(text, /^one +base +2\.00 M\/s +110 ns$/m);
  assert.match(text, /^one +head \/ base +x 2\.00 +x 1\.11$/m);
});

test('a page escapes what it is given', () => {
  const page = reportHtml(resultsOf(CELLS));
  assert.match(page, /surgemq bench &lt;one>/);
});

test('charts are drawn for what there are values for', () => {
  const titles = (cells: readonly Cell[]): string[] =>
    allCharts(resultsOf(cells)).map((chart) => /aria-label="([^"]+)"/.exec(chart)?.[1] ?? '');
  assert.deepEqual(titles(CELLS), ['Deliveries a second', 'Broker CPU time a delivery']);
  const swept = ['workers=1', 'workers=2'].map((variation) => ({ ...CELLS[0], variation }));
  assert.ok(titles(swept).includes('Deliveries a second by workers'));
  const paced = [{ ...CELLS[0], pattern: 'paced', rounds: [roundOf(100, 1, 2e6)] }];
  assert.deepEqual(titles(paced), [
    'Broker CPU time a delivery',
    'Latency: part of the messages',
    'Latency by percentile',
  ]);
  for (const chart of allCharts(resultsOf([...CELLS, ...swept, ...paced]))) {
    assert.doesNotMatch(chart, /NaN|Infinity|undefined/);
  }
});

test('two commits are compared by the CPU time a delivery takes', () => {
  const comparisons = compareCells([resultsOf(CELLS)], 'base', 'head');
  assert.equal(comparisons.length, 1);
  assert.equal(comparisons[0].ratio.toFixed(3), '1.109');
  assert.match(
    comparisons[0].text,
    /^one: .* from 110 ns to 122 ns \(x 1\.11; 1\.11 to 1\.11 in 1 starts, rounds apart\)$/,
  );
});

test('a commit is slower when every start of both says so, and the spread is shown', () => {
  const start = (cpu: number): Results =>
    resultsOf([
      { pattern: 'one', variation: '', peer: 'base', rounds: [roundOf(1, 100)] },
      { pattern: 'one', variation: '', peer: 'head', rounds: [roundOf(1, cpu)] },
    ]);
  const [unlucky] = compareCells([start(130), start(99), start(125)], 'base', 'head');
  assert.equal(isSlower(unlucky, 1.1), false);
  assert.match(unlucky.text, /x 1\.25; 0\.99 to 1\.30 in 3 starts/);
  const [slower] = compareCells([start(130), start(111), start(125)], 'base', 'head');
  assert.equal(isSlower(slower, 1.1), true);
});

test('a commit is not slower whose rounds are as far apart as it is from the base', () => {
  const start = (base: readonly number[], head: readonly number[]): Results => {
    const rounds = (cpus: readonly number[]): Round[] => cpus.map((cpu) => roundOf(1, cpu));
    return resultsOf([
      { pattern: 'one', variation: '', peer: 'base', rounds: rounds(base) },
      { pattern: 'one', variation: '', peer: 'head', rounds: rounds(head) },
    ]);
  };
  const apart = start([100, 105, 110], [111, 125, 130]);
  const overlapping = start([100, 105, 130], [129, 125, 130]);
  const [slower] = compareCells([apart, apart], 'base', 'head');
  assert.equal(isSlower(slower, 1.1), true);
  const [unsure] = compareCells([apart, overlapping], 'base', 'head');
  assert.ok(unsure.ratioLeast > 1.1);
  assert.equal(isSlower(unsure, 1.1), false);
  assert.match(unsure.text, /in 2 starts, rounds overlap\)$/);
});

test('peers go by name, by address and by command', () => {
  assert.equal(parsePeer('mosquitto')?.kind, 'started');
  const PLACE = { port: 1, workers: 2, folder: '/nowhere', transport: 'tcp' } as const;
  const running = parsePeer('mqtt://127.0.0.1:1884?pid=12');
  assert.deepEqual(running?.kind === 'running' && [running.host, running.port, running.pid], [
    '127.0.0.1',
    1_884,
    12,
  ]);
  assert.equal(parsePeer('http://127.0.0.1'), undefined);
  const command = parsePeerCommand('mine=run --port $PORT');
  assert.deepEqual(command?.kind === 'started' && command.how.command(PLACE), [
    'sh',
    '-c',
    'run --port $PORT',
  ]);
  assert.equal(parsePeerCommand('mine='), undefined);
});

test('CPU time and memory of this process can be read, and it is in its own tree', () => {
  const tree = processTree(process.pid);
  assert.equal(tree[0], process.pid);
  assert.ok(processTree(process.ppid).includes(process.pid));
  const { user, system } = process.cpuUsage();
  const difference = cpuNs([process.pid]) - (user + system) * 1_000;
  assert.ok(Math.abs(difference) < 200e6, String(difference));
  assert.ok(residentBytes([process.pid]) > 10e6);
  assert.ok(peakBytes([process.pid]) >= residentBytes([process.pid]) * 0.9);
});
