/** Runs suites against brokers, rounds interleaved, and gathers the results. */
import type { Suite } from '../system/suite.js';
import { SUITES } from '../system/suites.js';
import { BenchError } from './bench-error.js';
import { isListening } from './broker-child.js';
import {
  type BrokerUnderTest,
  canPin,
  pinGenerator,
  runningBroker,
  startBroker,
} from './broker-process.js';
import { missing, OURS, type Peer } from './peers.js';
import { type Cell, commit, machine, type Results, type Round } from './results.js';
import type { BenchSettings } from './settings.js';

/** One setting of a sweep. */
export interface Variation {
  /** Such as `workers=2`; empty when there is no sweep. */
  readonly label: string;
  readonly settings: BenchSettings;
}

/** What to run. */
export interface BenchPlan {
  /** Names of suites, known ones. */
  readonly patterns: readonly string[];
  /** The first is what the others are compared with. */
  readonly peers: readonly Peer[];
  readonly variations: readonly Variation[];
  /** The command line, for the record. */
  readonly command: string;
}

/** Told what is going on. */
export interface BenchObserver {
  /** Each text replaces the last. */
  progress(text: string): void;
  /** One cell is done. */
  onCell(cell: Cell): void;
}

/** Starts, or finds, the broker of a peer. @throws BenchError when there is none. */
async function openPeer(peer: Peer, settings: BenchSettings): Promise<BrokerUnderTest> {
  const { workers, pin, transport } = settings;
  if (peer.kind === 'started') return startBroker(peer.name, peer.how, workers, pin, transport);
  const port = transport === 'unix' ? 0 : peer.port;
  if (!(await isListening(port, peer.host))) {
    throw new BenchError(`nothing takes connections at ${peer.host}:${peer.port}: is it running?`);
  }
  return runningBroker(peer.name, peer.host, port, peer.pid, transport);
}

/** Brokers to measure with a suite: in the place of ours those that it brings itself. */
function peersOf(peers: readonly Peer[], suite: Suite, settings: BenchSettings): readonly Peer[] {
  const own = suite.peers?.(settings).filter((peer) => missing(peer) === null);
  return own === undefined ? peers : peers.flatMap((peer) => (peer === OURS ? own : [peer]));
}

/**
 * One suite against all peers: their brokers run side by side, and the rounds go round among them,
 * there and back, so that what disturbs the machine disturbs all of them alike and none is always
 * behind the same other. A broker serves one suite and no more.
 */
async function runPattern(
  plan: BenchPlan,
  pattern: string,
  { label, settings }: Variation,
  observer: BenchObserver,
): Promise<Cell[]> {
  const suite = SUITES.get(pattern)!;
  const brokers: BrokerUnderTest[] = [];
  try {
    for (const peer of peersOf(plan.peers, suite, settings)) {
      observer.progress(`starting ${peer.name}`);
      brokers.push(await openPeer(peer, settings));
    }
    const rounds: Round[][] = brokers.map(() => []);
    for (let round = 1; round <= settings.rounds; round++) {
      const order = [...brokers.entries()];
      if (round % 2 === 0) order.reverse();
      for (const [index, broker] of order) {
        const what = [pattern, label, broker.name, `round ${round} of ${settings.rounds}`];
        const prefix = what.filter((word) => word !== '').join(', ');
        const progress = (text: string): void => observer.progress(`${prefix}: ${text}`);
        rounds[index].push(await suite.run({ settings, broker, progress }));
      }
    }
    return brokers.map(({ name }, index) => ({
      pattern,
      peer: name,
      variation: label,
      rounds: rounds[index],
    }));
  } finally {
    await Promise.all(brokers.map((broker) => broker.close()));
  }
}

/** What a suite measures with one setting of a sweep: its parts, or all in one. */
function partsOf(pattern: string, { label, settings }: Variation): Variation[] {
  const parts = SUITES.get(pattern)!.parts?.(settings) ?? [{ label: '', settings: {} }];
  return parts.map((part) => ({
    label: `${label} ${part.label}`.trim(),
    settings: { ...settings, ...part.settings },
  }));
}

/** All brokers that a plan measures, each once. */
function allPeersOf({ patterns, peers, variations }: BenchPlan): readonly Peer[] {
  const all = patterns.flatMap((pattern) =>
    partsOf(pattern, variations[0]).flatMap(({ settings }) =>
      peersOf(peers, SUITES.get(pattern)!, settings),
    ),
  );
  return [...new Map(all.map((peer) => [peer.name, peer])).values()];
}

/** Runs everything. @throws BenchError when a broker cannot be started or a connection fails. */
export async function runBench(plan: BenchPlan, observer: BenchObserver): Promise<Results> {
  const { settings } = plan.variations[0];
  if (settings.pin) {
    if (!canPin()) throw new BenchError('--pin needs taskset, which is not here');
    pinGenerator(settings.loadThreads);
  }
  const cells: Cell[] = [];
  for (const pattern of plan.patterns) {
    const variations = plan.variations.flatMap((variation) => partsOf(pattern, variation));
    for (const variation of variations) {
      const some = await runPattern(plan, pattern, variation, observer);
      for (const cell of some) observer.onCell(cell);
      cells.push(...some);
    }
  }
  return {
    version: 1,
    date: new Date().toISOString(),
    command: plan.command,
    commit: commit(),
    machine: machine(),
    settings,
    peers: allPeersOf(plan).map(({ name, settings: how }) => ({ name, settings: how })),
    cells,
  };
}
