/** Logging. Everything off the hot path says what happened through a Logger; pino is one, so is a test's array. */
import { type DestinationStream, pino } from 'pino';
import { build as pretty } from 'pino-pretty';

/** What the code needs of a logger: fields first, then a message that is the same text every time. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Levels from most to least said; `silent` says nothing. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where log lines go: a stream, of which only `write` is used. On a terminal (`isTTY`) they are pretty. */
export interface LogDestination extends DestinationStream {
  readonly isTTY?: boolean;
}

/**
 * Makes a pino logger that writes at once, in this thread: a line said before a crash or an exit is
 * out. Nothing logs per message, so the cost does not matter, and no worker thread is needed for it.
 * @param level one of LOG_LEVELS.
 * @param destination default: standard output.
 */
export function createLogger(level: string, destination: LogDestination = process.stdout): Logger {
  if (destination.isTTY === true) {
    const options = { colorize: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' };
    return pino({ level }, pretty({ ...options, sync: true, destination: destination as never }));
  }
  const isStdout = destination === process.stdout;
  return pino({ level }, isStdout ? pino.destination({ fd: 1, sync: true }) : destination);
}

/** Says nothing: the default of a server embedded in another program. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
