/** `surgemq config`: what has to do with configuration files. */
import { configFileSchema } from '../base/config-file.js';
import { didYouMean } from '../base/nearest.js';
import { UsageError } from './args.js';
import { checkConfig } from './config-check.js';
import { readMosquittoConf } from './mosquitto-conf.js';
import { importedYaml, translate } from './mosquitto-import.js';

const HELP = `Usage: surgemq config check FILE [flags of serve] [--against BROKER]
       surgemq config import FILE
       surgemq config schema

  check   Prints what a broker with this file, this environment and these flags would go by, and
          where each value comes from. With --against only what is other than with the broker that
          runs: its process id, the path of its control socket, or auto for the only one.
  import  Prints a mosquitto.conf as a configuration file of ours; what has no counterpart is listed
          on standard error, with its line.
  schema  Prints the JSON schema of configuration files, for editors.
`;

/** What can be done, by its name. */
const ACTIONS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  check: checkConfig,
  async import(args) {
    const [path, ...others] = args;
    if (path === undefined || others.length > 0) {
      throw new UsageError(['config import needs one file: surgemq config import FILE']);
    }
    const translation = translate(readMosquittoConf(path));
    process.stdout.write(importedYaml(translation, path));
    for (const { from, why } of translation.untranslated) {
      process.stderr.write(`${from.place}: ${from.name} is not translated: ${why}\n`);
    }
    return 0;
  },
  async schema() {
    process.stdout.write(`${JSON.stringify(configFileSchema(), null, 2)}\n`);
    return 0;
  },
};

/** Runs `surgemq config`. @throws UsageError, ConfigError */
export async function run(args: readonly string[]): Promise<number> {
  const [name = '--help', ...rest] = args;
  if (name === '--help' || name === '-h' || rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) {
    const hint = didYouMean(name, Object.keys(ACTIONS)) || '; surgemq config --help lists them';
    throw new UsageError([`${name} is nothing that config does${hint}`]);
  }
  return action(rest);
}
