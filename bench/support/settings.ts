/** The settings of the benchmark suites: one table for the environment, the flags and `--help`. */
import { processEnvironment } from '../../src/base/config.js';
import { ConfigError } from '../../src/base/errors.js';
import { LISTENER_KINDS, type ListenerKind } from '../../src/base/listener-config.js';
import {
  loadSettings,
  type Relation,
  type Setting,
  type SettingsTable,
} from '../../src/base/settings.js';
import { CONFIG_SETTINGS } from '../../src/base/settings-table.js';
import * as type from '../../src/base/value-type.js';
import { DURABLE_ROWS } from './durable-rows.js';
import { FLOODS, NO_FLOOD } from './floods.js';
import { type LoadVersion, PAYLOAD_BYTES_MIN } from './frame-format.js';
import { defaultThreads } from './load.js';

/** Protocol levels of a load. */
export interface LoadProtocol {
  readonly publishers: LoadVersion;
  readonly subscribers: LoadVersion;
}

/** What a run is asked for. */
export interface BenchSettings {
  /** Names of suites, by commas. */
  readonly patterns: readonly string[];
  /** The many side of a pattern; 0: what the pattern has by itself. */
  readonly clients: number;
  /** Messages of each publisher; 0: as many as go in the duration. */
  readonly messages: number;
  readonly durationMs: number;
  /** Same traffic on the same connections before the measured part. */
  readonly warmupMs: number;
  readonly payloadBytes: number;
  readonly qos: 0 | 1 | 2;
  /** Of publishers, and of subscribers. */
  readonly protocol: LoadProtocol;
  /** How clients reach the broker. */
  readonly transport: ListenerKind;
  /** User Properties on each message. */
  readonly properties: number;
  /** Publishers give their topics aliases, subscribers take such from the broker. */
  readonly topicAlias: boolean;
  /** Subscribers in each group of a Shared Subscription; 0: each gets everything. */
  readonly shared: number;
  /** QoS 1 and 2 messages of a publisher sent and not acknowledged. */
  readonly window: number;
  /** One topic for all, or one for each publisher. */
  readonly topics: 'shared' | 'own';
  /** Topics that a publisher goes through; 0 never repeats one. */
  readonly topicCount: number;
  /** Messages in one write; 0: as many as fit 64 KiB. */
  readonly batch: number;
  /** Messages a second of all publishers in paced and mixed. */
  readonly rate: number;
  /** What fair floods with, one after the other. */
  readonly floods: readonly string[];
  /** Rows of durable, one after the other. */
  readonly rows: readonly string[];
  /** Percent of the numbers that durable has: sessions, queued messages, topics. */
  readonly scale: number;
  /** Filters held while subscribe measures, retained messages of retained. */
  readonly count: number;
  /** Workers of the broker under test. */
  readonly workers: number;
  /** A running broker; empty: one is started. */
  readonly host: string;
  readonly port: number;
  /** Process of the running broker, for its CPU and memory; 0: they are left out. */
  readonly pid: number;
  readonly loadThreads: number;
  readonly rounds: number;
  readonly pin: boolean;
  readonly stallMs: number;
  /** Deliveries outstanding above which publishers wait. */
  readonly ahead: number;
  /** Files to write; empty: none. */
  readonly json: string;
  readonly html: string;
  readonly svg: string;
}

/** Where results are more than a number off, the setting says so by its name. */
const QOS: type.ValueType<0 | 1 | 2> = {
  allowed: '0, 1 or 2',
  placeholder: 'number',
  read: (given) => ([0, 1, 2] as const).find((qos) => String(qos) === String(given).trim()),
  show: String,
};
const VERSIONS: readonly LoadVersion[] = [4, 5];
const PROTOCOL: type.ValueType<LoadProtocol> = {
  allowed: '4, 5, 4:5, 5:4',
  placeholder: 'level',
  read: (given) => {
    const [publishers, subscribers = publishers, ...rest] = String(given).trim().split(':');
    const levels = [publishers, subscribers].map((word) =>
      VERSIONS.find((version) => String(version) === word),
    );
    if (levels[0] === undefined || levels[1] === undefined || rest.length > 0) return undefined;
    return { publishers: levels[0], subscribers: levels[1] };
  },
  show: ({ publishers, subscribers }) =>
    publishers === subscribers ? String(publishers) : `${publishers}:${subscribers}`,
};
const TOPICS: type.ValueType<'shared' | 'own'> = {
  allowed: 'shared, own',
  placeholder: 'word',
  read: (given) => (['shared', 'own'] as const).find((word) => word === String(given).trim()),
  show: (value) => value,
};
const TRANSPORT: type.ValueType<ListenerKind> = {
  ...type.oneOf(LISTENER_KINDS),
  read: (given) => LISTENER_KINDS.find((kind) => kind === String(given).trim()),
};
const TEXT: type.ValueType<string> = {
  allowed: 'text',
  placeholder: 'text',
  read: (given) => (typeof given === 'string' ? given.trim() : undefined),
  show: (value) => value,
};
const FILE: type.ValueType<string> = { ...TEXT, placeholder: 'file' };
const WORDS: type.ValueType<readonly string[]> = {
  allowed: 'names by commas',
  placeholder: 'name,…',
  read: (given) => (typeof given === 'string' ? given.split(',').map((w) => w.trim()) : undefined),
  show: (words) => words.join(','),
};
/** Some of these names. */
function wordsOf(names: readonly string[]): type.ValueType<readonly string[]> {
  return {
    ...WORDS,
    allowed: `${names.join(', ')}; by commas`,
    read: (given) => {
      const words = WORDS.read(given);
      return words?.every((word) => names.includes(word)) ? words : undefined;
    },
  };
}
const FLOOD_NAMES: readonly string[] = [NO_FLOOD, ...FLOODS.keys()];
const HOUR_MS = 3_600_000;

function setting<T>(
  name: string,
  valueType: type.ValueType<T>,
  fallback: string,
  summary: string,
): Setting<T> {
  return {
    environment: `SURGEMQ_BENCH_${name.toUpperCase().replaceAll('-', '_')}`,
    flag: name,
    option: name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
    type: valueType,
    default: fallback,
    summary,
  };
}

function count(min: number, max: number): type.ValueType<number> {
  return type.wholeNumber({ min, max });
}

/** Every setting, in the order of `--help`. */
export const BENCH_SETTINGS: SettingsTable<BenchSettings> = {
  patterns: setting(
    'patterns',
    WORDS,
    'one,fan-in,fan-out,mesh',
    'Suites to run where none is named as an argument.',
  ),
  clients: setting(
    'clients',
    count(0, 100_000),
    '0',
    'The many of a pattern: publishers of fan-in, subscribers of fan-out, clients of mesh, ' +
      'pairs, connections, flooders. 0: its own number.',
  ),
  messages: setting(
    'messages',
    count(0, 1_000_000_000),
    '0',
    'Messages of each publisher in the measured part; 0: as many as go in the duration.',
  ),
  durationMs: setting(
    'duration',
    type.duration({ min: 10, max: HOUR_MS }, 1),
    '3s',
    'For how long publishers publish in the measured part.',
  ),
  warmupMs: setting(
    'warmup',
    type.duration({ min: 0, max: HOUR_MS }, 1),
    '1s',
    'The same load on the same connections before that, which is not measured.',
  ),
  payloadBytes: setting(
    'payload',
    type.bytes({ min: PAYLOAD_BYTES_MIN, max: 16 * 1024 * 1024 }),
    '64',
    'Payload of each message.',
  ),
  qos: setting('qos', QOS, '0', 'QoS of messages and of subscriptions.'),
  protocol: setting(
    'protocol',
    PROTOCOL,
    '4',
    'Protocol level of the clients: 4 is MQTT 3.1.1, 5 is 5.0; two of them: of publishers and of ' +
      'subscribers.',
  ),
  transport: setting(
    'transport',
    TRANSPORT,
    'tcp',
    'How clients reach the broker; a running one by ws and wss at /mqtt, by unix at the path ' +
      'that --host is.',
  ),
  properties: setting(
    'properties',
    count(0, 100),
    '0',
    'User Properties on each message, with names of 11 and values of 16 characters.',
  ),
  topicAlias: setting(
    'topic-alias',
    type.trueOrFalse(),
    'false',
    'Publishers give each topic an alias, subscribers take such from the broker.',
  ),
  shared: setting(
    'shared',
    count(0, 10_000),
    '0',
    'Subscribers in each group of a Shared Subscription: a group gets each message once. 0: each ' +
      'subscriber gets it. For one, fan-in, fan-out and mesh.',
  ),
  window: setting(
    'window',
    count(1, 16_384),
    '1000',
    'QoS 1 and 2 messages that a publisher may have sent and not seen acknowledged.',
  ),
  topics: setting(
    'topics',
    TOPICS,
    'shared',
    'Whether publishers of fan-in and mesh share one topic or have one each.',
  ),
  topicCount: setting(
    'topic-count',
    count(0, 1_000_000_000),
    '1',
    'Topics that each publisher goes through, message by message; 0: it never comes back to one.',
  ),
  batch: setting(
    'batch',
    count(0, 100_000),
    '0',
    'Messages that a publisher puts in one write; 0: as many as fit 64 KiB.',
  ),
  rate: setting(
    'rate',
    count(1, 10_000_000),
    '20000',
    'Messages a second of all publishers together, in paced and mixed.',
  ),
  count: setting(
    'count',
    count(1, 10_000_000),
    '100000',
    'Filters of subscribe, messages of retained.',
  ),
  floods: setting(
    'floods',
    wordsOf(FLOOD_NAMES),
    FLOOD_NAMES.join(','),
    `What fair floods with, one after the other: ${[...FLOODS.values()]
      .map(({ name, summary }) => `${name}: ${summary}`)
      .join('; ')}.`,
  ),
  rows: setting(
    'rows',
    wordsOf(Object.keys(DURABLE_ROWS)),
    Object.keys(DURABLE_ROWS)
      .filter((row) => row !== 'start')
      .join(','),
    `What durable measures, one after the other. ${Object.entries(DURABLE_ROWS)
      .map(([name, summary]) => `${name}: ${summary}`)
      .join('; ')}.`,
  ),
  scale: setting(
    'scale',
    count(1, 1_000),
    '100',
    'Percent of the numbers of durable: of sessions, of messages that wait, of topics.',
  ),
  workers: { ...CONFIG_SETTINGS.workers, summary: 'Worker threads of the broker under test.' },
  host: setting('host', TEXT, '', 'A running broker to measure instead of starting one.'),
  port: setting('port', count(1, 65_535), '1883', 'Its port.'),
  pid: setting('pid', count(0, 2 ** 31), '0', 'Its process, for CPU and memory; 0: without.'),
  loadThreads: setting(
    'load-threads',
    count(1, 64),
    String(defaultThreads()),
    'Threads of the load generator; paced and mixed have one more, that only sends.',
  ),
  rounds: setting('rounds', count(1, 1_000), '1', 'Rounds; results are medians.'),
  pin: setting(
    'pin',
    type.trueOrFalse(),
    'false',
    'Keep broker and generator on cores of their own (taskset): as many of the first as it has ' +
      'workers for the broker, as many of the last as it has threads for the generator.',
  ),
  stallMs: setting(
    'stall',
    type.duration({ min: 100, max: HOUR_MS }, 1),
    '10s',
    'Without any progress for this long, what is missing counts as lost.',
  ),
  ahead: setting(
    'ahead',
    count(1, 1_000_000_000),
    '200000',
    'Deliveries outstanding above which publishers wait, so that the end of a run against a slow ' +
      'broker is not spent on what stood in socket buffers. A fast one never gets there.',
  ),
  json: setting('json', FILE, '', 'Write results and settings to this file, as JSON.'),
  html: setting('html', FILE, '', 'Write a page with charts to this file.'),
  svg: setting('svg', FILE, '', 'Write the bar chart alone to this file.'),
};

const RELATIONS: readonly Relation<BenchSettings>[] = [
  {
    settings: ['pid', 'host'],
    severity: 'fault',
    check: ({ pid, host }) =>
      pid !== 0 && host === '' ? 'it belongs to a running broker, which host names' : undefined,
  },
  {
    settings: ['properties', 'protocol'],
    severity: 'fault',
    check: ({ properties, protocol }) =>
      properties > 0 && protocol.publishers !== 5 ? 'only publishers of 5.0 can' : undefined,
  },
  {
    settings: ['topicAlias', 'protocol'],
    severity: 'fault',
    check: ({ topicAlias, protocol }) =>
      topicAlias && protocol.publishers !== 5 && protocol.subscribers !== 5
        ? 'only clients of 5.0 know them'
        : undefined,
  },
  {
    settings: ['topicAlias', 'topicCount'],
    severity: 'fault',
    check: ({ topicAlias, topicCount }) =>
      topicAlias && topicCount === 0 ? 'topics that never come back need no alias' : undefined,
  },
];

/**
 * Reads the settings: defaults < environment < flags.
 * @param flags by flag name without dashes, as text.
 * @throws ConfigError with a line for every fault.
 */
export function loadBenchSettings(
  flags: Readonly<Record<string, string>>,
  environment: NodeJS.ProcessEnv = processEnvironment(),
): { readonly settings: BenchSettings; readonly warnings: readonly string[] } {
  const { values, faults, warnings } = loadSettings<BenchSettings>(
    BENCH_SETTINGS,
    { environment, flags },
    { prefix: 'SURGEMQ_BENCH_', relations: RELATIONS },
  );
  if (faults.length > 0) throw new ConfigError(faults);
  return { settings: values, warnings };
}
