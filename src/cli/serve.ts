/** `surgemq serve`: runs the broker until a signal stops it. */
import type { Config } from '../base/config.js';
import type { Logger } from '../base/log.js';
import { tuneCollector } from '../base/tune-collector.js';
import { showBytes } from '../base/value-type.js';
import type { Server } from '../primary/server.js';
import { flagsHelp, splitArgs } from './args.js';
import { controlSocketPath } from './control-directory.js';
import type { ControlSocket } from './control-socket.js';
import { type CommandLog, openLog } from './log-output.js';
import { npmIsGone } from './npm-start.js';
import { packageVersion } from './package-version.js';
import { checkedConfig, SERVE_FLAGS } from './serve-config.js';

/** Exit codes of a process that a signal ended: 128 and its number. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNAL_EXIT_CODES;

const HELP = `Usage: surgemq serve [flags]

Runs the broker until SIGTERM or SIGINT; a second signal ends it at once. SIGHUP has it read its
configuration again, as surgemq reload does. SIGUSR2 has it write its counters to the log.
Settings come from a configuration file, the environment and, stronger, from flags:

${flagsHelp(SERVE_FLAGS)}
`;

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
 * Unheard, SIGUSR1 would have Node open a debugger's port, through which whoever may connect to it
 * runs code in here; and SIGHUP would end the process before there is something to reload.
 */
function hearOtherSignals(logger: Logger): void {
  process.on('SIGHUP', () => logger.debug({ signal: 'SIGHUP' }, 'signal heard'));
  process.on('SIGUSR1', () => {
    logger.info({ signal: 'SIGUSR1' }, 'signal heard; no debugger is opened');
  });
}

/**
 * Has SIGHUP, an operator's wish or the end of a terminal, read the configuration again. What is
 * wrong with it is logged by the server, and everything stays as it was.
 */
function reloadOnSignal(server: Server, log: CommandLog, listening: Promise<void>): void {
  process.on('SIGHUP', () => void listening.then(() => server.reload()).catch(() => {}));
  server.on('reloaded', () => log.setLevel(server.config.logLevel));
}

/** Opens the control socket. A broker runs without one: it is said, and no reason to end. */
async function openControl(server: Server, logger: Logger): Promise<ControlSocket | null> {
  const path = controlSocketPath(server.config.controlSocket, process.pid);
  if (path === null) return null;
  const { openControlSocket } = await import('./control-socket.js');
  try {
    return await openControlSocket(path, server);
  } catch (error) {
    logger.warn({ err: error }, 'surgemq reload does not reach this broker');
    return null;
  }
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
  const log = openLog(loaded.config.logLevel);
  const { logger, answers } = log;
  const stopped = stopCause();
  hearOtherSignals(logger);
  tuneCollector();
  // Only now: help and faults need no broker.
  const { Server } = await import('../primary/server.js');
  const server = new Server({ logger }, loaded);
  const failed = new Promise<Error>((resolve) => server.once('failed', resolve));
  logStatsOnSignal(server, answers);
  const listening = server.listenAndServe();
  reloadOnSignal(server, log, listening);
  await listening;
  logStart(logger, server, loaded.config);
  const control = await openControl(server, logger);
  const outcome = await Promise.race([stopped, failed]);
  control?.close();
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
