/** The charts that a set of results has something to show in. */
import { barChart, histogramChart, lineChart, type Series } from './charts.js';
import { shown } from './format.js';
import { MEASURE } from './measure-load.js';
import { type Cell, type LatencySummary, medianOf, medians, type Results } from './results.js';

/** Values further apart than this are drawn on a logarithmic scale. */
const LINEAR_RANGE_MAX = 20;
/** Latency classes of the histogram: doublings of this many nanoseconds, two classes for each. */
const LATENCY_UNIT_NS = 1_000;
const LATENCY_CLASSES_MAX = 40;
/** Times written below a curve of memory. */
const MEMORY_LABELS_MAX = 12;

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

function isWide(series: readonly Series[]): boolean {
  const values = series.flatMap((one) => one.values.filter((v) => v !== null && v > 0)) as number[];
  return values.length > 1 && Math.max(...values) / Math.min(...values) > LINEAR_RANGE_MAX;
}

/** Whether the load had a set rate: then its latencies are what counts. */
function isPaced({ rounds }: Cell): boolean {
  return rounds.some((round) => round.isPaced === true);
}

/** Bars of one measure, a group for each pattern; a broker and what a sweep set make a series. */
function measureBars(cells: readonly Cell[], measure: string, title: string): string | null {
  const some = cells.filter(
    // How much a load at a set rate delivers is no result.
    (cell) =>
      medianOf(cell, measure) !== undefined && !(measure === MEASURE.deliveries && isPaced(cell)),
  );
  if (some.length === 0) return null;
  const groups = unique(some.map(({ pattern }) => pattern));
  const seriesOf = ({ peer, variation }: Cell): string => `${peer} ${variation}`.trimEnd();
  const series = unique(some.map(seriesOf)).map((name) => ({
    name,
    values: groups.map((group) => {
      const cell = some.find((one) => one.pattern === group && seriesOf(one) === name);
      return cell === undefined ? null : (medianOf(cell, measure) ?? null);
    }),
  }));
  const unit = medians(some[0]).find(({ name }) => name === measure)!.unit;
  const isLogarithmic = isWide(series);
  return barChart({
    title: isLogarithmic ? `${title} (logarithmic scale)` : title,
    groups,
    series,
    show: (value) => shown(value, unit),
    isLogarithmic,
  });
}

/** Deliveries over what a sweep has set, a line for each pattern and broker. */
function scaling(cells: readonly Cell[]): string | null {
  const swept = cells.filter(
    (cell) =>
      cell.variation !== '' && !isPaced(cell) && medianOf(cell, MEASURE.deliveries) !== undefined,
  );
  const variations = unique(swept.map(({ variation }) => variation));
  if (variations.length < 2) return null;
  const peers = unique(swept.map(({ peer }) => peer));
  const nameOf = ({ pattern, peer }: Cell): string =>
    peers.length === 1 ? pattern : `${pattern}, ${peer}`;
  const series = unique(swept.map(nameOf)).map((name) => ({
    name,
    values: variations.map((variation) => {
      const cell = swept.find((one) => nameOf(one) === name && one.variation === variation);
      return cell === undefined ? null : (medianOf(cell, MEASURE.deliveries) ?? null);
    }),
  }));
  const [setting] = variations[0].split('=');
  return lineChart({
    title: `Deliveries a second by ${setting}`,
    xTitle: setting,
    xLabels: variations.map((variation) => variation.slice(setting.length + 1)),
    series,
    show: (value) => shown(value, 'perSecond'),
    isLogarithmic: isWide(series),
  });
}

/** Part of the messages at or below a latency, by the distribution's steps. */
function partBelow({ distribution }: LatencySummary, nanoseconds: number): number {
  let part = 0;
  for (const [percentile, value] of distribution) {
    if (value > nanoseconds) break;
    part = percentile / 100;
  }
  return part;
}

/** The round that stands for a cell: the one whose p99 is in the middle. */
function typicalLatency({ rounds }: Cell): LatencySummary | null {
  const latencies = rounds.flatMap(({ latency }) => (latency === null ? [] : [latency]));
  latencies.sort((a, b) => a.p99 - b.p99);
  return latencies[latencies.length >> 1] ?? null;
}

/** How many of the messages took how long. */
function latencyHistogram(cells: readonly Cell[]): string | null {
  const some = cells.filter(isPaced).flatMap((cell) => {
    const latency = typicalLatency(cell);
    const name = `${cell.peer} ${cell.pattern} ${cell.variation}`.trimEnd();
    return latency === null ? [] : [{ name, latency }];
  });
  if (some.length === 0) return null;
  const longest = Math.max(...some.map(({ latency }) => latency.p999));
  const shortest = Math.min(...some.map(({ latency }) => latency.distribution[0][1]));
  const doublings = Math.max(0, Math.floor(Math.log2(shortest / LATENCY_UNIT_NS)));
  const edges = [LATENCY_UNIT_NS * 2 ** doublings];
  while (edges[edges.length - 1] < longest && edges.length < LATENCY_CLASSES_MAX) {
    edges.push(edges[edges.length - 1] * Math.SQRT2);
  }
  const series = some.map(({ name, latency }) => ({
    name,
    values: edges.map((edge, at) =>
      Math.max(
        0,
        partBelow(latency, edge * Math.SQRT2) - (at === 0 ? 0 : partBelow(latency, edge)),
      ),
    ),
  }));
  const labels = edges.map((edge, at) => (at % 2 === 0 ? shown(edge, 'nanoseconds') : ''));
  return histogramChart(
    'Latency: part of the messages',
    'from sending to delivery',
    labels,
    series,
  );
}

/** Latency at each percentile, the last ones drawn out. */
function latencyPercentiles(cells: readonly Cell[]): string | null {
  const percentiles = [1, 25, 50, 75, 90, 95, 99, 99.5, 99.9];
  const series = cells.flatMap((cell) => {
    const latency = typicalLatency(cell);
    if (latency === null) return [];
    const values = percentiles.map(
      (wanted) =>
        latency.distribution.find(([percentile]) => percentile >= wanted)?.[1] ?? latency.max,
    );
    return [{ name: `${cell.peer} ${cell.pattern} ${cell.variation}`.trimEnd(), values }];
  });
  if (series.length === 0) return null;
  return lineChart({
    title: 'Latency by percentile',
    xTitle: 'percent took at most as long',
    xLabels: percentiles.map(String),
    series,
    show: (value) => shown(value, 'nanoseconds'),
    isLogarithmic: isWide(series),
  });
}

/** Memory over time; the round that stands for a cell is its last. */
function memoryOverTime(cells: readonly Cell[]): string | null {
  const some = cells.flatMap(({ peer, pattern, variation, rounds }) => {
    const memory = rounds[rounds.length - 1].memory;
    const name = `${peer} ${pattern} ${variation}`.trimEnd();
    return memory === undefined || memory.bytes.length < 2 ? [] : [{ name, memory }];
  });
  if (some.length === 0) return null;
  const longest = Math.max(...some.map(({ memory }) => memory.bytes.length));
  const { everyMs } = some[0].memory;
  const labelled = Math.max(1, Math.ceil(longest / MEMORY_LABELS_MAX));
  return lineChart({
    title: 'Memory of the broker over time',
    xTitle: 'seconds',
    xLabels: Array.from({ length: longest }, (_, at) =>
      at % labelled === 0 ? String(Math.round((at * everyMs) / 1_000)) : '',
    ),
    series: some.map(({ name, memory }) => ({
      name,
      values: Array.from({ length: longest }, (_, at) => memory.bytes[at] ?? null),
    })),
    show: (value) => shown(value, 'bytes'),
    isLogarithmic: false,
  });
}

/**
 * The chart for a README: what each broker delivers in each pattern. Null when no pattern delivers.
 */
export function mainChart({ cells }: Results): string | null {
  return measureBars(cells, MEASURE.deliveries, 'Deliveries a second');
}

/** Every chart there are values for, in the order of the page. */
export function allCharts(results: Results): string[] {
  const { cells } = results;
  return [
    mainChart(results),
    measureBars(cells, MEASURE.cpu, 'Broker CPU time a delivery'),
    scaling(cells),
    latencyHistogram(cells),
    latencyPercentiles(cells),
    memoryOverTime(cells),
    measureBars(cells, 'connections/s', 'Connections a second'),
    measureBars(cells, 'memory a connection', 'Memory of an idle connection'),
    measureBars(cells, 'filters/s', 'Filters subscribed a second'),
    measureBars(cells, MEASURE.peak, 'Peak memory of the broker'),
  ].filter((chart) => chart !== null);
}
