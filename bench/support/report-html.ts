/** Results as one page that needs nothing else. */
import { SUITES } from '../system/suites.js';
import { escaped } from './charts.js';
import { shownMeasure } from './format.js';
import { allCharts } from './report-charts.js';
import { cellNotes } from './report-text.js';
import { type Cell, medians, type Results } from './results.js';

const STYLE = `
:root { color-scheme: light dark; --ground: #f8fafc; --card: #fff; --text: #334155; --strong: #0f172a;
  --line: #e2e8f0 }
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
.note { color: #b91c1c } dt { font-weight: 600; color: var(--strong) } dd { margin: 0 0 8px }
`;

function cellsTable(cells: readonly Cell[]): string {
  const names = [...new Set(cells.flatMap((cell) => medians(cell).map(({ name }) => name)))];
  const head = ['pattern', 'broker', ...names]
    .map((name, at) => `<th${at < 2 ? ' class="word"' : ''}>${escaped(name)}</th>`)
    .join('');
  const rows = cells.map((cell) => {
    const values = medians(cell);
    const numbers = names.map((wanted) => {
      const measure = values.find(({ name }) => name === wanted);
      return `<td>${measure === undefined ? '' : escaped(shownMeasure(measure))}</td>`;
    });
    const broker = `${cell.peer} ${cell.variation}`.trimEnd();
    return `<tr><td class="word">${escaped(cell.pattern)}</td><td class="word">${escaped(broker)}</td>${numbers.join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

/** Tables of cells with like measures, so that none is mostly empty. */
function tables(cells: readonly Cell[]): string {
  const groups = new Map<string, Cell[]>();
  for (const cell of cells) {
    const key = medians(cell)
      .map(({ name }) => name)
      .join();
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  return [...groups.values()].map(cellsTable).join('\n<p></p>\n');
}

function definitions(pairs: readonly (readonly [string, string])[]): string {
  const items = pairs.map(([name, text]) => `<dt>${escaped(name)}</dt><dd>${escaped(text)}</dd>`);
  return `<dl>${items.join('\n')}</dl>`;
}

/** The page. */
export function reportHtml(results: Results): string {
  const { machine, settings, cells, peers, date, commit, command } = results;
  const patterns = [...new Set(cells.map(({ pattern }) => pattern))];
  const notes = cells.flatMap(cellNotes);
  const gibibytes = (machine.memoryBytes / 1024 ** 3).toFixed(0);
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
<p>${escaped(date.slice(0, 10))} · ${escaped(machine.cpuModel)}, ${machine.cores} cores,
${gibibytes} GiB · Node ${escaped(machine.node)} · ${escaped(machine.system)}${commit === '' ? '' : ` · commit ${escaped(commit)}`}</p>
${notes.map((note) => `<p class="note">${escaped(note)}</p>`).join('\n')}
${allCharts(results)
  .map((chart) => `<div class="chart">${chart}</div>`)
  .join('\n')}
<h2>Medians of ${settings.rounds} round(s)</h2>
${tables(cells)}
<h2>Method</h2>
<p>Each broker is a process of its own on the loopback interface. The clients are threads of the bench,
which write bytes made beforehand and check publisher and sequence of every message they receive: a run
with a lost, duplicated or reordered message fails. The clock runs from the first publish to the last
delivery at the receivers. Before it, the same clients send the same traffic for ${settings.warmupMs} ms, so
that compilers have done their work. CPU time is that of the broker's process and its children, from /proc,
to a hundredth of a second. Rounds go round among the brokers.
${settings.pin ? 'Broker and generator are kept on cores of their own.' : ''}
${settings.payloadBytes} bytes of payload, QoS ${settings.qos}, ${settings.loadThreads} generator thread(s).
Latencies count from when a message should have been sent.</p>
<pre><code>${escaped(command)}</code></pre>
<h2>Patterns</h2>
${definitions(patterns.map((name) => [name, SUITES.get(name)?.summary ?? '']))}
<h2>Brokers</h2>
${definitions(peers.map(({ name, settings: how }) => [name, how]))}
</body>
</html>
`;
}
