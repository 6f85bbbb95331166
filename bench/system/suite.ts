/** What every suite of this folder exports. */
import type { SuiteContext } from '../support/measure-load.js';
import type { Peer } from '../support/peers.js';
import type { Round } from '../support/results.js';
import type { BenchSettings } from '../support/settings.js';

/** One pattern of load. */
export interface Suite {
  /** Its name on the command line. */
  readonly name: string;
  /** What it does, for the help text and the reports. */
  readonly summary: string;
  /**
   * What it consists of, where it has parts: each is measured and shown by itself, against brokers
   * of its own. `settings` are what the part has in place of the run's.
   */
  parts?(settings: BenchSettings): readonly {
    readonly label: string;
    readonly settings: Partial<BenchSettings>;
  }[];
  /** Brokers that it measures in the place of ours alone; those that are not here are left out. */
  peers?(settings: BenchSettings): readonly Peer[];
  /** Its subscribers can be put into groups of Shared Subscriptions. */
  readonly canShare?: boolean;
  /** Its publishers are its subscribers, who speak one version. */
  readonly isOfOneKind?: boolean;
  /** Some of its clients speak TCP alone. */
  readonly isTcpOnly?: boolean;
  /** Connections that are open at once with these settings, or a few more. */
  connections(settings: BenchSettings): number;
  /** Measures the broker once. */
  run(context: SuiteContext): Promise<Round>;
}
