/** `surgemq bench`: measures a broker, and compares it with others. */
import { accessSync, constants, existsSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { endBrokersOnSignals } from '../../bench/support/broker-child.js';
import {
  missing,
  NAMED_PEERS,
  OURS,
  type Peer,
  parsePeer,
  parsePeerCommand,
  unspoken,
} from '../../bench/support/peers.js';
import { descriptorsMax } from '../../bench/support/proc.js';
import { mainChart } from '../../bench/support/report-charts.js';
import { reportHtml } from '../../bench/support/report-html.js';
import { reportText } from '../../bench/support/report-text.js';
import { hasPassed, type Results } from '../../bench/support/results.js';
import { type BenchObserver, runBench, type Variation } from '../../bench/support/run-bench.js';
import {
  BENCH_SETTINGS,
  type BenchSettings,
  loadBenchSettings,
} from '../../bench/support/settings.js';
import { areOfScenarios, SCENARIO_DEFAULTS, SCENARIOS } from '../../bench/system/open-mqtt.js';
import type { Suite } from '../../bench/system/suite.js';
import { SUITES } from '../../bench/system/suites.js';
import { processEnvironment } from '../base/config.js';
import { errorCode } from '../base/error-code.js';
import { ConfigError } from '../base/errors.js';
import { didYouMean } from '../base/nearest.js';
import { type Flag, flagsHelp, splitArgs, UsageError } from './args.js';

const COMPARE = 'compare';
/** Where progress is lines: how often one is written. */
const PROGRESS_LINE_MS = 1_000;
/** Descriptors of a process beside its connections: files, pipes, threads. */
const DESCRIPTORS_BESIDE = 100;
/** Rounds of a comparison unless the settings say how many. */
const COMPARE_DEFAULTS = { [BENCH_SETTINGS.rounds.environment]: '3' };

const SCENARIO_NAMES: readonly string[] = SCENARIOS.map(({ name }) => name);

/** A flag for each setting of the bench. */
export const SETTING_FLAGS: readonly Flag[] = Object.values(BENCH_SETTINGS).map(
  ({ flag, type, environment, summary, default: fallback }) => ({
    name: flag,
    ...(type.placeholder === '' ? {} : { placeholder: type.placeholder }),
    summary: `${summary} Allowed: ${type.allowed}. [${environment}${
      fallback === '' ? '' : `, default ${fallback}`
    }]`,
  }),
);

const FLAGS: readonly Flag[] = [
  ...SETTING_FLAGS,
  {
    name: 'peer',
    placeholder: 'name=command',
    isRepeatable: true,
    summary:
      'Another broker to compare with: a shell command, which finds PORT, WORKERS and FOLDER, ' +
      'an empty one, in its environment. May be given more than once.',
  },
  {
    name: 'sweep',
    placeholder: 'flag=value,…',
    summary:
      'Runs everything once for each value of one of the flags above, such as workers=1,2,4.',
  },
  { name: 'help', summary: 'Shows this text.' },
];

/** A line for each suite. */
function suitesHelp(suites: readonly Suite[]): string {
  const width = Math.max(...suites.map(({ name }) => name.length)) + 2;
  return suites.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`).join('\n');
}

const HELP = `Usage: surgemq bench [pattern…] [flags]
       surgemq bench compare [mosquitto] [aedes] [mqtt://HOST:PORT[?pid=PID]…] [flags]

Measures the broker, which it starts as a process of its own, and checks every message: a run with
a lost, duplicated or reordered one fails, with exit code 1. compare runs other brokers beside it,
rounds interleaved.

Patterns:
${suitesHelp([...SUITES.values()].filter((suite) => !SCENARIOS.includes(suite)))}

Scenarios of the Open MQTT Benchmark Suite, QoS 1 and 16 bytes, 10 s after 2 s of warm-up:
${suitesHelp(SCENARIOS)}

Settings come from the environment and, stronger, from flags:

${flagsHelp(FLAGS)}
`;

interface Request {
  readonly patterns: readonly string[];
  readonly peers: readonly Peer[];
  readonly variations: readonly Variation[];
  readonly warnings: readonly string[];
}

/** The words behind the command: peers of a comparison, else patterns. */
function readWords(
  words: readonly string[],
  faults: string[],
): { patterns: string[]; peers: Peer[] } {
  if (words[0] !== COMPARE) return { patterns: [...words], peers: [] };
  const peers: Peer[] = [];
  for (const word of words.slice(1)) {
    const peer = parsePeer(word);
    if (peer === undefined) {
      faults.push(`${word} is no broker known here${didYouMean(word, NAMED_PEERS.keys())}`);
    } else if (peer !== OURS) {
      peers.push(peer);
    }
  }
  return { patterns: [], peers };
}

/** What takes the place of the settings' defaults. @param patterns named on the command line. */
function defaultsFor(isComparison: boolean, patterns: readonly string[]): NodeJS.ProcessEnv {
  const areScenarios = patterns.every((pattern) => SCENARIO_NAMES.includes(pattern.trim()));
  return {
    ...(isComparison ? COMPARE_DEFAULTS : {}),
    ...(areScenarios ? SCENARIO_DEFAULTS : {}),
  };
}

/** One variation, or one for each value of a sweep. @throws ConfigError */
function readVariations(
  flags: Readonly<Record<string, string>>,
  defaults: NodeJS.ProcessEnv,
  sweep: string | undefined,
  faults: string[],
): { variations: Variation[]; warnings: readonly string[] } {
  const labels = sweep === undefined ? [''] : sweepLabels(sweep, faults);
  const loaded = labels.map((label) => {
    const at = label.indexOf('=');
    const swept = label === '' ? {} : { [label.slice(0, at)]: label.slice(at + 1) };
    const { settings, warnings } = loadBenchSettings(
      { ...flags, ...swept },
      { ...defaults, ...processEnvironment() },
    );
    return { label, settings, warnings };
  });
  return {
    variations: loaded.map(({ label, settings }) => ({ label, settings })),
    warnings: loaded[0]?.warnings ?? [],
  };
}

/** `workers=1,2` as `workers=1` and `workers=2`. */
function sweepLabels(sweep: string, faults: string[]): string[] {
  const [flag, list = ''] = sweep.split('=', 2);
  const names = Object.values(BENCH_SETTINGS).map(({ flag: name }) => name);
  if (!names.includes(flag) || list === '') {
    faults.push(
      `--sweep is "${sweep}"; allowed: a flag, =, values by commas${didYouMean(flag, names)}`,
    );
    return [''];
  }
  return list.split(',').map((value) => `${flag}=${value.trim()}`);
}

/** The brokers to measure: ours or the running one first, which the others are compared with. */
function allPeers(
  { host, port, pid }: BenchSettings,
  named: readonly Peer[],
  commands: Peer[],
): Peer[] {
  const first: Peer =
    host === ''
      ? OURS
      : {
          kind: 'running',
          name: `${host}:${port}`,
          settings: 'a running broker',
          host,
          port,
          pid: pid === 0 ? null : pid,
        };
  return [first, ...named, ...commands];
}

/**
 * Checks everything that can be wrong before anything is started. @throws UsageError, ConfigError
 */
function readRequest(args: readonly string[]): Request {
  const { values, positionals, faults: flagFaults } = splitArgs(FLAGS, args);
  const faults = [...flagFaults];
  const words = readWords(positionals, faults);
  const commands: Peer[] = [];
  for (const text of values.get('peer') ?? []) {
    const peer = parsePeerCommand(text);
    if (peer === undefined) faults.push(`--peer is "${text}"; allowed: a name, =, a command`);
    else commands.push(peer);
  }
  const flags = Object.fromEntries(
    [...values].map(([name, given]) => [name, given[given.length - 1]]),
  );
  const named = words.patterns.length > 0 ? words.patterns : (flags.patterns ?? '').split(',');
  const defaults = defaultsFor(positionals[0] === COMPARE, named);
  try {
    const { variations, warnings } = readVariations(
      flags,
      defaults,
      values.get('sweep')?.[0],
      faults,
    );
    const { settings } = variations[0];
    const patterns = words.patterns.length > 0 ? words.patterns : settings.patterns;
    for (const pattern of patterns) {
      if (SUITES.has(pattern)) continue;
      faults.push(`${pattern} is no pattern${didYouMean(pattern, [...SUITES.keys(), COMPARE])}`);
    }
    const peers = allPeers(settings, words.peers, commands);
    if (faults.length === 0) faults.push(...findObstacles({ patterns, peers, variations }));
    const all = [
      ...warnings,
      ...variations.flatMap((one) => pinWarnings(one.settings)),
      ...leftOut(patterns, peers, settings),
    ];
    if (faults.length === 0) return { patterns, peers, variations, warnings: [...new Set(all)] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults.push(...error.faults);
  }
  throw new UsageError(faults);
}

/** A line on a terminal that is written over; elsewhere, such as in a pipe, a line a second. */
function observer(): BenchObserver {
  const { stderr } = process;
  if (stderr.isTTY) {
    const progress = (text: string): void => {
      stderr.write(`\r\u001b[2K${text.slice(0, (stderr.columns ?? 80) - 1)}`);
    };
    return { progress, onCell: () => progress('') };
  }
  let saidAt = performance.now();
  const progress = (text: string): void => {
    if (performance.now() - saidAt < PROGRESS_LINE_MS) return;
    saidAt = performance.now();
    stderr.write(`${text}\n`);
  };
  return { progress, onCell: () => {} };
}

/** Why a file cannot be written when the run is over; null when nothing is known against it. */
function unwritable(flag: string, file: string): string | null {
  if (file === '') return null;
  const folder = dirname(resolve(file));
  try {
    if (existsSync(file)) {
      if (statSync(file).isDirectory()) return `--${flag} ${file} is a folder`;
      accessSync(file, constants.W_OK);
    } else {
      if (!statSync(folder).isDirectory()) return `--${flag} ${file}: ${folder} is no folder`;
      accessSync(folder, constants.W_OK);
    }
    return null;
  } catch (error) {
    const isAbsent = errorCode(error) === 'ENOENT';
    const why = isAbsent ? `there is no folder ${folder}` : 'no permission';
    return `--${flag} ${file} cannot be written: ${why}`;
  }
}

/** Why a pattern cannot be run with these settings; null when nothing is known against it. */
function unsuited(pattern: string, settings: BenchSettings): string | null {
  const { shared, protocol, transport } = settings;
  const { isTcpOnly = false } = SUITES.get(pattern)!;
  if (isTcpOnly && transport !== 'tcp') return `--transport is not for ${pattern}: it is tcp there`;
  if (SCENARIO_NAMES.includes(pattern)) {
    if (shared > 0) return `--shared is not for ${pattern}, whose name says all`;
    return areOfScenarios(settings)
      ? null
      : `${pattern} has QoS 1 and 16 bytes: run it without --qos, --payload, patterns`;
  }
  const { canShare = false, isOfOneKind = false } = SUITES.get(pattern)!;
  if (shared > 0 && !canShare) return `--shared is not for ${pattern}`;
  const isMixed = protocol.publishers !== protocol.subscribers;
  if (!isMixed || !isOfOneKind) return null;
  return `--protocol: publishers of ${pattern} are its subscribers, and speak one version`;
}

/** What a run would fail by at its end, or that would spoil it, seen beforehand. */
function findObstacles({ patterns, peers, variations }: Omit<Request, 'warnings'>): string[] {
  const { json, html, svg } = variations[0].settings;
  const files = [unwritable('json', json), unwritable('html', html), unwritable('svg', svg)];
  const descriptors = descriptorsMax();
  const connections = variations.flatMap(({ settings }) =>
    patterns.map((pattern) => {
      const needed = SUITES.get(pattern)!.connections(settings) + DESCRIPTORS_BESIDE;
      return needed <= descriptors
        ? null
        : `${pattern} needs ${needed} descriptors, and a process may have ${descriptors} here: ` +
            'raise them with ulimit -n, or lower --clients';
    }),
  );
  const unfit = variations.flatMap(({ settings }) =>
    patterns.map((pattern) => unsuited(pattern, settings)),
  );
  const dumb = variations.flatMap(({ settings }) =>
    peers.map((peer) => unspoken(peer, settings.transport)),
  );
  const all = [...files, ...peers.map(missing), ...dumb, ...connections, ...unfit];
  return [...new Set(all.filter((text) => text !== null))];
}

/** Says which brokers that a pattern measures beside ours are not here. */
function leftOut(
  patterns: readonly string[],
  peers: readonly Peer[],
  settings: BenchSettings,
): string[] {
  if (!peers.includes(OURS)) return [];
  return patterns.flatMap((pattern) =>
    (SUITES.get(pattern)?.peers?.(settings) ?? []).flatMap((peer) => {
      const why = missing(peer);
      return why === null ? [] : [`${pattern} is run without ${peer.name}: ${why}`];
    }),
  );
}

/** Says when broker and generator, kept on cores of their own, have to share some. */
function pinWarnings({ pin, workers, loadThreads }: BenchSettings): string[] {
  const cores = availableParallelism();
  const shared = Math.min(workers, cores) + Math.min(loadThreads, cores) - cores;
  if (!pin || shared <= 0) return [];
  return [
    `--pin: ${workers} workers and ${loadThreads} load threads share ${shared} of ${cores} ` +
      'cores: what the generator takes there the broker lacks',
  ];
}

/** Writes the files that were asked for. */
function writeReports(results: Results, { json, html, svg }: BenchSettings): void {
  if (json !== '') writeFileSync(json, `${JSON.stringify(results, null, 1)}\n`);
  if (html !== '') writeFileSync(html, reportHtml(results));
  const chart = svg === '' ? null : mainChart(results);
  if (chart !== null) writeFileSync(svg, chart);
}

/**
 * Runs the command. @returns 1 when a message was lost, duplicated or reordered.
 * @throws UsageError; BenchError when a broker cannot be started or reached.
 */
export async function run(args: readonly string[]): Promise<number> {
  if (splitArgs(FLAGS, args).values.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const { warnings, ...request } = readRequest(args);
  endBrokersOnSignals();
  for (const warning of warnings) process.stderr.write(`surgemq: ${warning}\n`);
  const command = ['surgemq', 'bench', ...args].map(quoted).join(' ');
  const results = await runBench({ ...request, command }, observer());
  process.stdout.write(reportText(results));
  writeReports(results, request.variations[0].settings);
  return hasPassed(results) ? 0 : 1;
}

/** An argument as a shell would take it. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
