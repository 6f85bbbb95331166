/** Runs of the suites so small that they only show whether a suite works. */
import type { Peer } from '../../bench/support/peers.js';
import type { Cell, Results } from '../../bench/support/results.js';
import { runBench } from '../../bench/support/run-bench.js';
import { loadBenchSettings } from '../../bench/support/settings.js';

/** A broker that runs in this process. */
export function peerAt(port: number, host = '127.0.0.1'): Peer {
  return {
    kind: 'running',
    name: 'tested',
    settings: 'in the process of the test',
    host,
    port,
    pid: process.pid,
  };
}

/** Runs suites once against the broker on `port`, by flags without their dashes. */
export async function runTiny(
  patterns: readonly string[],
  port: number,
  flags: Readonly<Record<string, string>> = {},
  host?: string,
): Promise<readonly Cell[]> {
  const { cells } = await runTinyWith(patterns, [peerAt(port, host)], flags);
  return cells;
}

/**
 * How long a run waits for what never comes, where that is what is tested. It is not shorter, since
 * what is only late counts as lost, too.
 */
export const LOSING = { stall: '3s' } as const;

/** Runs suites once against brokers that it may have to start. */
export function runTinyWith(
  patterns: readonly string[],
  peers: readonly Peer[],
  flags: Readonly<Record<string, string>> = {},
): Promise<Results> {
  const tiny = { messages: '300', duration: '100ms', warmup: '20ms', stall: '30s', ...flags };
  const { settings } = loadBenchSettings(tiny, {});
  return runBench(
    { patterns, peers, variations: [{ label: '', settings }], command: 'a test' },
    { progress: () => {}, onCell: () => {} },
  );
}
