/**
 * Where the control sockets of a user's brokers lie, one a process: `surgemq reload` finds the
 * broker there without being told of it.
 */
import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { processEnvironment } from '../base/config.js';
import { errorCode } from '../base/error-code.js';

const SOCKET_NAME = /^(\d+)\.sock$/;

/** The directory; it need not be there. */
export function controlDirectory(): string {
  const { XDG_RUNTIME_DIR: runtime = '' } = processEnvironment();
  if (runtime.startsWith('/')) return join(runtime, 'surgemq');
  return `/tmp/surgemq-${process.geteuid?.() ?? 0}`;
}

/**
 * Why nobody should trust what lies in a directory, or put something there; undefined: only this
 * user can do anything in it. In a directory that all may write to, somebody else may have been
 * faster to make one of this name.
 */
export function whyNotOurs(directory: string): string | undefined {
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) return `there is no ${directory}`;
  if (!stat.isDirectory()) return `${directory} is no directory`;
  if (stat.uid !== process.geteuid?.()) return `${directory} belongs to another user`;
  return (stat.mode & 0o077) === 0 ? undefined : `${directory} is open to others: chmod 700 it`;
}

/** Makes the directory where it is not there. @returns why it cannot be used. */
export function makeControlDirectory(directory: string): string | undefined {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') return `${directory} cannot be made (${errorCode(error)})`;
  }
  return whyNotOurs(directory);
}

/** The path of the socket of a process. */
export function controlSocketOf(pid: number): string {
  return join(controlDirectory(), `${pid}.sock`);
}

/**
 * Where a broker has its socket; null: it has none.
 * @param setting `auto`, `none`, or a path.
 */
export function controlSocketPath(setting: string, pid: number): string | null {
  if (setting === 'none') return null;
  return setting === 'auto' ? controlSocketOf(pid) : setting;
}

/** Processes that have left a socket; some may be gone. Empty where the directory is not ours. */
export function controlledPids(): number[] {
  const directory = controlDirectory();
  if (whyNotOurs(directory) !== undefined) return [];
  return readdirSync(directory).flatMap((name) => {
    const [, pid] = SOCKET_NAME.exec(name) ?? [];
    return pid === undefined ? [] : [Number(pid)];
  });
}

/** Whether there is such a process; another one may have its number by now. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
