/**
 * Charts as SVG text. Colours and fonts are classes, so that the page can follow the reader's
 * theme.
 */

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

/** Attributes of an element; numbers are rounded to a tenth. */
type Attributes = Readonly<Record<string, string | number>>;

/** One SVG element, with a text in it or none. */
function element(name: string, attributes: Attributes, text = ''): string {
  const list = Object.entries(attributes)
    .map(([key, value]) => {
      const shown = typeof value === 'number' ? String(Math.round(value * 10) / 10) : value;
      return ` ${key}="${escaped(shown)}"`;
    })
    .join('');
  return text === '' ? `<${name}${list}/>` : `<${name}${list}>${escaped(text)}</${name}>`;
}

/** A text at a place; `anchor` is start, middle or end. */
function label(x: number, y: number, anchor: string, text: string, kind = ''): string {
  return element('text', { x, y, 'text-anchor': anchor, class: kind }, text);
}

/** A line of the grid with its value to the left. */
function gridLine(left: number, width: number, y: number, text: string): string {
  return (
    element('line', { class: 'grid', x1: left, x2: left + width, y1: y, y2: y }) +
    label(left - 8, y + 4, 'end', text, 'value')
  );
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

/** The frame of a chart: its ground and its title. */
function svg(title: string, height: number, body: string): string {
  const open =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${Math.ceil(height)}" ` +
    `role="img" aria-label="${escaped(title)}">`;
  const ground = element('rect', { class: 'ground', width: WIDTH, height, rx: 8 });
  return `${open}${STYLE}${ground}${label(20, 28, 'start', title, 'title')}${body}</svg>\n`;
}

/** Names of the series with their colours, in a row below the title. */
function legend(series: readonly Series[]): string {
  let x = 20;
  let items = '';
  for (const [index, { name }] of series.entries()) {
    items += element('rect', { x, y: 41, width: 12, height: 12, rx: 2, fill: colourOf(index) });
    items += label(x + 17, 52, 'start', name);
    x += 40 + 7.5 * name.length;
  }
  return items;
}

/** Where a value lies between nothing (0) and the largest (1). */
function scale(values: readonly number[], isLogarithmic: boolean): (value: number) => number {
  const largest = Math.max(...values, Number.MIN_VALUE);
  if (!isLogarithmic) return (value) => value / largest;
  // Half a power of ten below the smallest, so that it has a bar too.
  const low = Math.log10(Math.min(...values.filter((value) => value > 0), largest)) - 0.5;
  const span = Math.log10(largest) - low;
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
    const bars = series.filter(({ values }) => values[at] !== null).length;
    const middle = y + (bars * (BAR_HEIGHT + BAR_GAP)) / 2 + 3;
    body += label(LABEL_WIDTH - 10, middle, 'end', group);
    for (const [index, { values }] of series.entries()) {
      const value = values[at];
      if (value === null) continue;
      const width = Math.max(2, toLength(value) * room);
      const bar = { x: LABEL_WIDTH, y, width, height: BAR_HEIGHT, rx: 3, fill: colourOf(index) };
      body += element('rect', bar);
      body += label(LABEL_WIDTH + width + 6, y + 13, 'start', show(value), 'value');
      y += BAR_HEIGHT + BAR_GAP;
    }
    y += GROUP_GAP;
  }
  return svg(title, y, body);
}

/** Steps of a scale that a reader can follow, up to the largest value. */
function gridValues(values: readonly number[], isLogarithmic: boolean): number[] {
  const largest = Math.max(...values);
  if (!isLogarithmic) return [0.25, 0.5, 0.75, 1].map((part) => part * largest);
  const low = Math.ceil(Math.log10(Math.min(...values.filter((value) => value > 0))));
  const high = Math.floor(Math.log10(largest));
  return Array.from({ length: Math.max(1, high - low + 1) }, (_, step) => 10 ** (low + step));
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
    body += gridLine(left, width, yOf(value), show(value));
  }
  body += xAxis(xLabels, xOf, bottom, left + width / 2, xTitle);
  for (const [index, { values: line }] of series.entries()) {
    const points = line.flatMap((value, at) => (value === null ? [] : [[xOf(at), yOf(value)]]));
    const stroke = colourOf(index);
    const path = points.map((point) => point.map((n) => n.toFixed(1)).join()).join(' ');
    body += element('polyline', { points: path, fill: 'none', stroke, 'stroke-width': 2.5 });
    for (const [cx, cy] of points) body += element('circle', { cx, cy, r: 3.5, fill: stroke });
  }
  return svg(title, LINE_HEIGHT, body);
}

/** Texts below an axis, and what they count. */
function xAxis(
  labels: readonly string[],
  xOf: (at: number) => number,
  bottom: number,
  middle: number,
  title: string,
): string {
  const texts = labels.map((text, at) =>
    text === '' ? '' : label(xOf(at), bottom + 18, 'middle', text, 'value'),
  );
  return texts.join('') + label(middle, bottom + 38, 'middle', title);
}

/** Bars side by side: how many of the messages took how long. `labels` stand at the left edges. */
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
    const percent = `${(part * largest * 100).toFixed(0)} %`;
    body += gridLine(left, width, bottom - part * height, percent);
  }
  for (const [index, { values }] of series.entries()) {
    for (const [at, value] of values.entries()) {
      const tall = ((value ?? 0) / largest) * height;
      const x = left + at * slot + slot * 0.07 + index * bar;
      const fill = colourOf(index);
      body += element('rect', { x, y: bottom - tall, width: bar, height: tall, fill });
    }
  }
  body += xAxis(labels, (at) => left + at * slot, bottom, left + width / 2, xTitle);
  return svg(title, LINE_HEIGHT, body);
}
