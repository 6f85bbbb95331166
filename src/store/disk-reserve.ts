/**
 * Room on the disk for what a transaction writes, set aside before it begins. LMDB must not meet a
 * full disk: an error of a write in the middle of a commit costs it more than the transaction (as
 * of lmdb-js 3.5.6 it writes its account of the error past the end of its memory).
 */
import { closeSync, existsSync, fstatSync, openSync, statfsSync, statSync } from 'node:fs';
import { errorCode } from '../base/error-code.js';
import { reserveDisk } from '../base/libc.js';
import { STORE_RESERVE_BYTES } from '../base/limits.js';

const FILE_MODE = 0o600;

/** There is no room for what is to be written: nothing was. */
export class DiskFullError extends Error {
  constructor(path: string, cause: unknown) {
    const code = errorCode(cause);
    const what = FULL[code] ?? `no room can be had on the disk: ${code}`;
    super(`${what} (${path})`, { cause });
    this.name = 'DiskFullError';
  }
}

const FULL: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file is as large as it may be',
};

/** Of one file. */
export class DiskReserve {
  readonly #path: string;
  readonly #fd: number;
  /** Up to where room was set aside. */
  #until = 0;

  /** @param path of a file, made where there is none. @throws Error of the system */
  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, 'a+', FILE_MODE);
  }

  /** Bytes that the file has. */
  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /**
   * Sees to it that the file can grow by so many bytes.
   * @throws DiskFullError when it cannot.
   */
  ensure(bytes: number): void {
    const { size } = this;
    const end = size + bytes;
    if (end <= this.#until) return;
    const start = Math.max(size, this.#until);
    try {
      try {
        this.#reserve(start, end + STORE_RESERVE_BYTES);
      } catch {
        // As little as is needed may be there.
        this.#reserve(start, end);
      }
    } catch (error) {
      throw new DiskFullError(this.#path, error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #reserve(start: number, end: number): void {
    if (!reserveDisk(this.#fd, start, end - start)) {
      const { bavail, bsize } = statfsSync(this.#path);
      if (bavail * bsize < end - start) throw Object.assign(new Error(), { code: 'ENOSPC' });
    }
    this.#until = end;
  }
}

/**
 * Sets aside room for the beginning of a file that LMDB is to make, unless it is there.
 * @throws DiskFullError when there is none.
 */
export function reserveNewFile(path: string, bytes: number): void {
  if (existsSync(path) && statSync(path).size > 0) return;
  const reserve = new DiskReserve(path);
  try {
    reserve.ensure(bytes);
  } finally {
    reserve.close();
  }
}
