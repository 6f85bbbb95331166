/** `surgemq serve`: runs the broker until a signal stops it. */
import { type Config, type LoadedConfig, loadConfig } from '../base/config.js';
import { ConfigError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { CONFIG_SETTINGS } from '../base/settings-table.js';
import { showBytes, wholeNumber } from '../base/value-type.js';
import type { Server } from '../primary/server.js';
import { type Flag, flagsHelp, splitArgs } from './args.js';
import { openLog } from './log-output.js';
import { npmIsGone } from './npm-start.js';
import { packageVersion } from './package-version.js';

const SETTINGS = Object.values(CONFIG_SETTINGS);

/** Exit codes of a process that a signal ended: 128 and its number. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNAL_EXIT_CODES;

/** One flag for each setting, described by the setting. */
const SERVE_FLAGS: readonly Flag[] = [
  ...SETTINGS.map(({ flag, type, environment, summary, default: fallback }) => ({
    name: flag,
    ...(type.placeholder === '' ? { isBoolean: true } : { placeholder: type.placeholder }),
    isRepeatable: flag === CONFIG_SETTINGS.listen.flag,
    summary: `${summary} Allowed: ${type.allowed}. [${environment}, default ${fallback}]`,
  })),
  {
    name: 'port',
    short: 'p',
    placeholder: 'port',
    summary: 'Listens at this port of 127.0.0.1: short for --listen.',
  },
  { name: 'help', short: 'h', summary: 'Shows this text.' },
  { name: 'version', short: 'v', summary: 'Shows the version.' },
];
const portNumber = wholeNumber({ min: 0, max: 65_535 });

const HELP = `Usage: surgemq serve [flags]

Runs the broker until SIGTERM or SIGINT; a second signal ends it at once. SIGUSR2 has it write its
counters to the log.
Settings come from the environment and, stronger, from flags:

${flagsHelp(SERVE_FLAGS)}
`;

/** Flags as loadConfig takes them: each address of a repeated --listen counts, --port as well. */
function settingFlags(values: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  const { listen } = CONFIG_SETTINGS;
  const flags = Object.fromEntries([...values].map(([name, given]) => [name, given.join(',')]));
  const port = values.get('port')?.at(-1);
  if (port === undefined || portNumber.read(port) === undefined) return flags;
  return { ...flags, [listen.flag]: [...(values.get(listen.flag) ?? []), port].join(',') };
}

/**
 * Checks flags and environment together, so that every fault is said at once under the name its
 * user gave it.
 * @throws ConfigError
 */
function checkedConfig(args: readonly string[]): LoadedConfig {
  const { values, positionals, faults } = splitArgs(SERVE_FLAGS, args);
  const all = [...faults, ...positionals.map((word) => `${word} is no flag of serve`)];
  const port = values.get('port')?.at(-1);
  if (port !== undefined && portNumber.read(port) === undefined) {
    all.push(`--port is "${port}"; allowed: ${portNumber.allowed}`);
  }
  try {
    const loaded = loadConfig({}, settingFlags(values));
    if (all.length === 0) return loaded;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    all.push(...error.faults);
  }
  throw new ConfigError(all);
}

/** One line that says what this broker is and where its limits are. */
function logStart(logger: Logger, server: Server, config: Config): void {
  const fields = {
    listeners: server.addresses.map(({ uri }) => uri),
    workers: config.workers,
    maxConnections: config.maxConnections,
    maxPacket: showBytes(config.maxPacketBytes),
    maxInflight: config.maxInflight,
    maxQueuedMessages: config.maxQueuedMessages,
    maxQueued: showBytes(config.maxQueuedBytes),
    outbox: showBytes(config.outboxBytes),
    ring: showBytes(config.ringBytes),
  };
  logger.info(fields, 'broker is listening');
}

/** What ends the broker in order, as its log says it. */
type StopCause = { readonly signal: StopSignal } | { readonly reason: string };

/**
 * Resolves at the first stop signal, or when npm is gone that started the broker; a further signal
 * ends the process where it stands.
 */
function stopCause(): Promise<StopCause> {
  return new Promise((resolve) => {
    let isStopping = false;
    void npmIsGone().then(() => {
      isStopping = true;
      resolve({ reason: 'npm, which started it, is gone' });
    });
    for (const signal of Object.keys(SIGNAL_EXIT_CODES) as StopSignal[]) {
      process.on(signal, () => {
        if (isStopping) process.exit(SIGNAL_EXIT_CODES[signal]);
        isStopping = true;
        resolve({ signal });
      });
    }
  });
}

/**
 * Hears the signals that would do something else if nobody did: SIGHUP, a terminal that was closed
 * or an operator who wants settings read again, would end the process; SIGUSR1 would have Node open
 * a debugger's port, through which whoever may connect to it runs code in here.
 */
function hearOtherSignals(logger: Logger): void {
  process.on('SIGHUP', () => {
    logger.info({ signal: 'SIGHUP' }, 'signal heard; settings are read at the start only');
  });
  process.on('SIGUSR1', () => {
    logger.info({ signal: 'SIGUSR1' }, 'signal heard; no debugger is opened');
  });
}

/**
 * Logs what the broker says of itself whenever SIGUSR2 asks for it. Whoever asks wants the answer,
 * so it does not go by the log level. Set up before the broker listens: unheard, the signal would
 * end the process.
 */
function logStatsOnSignal(server: Server, logger: Logger): void {
  process.on('SIGUSR2', () => logger.info({ stats: server.stats() }, 'stats'));
}

/** A broker serves on when its log is not taken any more: see log-sink.ts. */
export const outlivesOutput = true;

/** Runs the broker. @throws ConfigError, ServerError */
export async function run(args: readonly string[]): Promise<number> {
  const asked = splitArgs(SERVE_FLAGS, args).values;
  if (asked.has('help') || asked.has('version')) {
    process.stdout.write(asked.has('help') ? HELP : `${packageVersion()}\n`);
    return 0;
  }
  const loaded = checkedConfig(args);
  const { logger, answers } = openLog(loaded.config.logLevel);
  const stopped = stopCause();
  hearOtherSignals(logger);
  // Only now: help and faults need no broker.
  const { Server } = await import('../primary/server.js');
  const server = new Server({ logger }, loaded);
  const failed = new Promise<Error>((resolve) => server.once('failed', resolve));
  logStatsOnSignal(server, answers);
  await server.listenAndServe();
  logStart(logger, server, loaded.config);
  const outcome = await Promise.race([stopped, failed]);
  if (outcome instanceof Error) {
    process.stderr.write(`surgemq: the broker gave up: ${outcome.message}\n`);
    await server.close();
    return 1;
  }
  logger.info(outcome, 'broker is stopping');
  await server.close();
  logger.info({}, 'broker has stopped');
  return 0;
}
