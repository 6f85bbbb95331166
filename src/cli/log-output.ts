/** The log of a command: lines on standard output, for people if that is a terminal. */
import { createLogger, type Logger, type LogOutput } from '../base/log.js';
import { openLogSink } from '../base/log-sink.js';

const STDOUT_FD = 1;

/** The loggers of a process. */
export interface CommandLog {
  /** By the level that was asked for. */
  readonly logger: Logger;
  /** For what somebody has asked for just now: whatever the level, each field on its own line. */
  readonly answers: Logger;
  /** Lines below this level are not written any more. */
  setLevel(level: string): void;
}

/**
 * Opens the log. NO_COLOR, FORCE_COLOR and TERM have their say in the colours.
 * @param level one of LOG_LEVELS.
 */
export function openLog(level: string): CommandLog {
  const { stdout } = process;
  const sink = openLogSink(STDOUT_FD);
  const output: LogOutput = {
    write: (line) => sink.write(line),
    isPretty: stdout.isTTY,
    hasColors: stdout.isTTY && stdout.hasColors(),
  };
  const logger = createLogger(level, output);
  sink.onLost = (lost) => {
    logger.error({ lost }, 'log lines were lost here: their output took none for a time');
  };
  return {
    logger,
    answers: createLogger('info', { ...output, isMultiLine: true }),
    setLevel(level) {
      logger.level = level;
    },
  };
}
