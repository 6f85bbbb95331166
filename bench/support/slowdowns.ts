/** Whether one broker has become slower than another: what a comparison of two commits fails by. */
import { shownMeasure, shownRatio } from './format.js';
import { medians, type Results } from './results.js';

/** Measures that count: what the broker itself needs. Rates follow the machine's mood too much. */
const COUNTED = /^(?:broker CPU|memory) a /;

/** One measure of one suite, the base's and the head's medians. */
export interface Comparison {
  readonly text: string;
  /** Head divided by base. */
  readonly ratio: number;
}

/** Compares the cells of `head` with those of `base`, measure by measure. */
export function compareCells(results: Results, base: string, head: string): Comparison[] {
  const { cells } = results;
  return cells.flatMap((cell) => {
    if (cell.peer !== head) return [];
    const first = cells.find(
      ({ peer, pattern, variation }) =>
        peer === base && pattern === cell.pattern && variation === cell.variation,
    );
    if (first === undefined) return [];
    const bases = medians(first);
    return medians(cell).flatMap((measure) => {
      const before = bases.find(({ name }) => name === measure.name);
      if (!COUNTED.test(measure.name) || before === undefined || before.value <= 0) return [];
      const where = `${cell.pattern} ${cell.variation}`.trimEnd();
      const values = `${shownMeasure(before)} to ${shownMeasure(measure)}`;
      const ratio = shownRatio(measure.value, before.value);
      const text = `${where}: ${measure.name} from ${values} (${ratio})`;
      return [{ text, ratio: measure.value / before.value }];
    });
  });
}
