/** What every suite of this folder exports. */
import type { SuiteContext } from '../support/measure-load.js';
import type { Round } from '../support/results.js';

/** One pattern of load. */
export interface Suite {
  /** Its name on the command line. */
  readonly name: string;
  /** What it does, for the help text and the reports. */
  readonly summary: string;
  /** Measures the broker once. */
  run(context: SuiteContext): Promise<Round>;
}
