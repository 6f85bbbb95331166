/** Results as tables for a terminal. */
import { shownMeasure, shownRatio } from './format.js';
import { type Cell, medianOf, medians, type Results } from './results.js';

/** Pairs named when messages were lost; the rest is counted. */
const PAIRS_NAMED_MAX = 5;

/** Rows in columns, the first row above a line; all columns but the first `left` to the right. */
function table(rows: readonly (readonly string[])[], left: number): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) =>
    row
      .map((text, at) => (at < left ? text.padEnd(widths[at]) : text.padStart(widths[at])))
      .join('  ')
      .trimEnd(),
  );
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

/** Cells in groups that have the same measures: each is a table. */
export function groupsOf(cells: readonly Cell[]): Cell[][] {
  const byMeasures = new Map<string, Cell[]>();
  for (const cell of cells) {
    const key = medians(cell)
      .map(({ name }) => name)
      .join();
    byMeasures.set(key, [...(byMeasures.get(key) ?? []), cell]);
  }
  return [...byMeasures.values()];
}

/** A table of medians. */
function mediansTable(cells: readonly Cell[]): string {
  const hasVariation = cells.some(({ variation }) => variation !== '');
  const names = medians(cells[0]).map(({ name }) => name);
  const head = ['pattern', ...(hasVariation ? ['setting'] : []), 'broker', ...names];
  const rows = cells.map((cell) => [
    cell.pattern,
    ...(hasVariation ? [cell.variation] : []),
    cell.peer,
    ...medians(cell).map(shownMeasure),
  ]);
  return table([head, ...rows], hasVariation ? 3 : 2);
}

/**
 * What a peer needs or does compared with the first one: of each measure, how many times as much.
 */
function ratiosTable(cells: readonly Cell[], base: string): string | null {
  const names = medians(cells[0]).map(({ name }) => name);
  const rows = cells.flatMap((cell) => {
    const first = cells.find(
      ({ pattern, variation, peer }) =>
        pattern === cell.pattern && variation === cell.variation && peer === base,
    );
    if (first === undefined || cell.peer === base) return [];
    const ratios = names.map((name) => {
      const [value, of] = [medianOf(cell, name), medianOf(first, name)];
      return value === undefined || of === undefined || of === 0 ? '-' : shownRatio(value, of);
    });
    return [[cell.pattern, `${cell.peer} / ${base} ${cell.variation}`.trimEnd(), ...ratios]];
  });
  return rows.length === 0 ? null : table([['pattern', 'ratio', ...names], ...rows], 2);
}

/** What went wrong in a cell, and what stands against its numbers; a line each. */
export function cellNotes(cell: Cell): string[] {
  const where = [cell.pattern, cell.variation, cell.peer].filter((word) => word !== '').join(', ');
  const notes = [...new Set(cell.rounds.flatMap(({ warnings }) => warnings))].map(
    (warning) => `warning: ${where}: ${warning}`,
  );
  const faults = cell.rounds.flatMap((round) => round.faults);
  if (faults.length === 0) return notes;
  const total = (of: 'lost' | 'duplicated' | 'reordered'): number =>
    faults.reduce((sum, fault) => sum + fault[of], 0);
  notes.push(
    `FAILED: ${where}: ${total('lost')} messages lost, ${total('duplicated')} duplicated, ` +
      `${total('reordered')} reordered, between ${faults.length} pairs`,
  );
  for (const { publisher, subscriber, lost, duplicated, reordered } of faults.slice(
    0,
    PAIRS_NAMED_MAX,
  )) {
    const from = publisher === -1 ? 'nobody it knows' : `publisher ${publisher}`;
    notes.push(
      `  from ${from} to ${subscriber}: ${lost} lost, ${duplicated} duplicated, ` +
        `${reordered} reordered`,
    );
  }
  return notes;
}

/** Everything, for the end of a run. */
export function reportText(results: Results): string {
  const { machine, settings, cells, peers } = results;
  const parts = [
    `${machine.cpuModel}, ${machine.cores} cores, ${machine.system}, Node ${machine.node}` +
      `${results.commit === '' ? '' : `, commit ${results.commit}`}`,
    `${settings.rounds} round(s), medians; ${settings.payloadBytes} B payload, ` +
      `QoS ${settings.qos}, warm-up ${settings.warmupMs} ms; ` +
      'from the first publish to the last delivery',
  ];
  for (const group of groupsOf(cells)) {
    parts.push('', mediansTable(group));
    const ratios = ratiosTable(group, peers[0].name);
    if (ratios !== null) parts.push('', ratios);
  }
  const notes = cells.flatMap(cellNotes);
  if (notes.length > 0) parts.push('', ...notes);
  return `${parts.join('\n')}\n`;
}
