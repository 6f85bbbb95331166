/** Charts as SVG text. Colours and fonts are classes, so that the page can follow the reader's theme. */

/** One series of a chart: its name and its colour, by number. */
export interface Series {
  readonly name: string;
  /** Values by group (bars) or by x (lines); null where there is none. */
  readonly values: readonly (number | null)[];
}

/** Bars in groups. */
export interface BarChart {
  readonly title: string;
  readonly groups: readonly string[];
  readonly series: readonly Series[];
  /** A value as it is shown at its bar. */
  show(value: number): string;
  /** One factor of ten is as long as the next: for values far apart. */
  readonly isLogarithmic: boolean;
}

/** Lines over a number. */
export interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  /** Texts at the x axis, evenly spaced. */
  readonly xLabels: readonly string[];
  readonly series: readonly Series[];
  show(value: number): string;
  readonly isLogarithmic: boolean;
}

const WIDTH = 860;
const BAR_HEIGHT = 18;
const BAR_GAP = 3;
const GROUP_GAP = 20;
const LABEL_WIDTH = 110;
const VALUE_WIDTH = 90;
const TOP = 66;
const LINE_HEIGHT = 340;
const COLOURS = ['#2563eb', '#f59e0b', '#10b981', '#ef4444', '#8b5cf6', '#64748b', '#ec4899'];

/** Text that may stand in SVG and HTML. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** The colour of series `index`. */
export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length];
}

/** The chart's own rules: readable on light and on dark ground, in a page and alone. */
const STYLE = `<style>
text { font: 13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #334155 }
.title { font-size: 16px; font-weight: 600; fill: #0f172a }
.value { font-variant-numeric: tabular-nums; font-size: 12px }
.ground { fill: #ffffff }
.grid { stroke: #e2e8f0; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
text { fill: #cbd5e1 } .title { fill: #f1f5f9 } .ground { fill: #0f172a } .grid { stroke: #334155 }
}
</style>`;

function svg(title: string, height: number, body: string): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" ` +
    `aria-label="${escaped(title)}">${STYLE}<rect class="ground" width="${WIDTH}" ` +
    `height="${height}" rx="8"/><text class="title" x="20" y="28">${escaped(title)}</text>` +
    `${body}</svg>\n`
  );
}

/** Names of the series with their colours, in a row below the title. */
function legend(series: readonly Series[]): string {
  let x = 20;
  return series
    .map(({ name }, index) => {
      const item =
        `<rect x="${x}" y="41" width="12" height="12" rx="2" fill="${colourOf(index)}"/>` +
        `<text x="${x + 17}" y="52">${escaped(name)}</text>`;
      x += 40 + 7.5 * name.length;
      return item;
    })
    .join('');
}

/** Where a value lies between nothing (0) and the largest (1). */
function scale(values: readonly number[], isLogarithmic: boolean): (value: number) => number {
  const largest = Math.max(...values, Number.MIN_VALUE);
  if (!isLogarithmic) return (value) => value / largest;
  const positive = values.filter((value) => value > 0);
  // A power of ten below the smallest, so that it has a bar too.
  const low = Math.floor(Math.log10(Math.min(...positive, largest))) - 0.3;
  const span = Math.log10(largest) - low || 1;
  return (value) => (value > 0 ? Math.max(0, (Math.log10(value) - low) / span) : 0);
}

function known(series: readonly Series[]): number[] {
  return series.flatMap(({ values }) => values.filter((value) => value !== null));
}

/** Horizontal bars, a group for each pattern and a bar for each series. */
export function barChart({ title, groups, series, show, isLogarithmic }: BarChart): string {
  const toLength = scale(known(series), isLogarithmic);
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH - 20;
  let y = TOP;
  let body = legend(series);
  for (const [at, group] of groups.entries()) {
    const bars = series.filter(({ values }) => values[at] !== null);
    const middle = y + (bars.length * (BAR_HEIGHT + BAR_GAP)) / 2 + 3;
    body += `<text x="${LABEL_WIDTH - 10}" y="${middle}" text-anchor="end">${escaped(group)}</text>`;
    for (const [index, { values }] of series.entries()) {
      const value = values[at];
      if (value === null) continue;
      const length = Math.max(2, toLength(value) * room);
      body +=
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${length.toFixed(1)}" height="${BAR_HEIGHT}" ` +
        `rx="3" fill="${colourOf(index)}"/><text class="value" x="${(LABEL_WIDTH + length + 6).toFixed(1)}" ` +
        `y="${y + 13}">${escaped(show(value))}</text>`;
      y += BAR_HEIGHT + BAR_GAP;
    }
    y += GROUP_GAP;
  }
  return svg(title, y, body);
}

/** Four steps of a scale that a reader can follow, from nothing to the largest value. */
function gridValues(values: readonly number[], isLogarithmic: boolean): number[] {
  const largest = Math.max(...values);
  if (!isLogarithmic) return [0.25, 0.5, 0.75, 1].map((part) => part * largest);
  const low = Math.floor(Math.log10(Math.min(...values.filter((value) => value > 0))));
  const high = Math.floor(Math.log10(largest));
  return Array.from({ length: high - low + 1 }, (_, step) => 10 ** (low + step));
}

/** Lines with points, over evenly spaced x. */
export function lineChart(chart: LineChart): string {
  const { title, xTitle, xLabels, series, show, isLogarithmic } = chart;
  const values = known(series);
  const toHeight = scale(values, isLogarithmic);
  const left = 90;
  const bottom = LINE_HEIGHT - 46;
  const width = WIDTH - left - 40;
  const height = bottom - TOP - 10;
  const xOf = (at: number): number =>
    left + (xLabels.length === 1 ? width / 2 : (at / (xLabels.length - 1)) * width);
  const yOf = (value: number): number => bottom - toHeight(value) * height;
  let body = legend(series);
  for (const value of gridValues(values, isLogarithmic)) {
    const y = yOf(value).toFixed(1);
    body +=
      `<line class="grid" x1="${left}" x2="${left + width}" y1="${y}" y2="${y}"/>` +
      `<text class="value" x="${left - 8}" y="${Number(y) + 4}" text-anchor="end">${escaped(show(value))}</text>`;
  }
  for (const [at, label] of xLabels.entries()) {
    if (label === '') continue;
    body += `<text class="value" x="${xOf(at).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${escaped(label)}</text>`;
  }
  body += `<text x="${left + width / 2}" y="${bottom + 38}" text-anchor="middle">${escaped(xTitle)}</text>`;
  for (const [index, { values: line }] of series.entries()) {
    const points = line.flatMap((value, at) =>
      value === null ? [] : [[xOf(at).toFixed(1), yOf(value).toFixed(1)]],
    );
    const colour = colourOf(index);
    body += `<polyline points="${points.map((point) => point.join()).join(' ')}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-linejoin="round"/>`;
    if (points.length > 12) continue;
    for (const [x, y] of points) body += `<circle cx="${x}" cy="${y}" r="4" fill="${colour}"/>`;
  }
  return svg(title, LINE_HEIGHT, body);
}

/** Bars side by side without gaps: how many of the messages took how long. */
export function histogramChart(
  title: string,
  xTitle: string,
  labels: readonly string[],
  series: readonly Series[],
): string {
  const left = 60;
  const bottom = LINE_HEIGHT - 46;
  const width = WIDTH - left - 30;
  const height = bottom - TOP - 10;
  const largest = Math.max(...known(series), Number.MIN_VALUE);
  const slot = width / labels.length;
  const bar = (slot * 0.86) / series.length;
  let body = legend(series);
  for (const part of [0.5, 1]) {
    const y = bottom - part * height;
    body +=
      `<line class="grid" x1="${left}" x2="${left + width}" y1="${y}" y2="${y}"/>` +
      `<text class="value" x="${left - 8}" y="${y + 4}" text-anchor="end">${(part * largest * 100).toFixed(0)} %</text>`;
  }
  for (const [at, label] of labels.entries()) {
    for (const [index, { values }] of series.entries()) {
      const tall = ((values[at] ?? 0) / largest) * height;
      const x = left + at * slot + slot * 0.07 + index * bar;
      body += `<rect x="${x.toFixed(1)}" y="${(bottom - tall).toFixed(1)}" width="${bar.toFixed(1)}" height="${tall.toFixed(1)}" fill="${colourOf(index)}"/>`;
    }
    body += `<text class="value" x="${(left + at * slot).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${escaped(label)}</text>`;
  }
  body += `<text x="${left + width / 2}" y="${bottom + 38}" text-anchor="middle">${escaped(xTitle)}</text>`;
  return svg(title, LINE_HEIGHT, body);
}
