/** Results as one page that needs nothing else. */
import { SUITES } from '../system/suites.js';
import { escaped } from './charts.js';
import { shownMeasure } from './format.js';
import { allCharts } from './report-charts.js';
import { cellNotes, groupsOf } from './report-text.js';
import { type Cell, medians, type Results } from './results.js';

const STYLE = `
:root { color-scheme: light dark; --ground: #f8fafc; --card: #fff; --text: #334155;
  --strong: #0f172a; --line: #e2e8f0 }
@media (prefers-color-scheme: dark) { :root { --ground: #020617; --card: #0f172a; --text: #cbd5e1;
  --strong: #f1f5f9; --line: #334155 } }
body { margin: 0 auto; max-width: 900px; padding: 32px 20px 64px; background: var(--ground);
  color: var(--text); font: 15px/1.55 system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif }
h1, h2 { color: var(--strong); line-height: 1.2 } h1 { font-size: 28px; margin: 0 0 6px }
h2 { font-size: 19px; margin: 40px 0 12px } .chart { margin: 16px 0 }
.chart svg { width: 100%; height: auto; display: block; border: 1px solid var(--line);
  border-radius: 8px }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  background: var(--card); border: 1px solid var(--line) }
th, td { padding: 6px 10px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums }
th { color: var(--strong) } .word { text-align: left } code { font-size: 13px }
pre { overflow-x: auto } .failure { color: #dc2626 } .warning { color: #b45309; margin: 4px 0 }
dt { font-weight: 600; color: var(--strong) } dd { margin: 0 0 8px }
`;

function cellOf(name: 'td' | 'th', text: string, isWord: boolean): string {
  return `<${name}${isWord ? ' class="word"' : ''}>${escaped(text)}</${name}>`;
}

function rowOf(name: 'td' | 'th', texts: readonly string[]): string {
  return `<tr>${texts.map((text, at) => cellOf(name, text, at < 2)).join('')}</tr>`;
}

/** A table of cells that have the same measures. */
function cellsTable(cells: readonly Cell[]): string {
  const head = ['pattern', 'broker', ...medians(cells[0]).map(({ name }) => name)];
  const rows = cells.map((cell) => [
    cell.pattern,
    `${cell.peer} ${cell.variation}`.trimEnd(),
    ...medians(cell).map(shownMeasure),
  ]);
  const body = rows.map((row) => rowOf('td', row)).join('\n');
  return (
    `<div class="scroll"><table><thead>${rowOf('th', head)}</thead>` +
    `<tbody>${body}</tbody></table></div>`
  );
}

/** Tables of cells with like measures, so that none is mostly empty. */
function tables(cells: readonly Cell[]): string {
  return groupsOf(cells).map(cellsTable).join('\n<p></p>\n');
}

function definitions(pairs: readonly (readonly [string, string])[]): string {
  const items = pairs.map(([name, text]) => `<dt>${escaped(name)}</dt><dd>${escaped(text)}</dd>`);
  return `<dl>${items.join('\n')}</dl>`;
}

/** Where and when: one line below the title. */
function circumstances({ machine, date, commit }: Results): string {
  const gibibytes = (machine.memoryBytes / 1024 ** 3).toFixed(0);
  const parts = [
    date.slice(0, 10),
    `${machine.cpuModel}, ${machine.cores} cores, ${gibibytes} GiB`,
    `Node ${machine.node}`,
    machine.system,
    ...(commit === '' ? [] : [`commit ${commit}`]),
  ];
  return escaped(parts.join(' · '));
}

/** How the numbers came about. */
function method({ settings }: Results): string {
  const { warmupMs, pin, payloadBytes, qos, loadThreads } = settings;
  const sentences = [
    'Each broker is a process of its own on the loopback interface.',
    'The clients are threads of the bench, which write bytes made beforehand and check publisher',
    'and sequence of every message they receive: a run with a lost, duplicated or reordered',
    'message fails. The clock runs from the first publish to the last delivery at the receivers.',
    `Before it, the same clients send the same traffic for ${warmupMs} ms, so that compilers have`,
    'done their work. CPU time is that of the process of the broker and its children, from /proc,',
    'to a hundredth of a second. Rounds go round among the brokers.',
    pin ? 'Broker and generator are kept on cores of their own.' : '',
    `${payloadBytes} bytes of payload, QoS ${qos}, ${loadThreads} generator thread(s).`,
    'Latencies count from when a message should have been sent.',
  ];
  return escaped(sentences.join(' '));
}

/** A failure in red, a warning in amber. */
function noteHtml(note: string): string {
  const kind = note.startsWith('warning') ? 'warning' : 'failure';
  return `<p class="${kind}">${escaped(note)}</p>`;
}

/** The page. */
export function reportHtml(results: Results): string {
  const { settings, cells, peers, command } = results;
  const patterns = [...new Set(cells.map(({ pattern }) => pattern))];
  const notes = cells.flatMap(cellNotes);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SurgeMQ benchmark</title>
<style>${STYLE}</style>
</head>
<body>
<h1>SurgeMQ benchmark</h1>
<p>${circumstances(results)}</p>
${notes.map(noteHtml).join('\n')}
${allCharts(results)
  .map((chart) => `<div class="chart">${chart}</div>`)
  .join('\n')}
<h2>Medians of ${settings.rounds} round(s)</h2>
${tables(cells)}
<h2>Method</h2>
<p>${method(results)}</p>
<pre><code>${escaped(command)}</code></pre>
<h2>Patterns</h2>
${definitions(patterns.map((name) => [name, SUITES.get(name)?.summary ?? '']))}
<h2>Brokers</h2>
${definitions(peers.map(({ name, settings: how }) => [name, how]))}
</body>
</html>
`;
}
