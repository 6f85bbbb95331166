/**
 * Logging. Off the hot path, code says what happened through a Logger; pino is one, a test's array
 * another.
 */
import { pino } from 'pino';
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

/** Where log lines go, and how they are made. */
export interface LogOutput {
  write(line: string): void;
  /** Made for people instead of one JSON object a line. */
  readonly isPretty?: boolean;
  /** With colours, where lines are made for people. */
  readonly hasColors?: boolean;
  /** Fields below each other, for lines with many of them; for people only. */
  readonly isMultiLine?: boolean;
}

/**
 * What a terminal or an editor would act on instead of showing it: DEL and the C1 controls, marks
 * that turn the direction of text around, characters that cannot be seen, and the two line ends
 * that are not ASCII. JSON escapes C0 itself.
 */
const ACTED_ON = /[\x7f-\x9f\u2028\u2029]|\p{Cf}/gu;

/** The text with `\uXXXX`, as JSON writes it, for everything that would be acted on. */
export function escapeControls(text: string): string {
  return text.replace(ACTED_ON, (match) =>
    Array.from({ length: match.length }, (_, at) => {
      const unit = match.charCodeAt(at);
      return `\\u${unit.toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

/**
 * Makes a pino logger that says each line at once, in this thread. Nothing logs per message, so
 * what a line costs does not matter.
 * @param level one of LOG_LEVELS.
 */
export function createLogger(level: string, output: LogOutput): Logger & { level: string } {
  if (output.isPretty !== true) {
    return pino({ level }, { write: (line) => output.write(escapeControls(line)) });
  }
  // The formatter alone: pino-pretty's stream would hold lines back for a later turn.
  const prettify = prettyFactory({
    colorize: output.hasColors === true,
    singleLine: output.isMultiLine !== true,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
  });
  return pino({ level }, { write: (line) => output.write(escapeControls(prettify(line))) });
}

/** Says nothing: the logger of a server embedded in a program that gave it none. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
