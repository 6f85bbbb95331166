/** The folder that a broker keeps its data in: one broker at a time. */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../base/error-code.js';
import { ConfigError } from '../base/errors.js';
import { lockFile } from '../base/libc.js';

/** Its owner alone may look at what clients have said. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const LOCK_NAME = 'lock';

/** Why it cannot be used, in the operator's words. */
const FAULTS: Readonly<Record<string, string>> = {
  EACCES: 'this process may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a part of its path is no folder',
  EEXIST: 'it is no folder',
  EISDIR: 'its lock is a folder',
  ELOOP: 'its links lead in a circle',
};

/** A folder that belongs to this process until `close`. */
export class DataFolder {
  readonly path: string;
  readonly #lock: number;

  private constructor(path: string, lock: number) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes the folder if there is none, and locks it.
   * @throws ConfigError in one line: it cannot be written to, or belongs to another process, which
   * is named.
   */
  static open(path: string): DataFolder {
    let lock = -1;
    try {
      mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
      lock = openSync(join(path, LOCK_NAME), 'a+', FILE_MODE);
      if (!lockFile(lock)) throw new ConfigError([`dataDir ${path} ${holderOf(path)}`]);
      ftruncateSync(lock, 0);
      writeSync(lock, `surgemq ${process.pid}\n`);
      return new DataFolder(path, lock);
    } catch (error) {
      if (lock >= 0) closeSync(lock);
      if (error instanceof ConfigError) throw error;
      const why = FAULTS[errorCode(error)] ?? (error as Error).message;
      throw new ConfigError([`dataDir ${path} cannot be used: ${why}`]);
    }
  }

  /** Another process may have it. */
  close(): void {
    closeSync(this.#lock);
  }
}

function holderOf(path: string): string {
  const [name = '', pid = ''] = readFileSync(join(path, LOCK_NAME), 'utf8').trim().split(' ');
  const who = /^\d+$/.test(pid) ? `${name} with process id ${pid}` : 'another process';
  return `belongs to ${who}: stop that, or choose another folder`;
}
