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
}

/** The counted measures of a cell, and those of the base beside it. */
function pairsOf(cell: Cell, { cells }: Results, base: string): (readonly [Measure, Measure])[] {
  const first = cells.find(
    ({ peer, pattern, variation }) =>
      peer === base && pattern === cell.pattern && variation === cell.variation,
  );
  if (first === undefined) return [];
  const bases = medians(first);
  return medians(cell).flatMap((measure) => {
    const before = bases.find(({ name }) => name === measure.name);
    const isCounted = COUNTED.test(measure.name) && before !== undefined && before.value > 0;
    return isCounted ? [[before, measure] as const] : [];
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
  const byMeasure = new Map<string, (readonly [Measure, Measure])[]>();
  for (const results of starts) {
    for (const cell of results.cells) {
      if (cell.peer !== head) continue;
      const where = `${cell.pattern} ${cell.variation}`.trimEnd();
      for (const pair of pairsOf(cell, results, base)) {
        const key = `${where}: ${pair[0].name}`;
        byMeasure.set(key, [...(byMeasure.get(key) ?? []), pair]);
      }
    }
  }
  return [...byMeasure].map(([key, pairs]) => {
    const ratios = pairs.map(([before, after]) => after.value / before.value);
    const [ratioLeast, ratioMost] = [Math.min(...ratios), Math.max(...ratios)];
    const middle = (at: 0 | 1): string =>
      shownMeasure({ ...pairs[0]![at], value: median(pairs.map((pair) => pair[at].value)) });
    const spread = `${ratioLeast.toFixed(2)} to ${ratioMost.toFixed(2)} in ${pairs.length} starts`;
    const ratio = median(ratios);
    const text = `${key} from ${middle(0)} to ${middle(1)} (${shownRatio(ratio, 1)}; ${spread})`;
    return { text, ratio, ratioLeast, ratioMost };
  });
}

/** Whether a difference is the code's and not the process's: every start shows it. */
export function isSlower({ ratioLeast }: Comparison, ratioMax: number): boolean {
  return ratioLeast > ratioMax;
}
