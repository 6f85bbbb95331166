/**
 * Logging. Off the hot path, code says what happened through a Logger; pino is one, a test's array
 * another.
 */
import { type DestinationStream, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';

/**
 * What the code needs of a logger: fields first, then a message that is the same text every time.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Levels from most to least said; `silent` says nothing. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/**
 * Where log lines go. On a terminal (`isTTY`) they are made for people, elsewhere one JSON object a
 * line.
 */
export interface LogDestination extends DestinationStream {
  readonly isTTY?: boolean;
}

/**
 * Makes a pino logger that writes at once, in this thread: a line said before a crash or an exit is
 * out. Nothing logs per message, so what a write costs does not matter.
 * @param level one of LOG_LEVELS.
 * @param destination default: standard output.
 */
export function createLogger(level: string, destination: LogDestination = process.stdout): Logger {
  if (destination.isTTY === true) {
    // The formatter alone: pino-pretty's stream would hold lines back for a later turn.
    const prettify = prettyFactory({
      colorize: true,
      singleLine: true,
      ignore: 'pid,hostname',
      translateTime: 'SYS:HH:MM:ss.l',
    });
    return pino({ level }, { write: (line) => destination.write(prettify(line)) });
  }
  const isStdout = destination === process.stdout;
  return pino({ level }, isStdout ? pino.destination({ fd: 1, sync: true }) : destination);
}

/** Says nothing: the logger of a server embedded in a program that gave it none. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
