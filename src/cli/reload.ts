/** `surgemq reload`: has a running broker read its configuration again. */
import { type Flag, flagsHelp, splitArgs, UsageError } from './args.js';
import { askBroker } from './control-client.js';

const FLAGS: readonly Flag[] = [
  {
    name: 'pid',
    placeholder: 'number',
    summary: 'The broker of this process id. Default: the only one that this user runs.',
  },
  { name: 'socket', placeholder: 'path', summary: 'The broker with this control socket.' },
  { name: 'help', short: 'h', summary: 'Shows this text.' },
];

const HELP = `Usage: surgemq reload [flags]

Has a running broker read its configuration again: its file, and the files that this names. Where
anything is wrong it changes nothing, and this command says what, with exit code 1.

${flagsHelp(FLAGS)}
`;

/** Runs the command. @throws UsageError, ConfigError */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals, faults } = splitArgs(FLAGS, args);
  if (values.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const all = [...faults, ...positionals.map((word) => `${word} is no flag of reload`)];
  if (all.length > 0) throw new UsageError(all);
  const where = values.get('socket')?.at(-1) ?? values.get('pid')?.at(-1) ?? 'auto';
  const answer = await askBroker(where, { ask: 'reload' });
  if (!('reloaded' in answer)) throw new UsageError(['the broker has answered something else']);
  const { changed, needRestart, warnings } = answer.reloaded;
  for (const warning of warnings) process.stderr.write(`surgemq: ${warning}\n`);
  const what = changed.length === 0 ? 'nothing has changed' : `changed: ${changed.join(', ')}`;
  process.stdout.write(`reloaded; ${what}\n`);
  if (needRestart.length > 0) {
    process.stdout.write(`changed by a restart alone: ${needRestart.join(', ')}\n`);
  }
  return 0;
}
