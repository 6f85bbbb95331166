/** `surgemq store`: looks at what a broker keeps on disk, and copies it. */
import { didYouMean } from '../base/nearest.js';
import { type Flag, flagsHelp, type ParsedArgs, splitArgs, UsageError } from './args.js';
import { checkedConfig } from './serve-config.js';
import { backup, compact, restore } from './store-copy.js';
import { check, dump } from './store-read.js';

const FLAGS: readonly Flag[] = [
  {
    name: 'data-dir',
    short: 'd',
    placeholder: 'path',
    summary:
      'The folder of the store. Default: that of a broker with this environment: ' +
      'SURGEMQ_DATA_DIR, or ./surgemq-data.',
  },
  {
    name: 'config',
    short: 'c',
    placeholder: 'path',
    summary: 'A configuration file that says it.',
  },
  {
    name: 'in-process',
    summary: 'Has check read in this process, which a damaged page may end; else another one does.',
  },
  { name: 'help', short: 'h', summary: 'Shows this text.' },
];

const HELP = `Usage: surgemq store check [FILE] [flags]
       surgemq store dump [FILE] [flags]
       surgemq store backup FILE [flags]
       surgemq store restore FILE [flags]
       surgemq store compact [flags]

  check    Reads all there is, in the folder or a backup, and says what is wrong with it.
  dump     Prints all there is: a JSON object a line, payloads in base64.
  backup   Writes a consistent copy to a file that is not there yet.
  restore  Checks a backup, and puts it in the place of the store, which is kept beside it as
           store.mdb.replaced. The broker must not run.
  compact  Gives room that is not used any more back to the disk. The broker must not run.

check, dump and backup may be used while the broker runs: they see one moment of it. Exit code 0:
done, and nothing is wrong; 1: not.

${flagsHelp(FLAGS)}
`;

/** What an action works with. */
export interface StoreAction {
  /** The folder of the store. */
  readonly folder: string;
  /** The file that was named; undefined: none was. */
  readonly file: string | undefined;
  /** Whether a check may end this process. */
  readonly isInProcess: boolean;
}

/** What can be done, by its name. */
const ACTIONS: Readonly<Record<string, (action: StoreAction) => Promise<number>>> = {
  check,
  dump,
  backup,
  restore,
  compact,
};

/** Runs the command. @throws UsageError, ConfigError, Error of the system */
export async function run(args: readonly string[]): Promise<number> {
  const parsed = splitArgs(FLAGS, args);
  const [name = '--help', file, ...others] = parsed.positionals;
  if (parsed.values.has('help') || name === '--help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (!Object.hasOwn(ACTIONS, name)) {
    const hint = didYouMean(name, Object.keys(ACTIONS)) || '; surgemq store --help lists them';
    throw new UsageError([`${name} is nothing that store does${hint}`]);
  }
  const faults = [...parsed.faults, ...others.map((word) => `${word} is no flag of store`)];
  if (faults.length > 0) throw new UsageError(faults);
  // What it makes is its owner's alone, as the store is.
  process.umask(0o077);
  const isInProcess = parsed.values.has('in-process');
  return ACTIONS[name]({ folder: folderOf(parsed), file, isInProcess });
}

function folderOf({ values }: ParsedArgs): string {
  const given = values.get('data-dir')?.at(-1);
  if (given !== undefined) return given;
  const config = values.get('config')?.at(-1);
  const { config: loaded } = checkedConfig(
    config === undefined ? [] : ['--config', config],
    'store',
  );
  return loaded.dataDir;
}
