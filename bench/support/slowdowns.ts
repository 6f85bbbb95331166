/** Whether one broker has become slower than another: what a comparison of two commits fails by. */
import { shownMeasure, shownRatio } from './format.js';
import { type Cell, type Measure, median, medians, type Results } from './results.js';

/** Measures that count: what the broker itself needs. Rates follow the machine's mood too much. */
const COUNTED = /^(?:broker CPU|memory) a /;

/** One measure of one suite: the head's divided by the base's, start by start. */
export interface Comparison {
  readonly text: string;
  /** The median of all starts. */
  readonly ratio: number;
  /** The start that spoke best for the head, and the one that spoke worst. */
  readonly ratioLeast: number;
  readonly ratioMost: number;
  /** In every start each round of the head needed more than each of the base. */
  readonly isSeparate: boolean;
}

/** One measure in one start. */
interface Pair {
  readonly before: Measure;
  readonly after: Measure;
  readonly isSeparate: boolean;
}

/** What a measure was in each round. */
function valuesOf({ rounds }: Cell, name: string): number[] {
  return rounds.flatMap(({ measures }) =>
    measures.filter((measure) => measure.name === name).map(({ value }) => value),
  );
}

/** The counted measures of a cell, and those of the base beside it. */
function pairsOf(cell: Cell, { cells }: Results, base: string): Pair[] {
  const first = cells.find(
    ({ peer, pattern, variation }) =>
      peer === base && pattern === cell.pattern && variation === cell.variation,
  );
  if (first === undefined) return [];
  const bases = medians(first);
  return medians(cell).flatMap((after) => {
    const { name } = after;
    const before = bases.find((measure) => measure.name === name);
    if (!COUNTED.test(name) || before === undefined || before.value <= 0) return [];
    const isSeparate = Math.min(...valuesOf(cell, name)) > Math.max(...valuesOf(first, name));
    return [{ before, after, isSeparate }];
  });
}

/**
 * Compares the cells of `head` with those of `base`, measure by measure.
 * @param starts results of the same plan, each with brokers started anew: the same code is faster
 * in one process than in another, by up to a tenth, which more rounds in these processes never
 * show.
 */
export function compareCells(
  starts: readonly Results[],
  base: string,
  head: string,
): readonly Comparison[] {
  const byMeasure = new Map<string, Pair[]>();
  for (const results of starts) {
    for (const cell of results.cells) {
      if (cell.peer !== head) continue;
      const where = `${cell.pattern} ${cell.variation}`.trimEnd();
      for (const pair of pairsOf(cell, results, base)) {
        const key = `${where}: ${pair.before.name}`;
        byMeasure.set(key, [...(byMeasure.get(key) ?? []), pair]);
      }
    }
  }
  return [...byMeasure].map(([key, pairs]) => {
    const ratios = pairs.map(({ before, after }) => after.value / before.value);
    const [ratioLeast, ratioMost] = [Math.min(...ratios), Math.max(...ratios)];
    const isSeparate = pairs.every((pair) => pair.isSeparate);
    const middle = (which: 'before' | 'after'): string =>
      shownMeasure({ ...pairs[0]![which], value: median(pairs.map((pair) => pair[which].value)) });
    const spread =
      `${ratioLeast.toFixed(2)} to ${ratioMost.toFixed(2)} in ${pairs.length} starts, ` +
      `rounds ${isSeparate ? 'apart' : 'overlap'}`;
    const ratio = median(ratios);
    const change = `from ${middle('before')} to ${middle('after')}`;
    const text = `${key} ${change} (${shownRatio(ratio, 1)}; ${spread})`;
    return { text, ratio, ratioLeast, ratioMost, isSeparate };
  });
}

/**
 * Whether a difference is the code's, and not a process's or a moment's: every start shows it, in
 * all of its rounds.
 */
export function isSlower({ ratioLeast, isSeparate }: Comparison, ratioMax: number): boolean {
  return ratioLeast > ratioMax && isSeparate;
}
