/**
 * Command-line flags by table. `parseArgs` of node:util does the splitting (long and short flags,
 * values after a space or `=`, `--`): it is well kept, and a library would add a dependency and no
 * more. It is used leniently and its tokens are checked here, because its strict mode stops at the
 * first fault.
 */
import { parseArgs } from 'node:util';
import { didYouMean } from '../base/nearest.js';

/** One flag of a command. */
export interface Flag {
  /** Long name without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** Stands for the value in the help text, such as `host`; without it the flag is a switch. */
  readonly placeholder?: string;
  /** May be given more than once; the values are kept in order. Otherwise the last one counts. */
  readonly isRepeatable?: boolean;
  /** A switch that can be turned off too: by `--no-name`, or by `false` behind it. */
  readonly isBoolean?: boolean;
  /** What it does, for the help text. */
  readonly summary: string;
}

/** What was on a command line. */
export interface ParsedArgs {
  /** Values by long name, in the order given; a switch without a value has the value `true`. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
  /** What is wrong, a line each: unknown flags, missing values. */
  readonly faults: readonly string[];
}

/** What was wrong with a command line, a line each; the command did nothing. */
export class UsageError extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.name = 'UsageError';
    this.faults = faults;
  }
}

const LINE_WIDTH_MAX = 100;
const HELP_INDENT = 6;

/**
 * Splits `args` by the flags of a command. Never throws; the caller adds its own faults and
 * decides.
 */
export function splitArgs(flags: readonly Flag[], args: readonly string[]): ParsedArgs {
  const options = Object.fromEntries(
    flags.map(({ name, short, placeholder }) => [
      name,
      {
        type: placeholder === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  const { tokens, positionals } = parseArgs({
    args: withBooleans(flags, args),
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const known = new Map(flags.map((flag) => [flag.name, flag]));
  const values = new Map<string, string[]>();
  const faults: string[] = [];
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const flag = known.get(token.name);
    if (flag === undefined) {
      const names = flags.map(({ name }) => `--${name}`);
      faults.push(`${token.rawName} is no flag${didYouMean(`--${token.name}`, names)}`);
    } else if (flag.placeholder !== undefined && token.value === undefined) {
      faults.push(`${token.rawName} needs a value: <${flag.placeholder}>`);
    } else {
      const value = token.value ?? 'true';
      const earlier = flag.isRepeatable === true ? (values.get(flag.name) ?? []) : [];
      values.set(flag.name, [...earlier, value]);
    }
  }
  return { values, positionals, faults };
}

/** The words with `--no-name` and `--name false` of boolean flags as `--name=false`. */
function withBooleans(flags: readonly Flag[], args: readonly string[]): string[] {
  const booleans = new Set(flags.filter(({ isBoolean }) => isBoolean).map(({ name }) => name));
  const words: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at];
    if (word === '--') return [...words, ...args.slice(at)];
    const name = word.replace(/^--(?:no-)?/, '');
    if (!word.startsWith('--') || !booleans.has(name)) words.push(word);
    else if (word.startsWith('--no-')) words.push(`--${name}=false`);
    else if (/^(?:true|false)$/i.test(args[at + 1] ?? '')) words.push(`--${name}=${args[++at]}`);
    else words.push(word);
  }
  return words;
}

/** Breaks a text into lines of `width` at most, each behind `indent` spaces. */
function wrapped(text: string, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > LINE_WIDTH_MAX) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((text) => `${' '.repeat(indent)}${text}`).join('\n');
}

/** The flags of a command, for its help text: a flag on one line, what it does below. */
export function flagsHelp(flags: readonly Flag[]): string {
  return flags
    .map(({ name, short, placeholder, isBoolean, summary }) => {
      const letter = short === undefined ? '' : `-${short}, `;
      const denial = isBoolean ? `, --no-${name}` : '';
      const value = placeholder === undefined ? '' : ` <${placeholder}>`;
      return `  ${letter}--${name}${denial}${value}\n${wrapped(summary, HELP_INDENT)}`;
    })
    .join('\n');
}
