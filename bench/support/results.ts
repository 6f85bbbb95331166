/**
 * What a run of the benchmark suites came to: plain data, which the reports show and JSON keeps.
 */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import type { Histogram } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import type { PairFault } from './sequence-check.js';
import type { BenchSettings } from './settings.js';

/** Units of measures, which decide how they are shown. */
export type Unit = 'perSecond' | 'bytesPerSecond' | 'nanoseconds' | 'bytes' | 'share' | 'count';

/** One number that a suite measures. */
export interface Measure {
  readonly name: string;
  readonly unit: Unit;
  readonly value: number;
}

/** Latencies in nanoseconds. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Pairs of percentile (above 0, to 100) and latency, ascending. */
  readonly distribution: readonly (readonly [number, number])[];
}

/** Memory of a broker over a run. */
export interface MemoryCurve {
  /** Milliseconds from one value to the next. */
  readonly everyMs: number;
  readonly bytes: readonly number[];
}

/** One run of one suite against one broker. */
export interface Round {
  readonly measures: readonly Measure[];
  readonly latency: LatencySummary | null;
  /** The load had a set rate: how much it delivers is no result, its latencies are. */
  readonly isPaced?: boolean;
  /** Where a suite watches whether it grows. */
  readonly memory?: MemoryCurve;
  /** Not empty: the run has failed. */
  readonly faults: readonly PairFault[];
  /** What stands against trusting the numbers, such as a generator at its limit. */
  readonly warnings: readonly string[];
}

/** All rounds of one suite against one broker with one setting. */
export interface Cell {
  readonly pattern: string;
  readonly peer: string;
  /** What a sweep has set, such as `workers=2`; empty without one. */
  readonly variation: string;
  readonly rounds: readonly Round[];
}

/** Everything that is needed to understand the numbers, and to measure them again. */
export interface Results {
  readonly version: 1;
  readonly date: string;
  readonly command: string;
  readonly commit: string;
  readonly machine: {
    readonly cpuModel: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly system: string;
    readonly node: string;
  };
  readonly settings: BenchSettings;
  /** How each broker was set up. */
  readonly peers: readonly { readonly name: string; readonly settings: string }[];
  readonly cells: readonly Cell[];
}

/** The machine this runs on. */
export function machine(): Results['machine'] {
  const processors = cpus();
  return {
    cpuModel: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
  };
}

/** Commit of this package's checkout, with `+` when something is changed; empty outside of one. */
export function commit(): string {
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${isChanged ? '+' : ''}`;
  } catch {
    return '';
  }
}

/** Percentiles kept of a distribution: every whole one, and finer ones at the end. */
const PERCENTILES: readonly number[] = [
  ...Array.from({ length: 99 }, (_, at) => at + 1),
  ...Array.from({ length: 9 }, (_, at) => 99 + (at + 1) / 10),
  99.95,
  99.99,
  100,
];

/** Sums a histogram of nanoseconds up. */
export function summarize(histogram: Histogram | null): LatencySummary | null {
  if (histogram === null || histogram.count === 0) return null;
  const distribution = PERCENTILES.map(
    (percentile) => [percentile, histogram.percentile(percentile)] as const,
  );
  return {
    count: histogram.count,
    p50: histogram.percentile(50),
    p99: histogram.percentile(99),
    p999: histogram.percentile(99.9),
    max: histogram.max,
    distribution,
  };
}

/** The middle one, or the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Medians of a cell's measures over its rounds, in the order in which the suite gives them. */
export function medians(cell: Cell): Measure[] {
  return cell.rounds[0].measures.map(({ name, unit }) => ({
    name,
    unit,
    value: median(
      cell.rounds.flatMap(({ measures }) =>
        measures.filter((measure) => measure.name === name).map(({ value }) => value),
      ),
    ),
  }));
}

/** The median of one measure, or undefined. */
export function medianOf(cell: Cell, name: string): number | undefined {
  return medians(cell).find((measure) => measure.name === name)?.value;
}

/** Whether no message was lost, duplicated or reordered. */
export function hasPassed({ cells }: Pick<Results, 'cells'>): boolean {
  return cells.every(({ rounds }) => rounds.every(({ faults }) => faults.length === 0));
}
