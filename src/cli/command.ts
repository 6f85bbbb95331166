/** What main.ts runs: a subcommand of `surgemq`. */

/** A subcommand's module, loaded only when it is asked for. */
export interface Command {
  /**
   * Runs the command to its end.
   * @param args what stands behind the command's name.
   * @returns exit code of the process.
   * @throws UsageError, ConfigError, or an error of the system: main.ts says each in one line, exit
   * code 1.
   */
  run(args: readonly string[]): Promise<number>;
  /** True for what goes on when nobody takes its output any more: the broker. */
  readonly outlivesOutput?: boolean;
}
