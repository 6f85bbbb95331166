/**
 * The few C library calls that Node has no API for, through koffi. The library is looked for at the
 * first call, not at load: a program that only uses the client never needs it.
 */
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { platform } from 'node:process';
import type { KoffiFunc, LibraryHandle } from 'koffi';
import { SHARDS_MAX } from './limits.js';

/** Numbers that differ between systems, from their headers fcntl.h and sys/fcntl.h. */
interface PlatformConstants {
  readonly fDupfdCloexec: number;
  readonly oNonblock: number;
  readonly oCloexec: number;
  /** Linux makes a pipe with its flags in one call; macOS needs fcntl for each end. */
  readonly hasPipe2: boolean;
  /** Has poll tell that the other side has closed; 0 where there is no such flag. */
  readonly pollRdHup: number;
}
const CONSTANTS: Readonly<Partial<Record<NodeJS.Platform, PlatformConstants>>> = {
  linux: {
    fDupfdCloexec: 1030,
    oNonblock: 0o4000,
    oCloexec: 0o2000000,
    hasPipe2: true,
    pollRdHup: 0x2000,
  },
  darwin: {
    fDupfdCloexec: 67,
    oNonblock: 0x4,
    oCloexec: 0x1000000,
    hasPipe2: false,
    // What stands for it is told without being asked for.
    pollRdHup: 0,
  },
};
/** flock: exclusively, and without waiting. Alike on both systems. */
const LOCK_EX = 2;
const LOCK_NB = 4;
/** fallocate: the file is as long as it was. */
const FALLOC_FL_KEEP_SIZE = 1;
/** What says that a file system has no such call. */
const NOT_SUPPORTED: readonly string[] = ['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL'];
/** Those on which off_t of that call has 8 bytes. */
const WIDE: readonly string[] = ['x64', 'arm64', 'riscv64', 'ppc64', 's390x', 'loong64'];
/** poll: there is something to read. */
const POLLIN = 1;
/** It tells these without being asked: an error, an end on both sides, no such descriptor. */
const POLL_ENDED = 0x8 | 0x10 | 0x20;
const F_SETFD = 2;
const F_SETFL = 4;
const FD_CLOEXEC = 1;

/** A C function that returns -1 and sets errno when it fails. */
type CFunction = (...parameters: (number | string | number[])[]) => number;

interface Bindings {
  readonly constants: PlatformConstants;
  readonly fcntl: CFunction;
  /** pipe2(fds, flags), or pipe(fds) where there is no pipe2. */
  readonly pipe: CFunction;
  readonly flock: CFunction;
  /** poll(descriptors, count, timeout). */
  readonly poll: (descriptors: Buffer, count: number, timeout: number) => number;
  /** fallocate(fd, mode, offset, length); null where there is none. */
  readonly fallocate: KoffiFunc<
    (fd: number, mode: number, offset: number, length: number) => number
  > | null;
  /** malloc_trim(pad); null in a library that has none. */
  readonly trim: KoffiFunc<(pad: number) => number> | null;
  readonly errno: () => number;
  readonly errorNames: ReadonlyMap<number, string>;
}

/** A call failed. `code` is the name of its errno, such as EMFILE. */
export class LibcError extends Error {
  readonly code: string;
  constructor(call: string, code: string) {
    super(`${call} failed: ${code}`);
    this.name = 'LibcError';
    this.code = code;
  }
}

/** A pipe whose ends do not block and are closed in programs that this one starts. */
export interface Pipe {
  readonly readFd: number;
  readonly writeFd: number;
}

/** The C library cannot be called here: in one line what is missing, where, and what to do. */
export class PlatformError extends Error {
  readonly code = 'SURGEMQ_PLATFORM';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PlatformError';
  }
}

let loaded: Bindings | null = null;

/**
 * A second descriptor of the same open file, closed in programs that this one starts. Its owner is
 * the caller.
 * @throws LibcError with code EMFILE when descriptors have run out; PlatformError where the
 * library cannot be used.
 */
export function duplicateDescriptor(fd: number): number {
  const { fcntl, constants } = bindings();
  const duplicate = fcntl(fd, constants.fDupfdCloexec, 'int', 0);
  if (duplicate < 0) throw lastError('fcntl(F_DUPFD_CLOEXEC)');
  return duplicate;
}

/**
 * Makes a pipe. Both ends are the caller's.
 * @throws LibcError with code EMFILE when descriptors have run out; PlatformError where the
 * library cannot be used.
 */
export function createPipe(): Pipe {
  const { constants, fcntl, pipe } = bindings();
  const ends = [-1, -1];
  const flags = constants.oNonblock | constants.oCloexec;
  if ((constants.hasPipe2 ? pipe(ends, flags) : pipe(ends)) < 0) throw lastError('pipe');
  const [readFd, writeFd] = ends;
  if (!constants.hasPipe2) {
    for (const fd of ends) {
      if (
        fcntl(fd, F_SETFD, 'int', FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, 'int', constants.oNonblock) < 0
      ) {
        const error = lastError('fcntl(F_SETFL)');
        closeDescriptor(readFd);
        closeDescriptor(writeFd);
        throw error;
      }
    }
  }
  return { readFd, writeFd };
}

/** Closes a descriptor that the caller owns. @throws Error with code EBADF when it is not open. */
export function closeDescriptor(fd: number): void {
  closeSync(fd);
}

/**
 * Locks an open file for this process alone, until the descriptor is closed or the process ends,
 * however it does. @returns false when another process has locked it.
 * @throws LibcError for any other reason; PlatformError where the library cannot be used.
 */
export function lockFile(fd: number): boolean {
  if (bindings().flock(fd, LOCK_EX | LOCK_NB) >= 0) return true;
  const error = lastError('flock');
  // One number under two names.
  if (error.code === 'EWOULDBLOCK' || error.code === 'EAGAIN') return false;
  throw error;
}

/** Bytes of a `struct pollfd`: descriptor, what is asked for, what is found. */
const POLLFD_BYTES = 8;
const polled = Buffer.alloc(POLLFD_BYTES * SHARDS_MAX);

/**
 * Looks, and does not wait, for the first of descriptors[0, count) on which there is something to
 * read, or that is of an event loop which has something to do.
 * @param count at most SHARDS_MAX.
 * @returns its index, -1 when there is none.
 * @throws PlatformError where the library cannot be used.
 */
export function findReadable(descriptors: Int32Array, count: number): number {
  for (let index = 0; index < count; index++) {
    polled.writeInt32LE(descriptors[index], index * POLLFD_BYTES);
    polled.writeInt32LE(POLLIN, index * POLLFD_BYTES + 4);
  }
  if (bindings().poll(polled, count, 0) <= 0) return -1;
  for (let index = 0; index < count; index++) {
    if ((polled.readInt16LE(index * POLLFD_BYTES + 6) & POLLIN) !== 0) return index;
  }
  return -1;
}

/**
 * Whether the other side of a socket has closed it, whatever of it is still to be read.
 * @throws PlatformError where the library cannot be used.
 */
export function hasHungUp(fd: number): boolean {
  const { poll, constants } = bindings();
  polled.writeInt32LE(fd, 0);
  polled.writeInt32LE(constants.pollRdHup, 4);
  if (poll(polled, 1, 0) <= 0) return false;
  return (polled.readInt16LE(6) & (constants.pollRdHup | POLL_ENDED)) !== 0;
}

/**
 * Sets disk space aside for a part of an open file, at its end or behind it: what is written there
 * later finds room. The file stays as long as it is.
 * @returns false where the file system, or the C library, cannot do it.
 * @throws LibcError, such as with code ENOSPC, when there is no such space.
 */
export function reserveDisk(fd: number, offset: number, length: number): boolean {
  const { fallocate } = bindings();
  if (fallocate === null) return false;
  if (fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length) >= 0) return true;
  const error = lastError('fallocate');
  if (NOT_SUPPORTED.includes(error.code)) return false;
  throw error;
}

/**
 * Has the C library return to the system what is free in it: it keeps it otherwise, as long as a
 * single byte behind it is used. Only glibc does. It is done on a thread of libuv's pool, as it
 * takes 0.1 ms for each MiB. Does nothing where the library cannot be used.
 */
export function trimMemory(): void {
  try {
    bindings().trim?.async(0, () => {});
  } catch {
    // Memory is not given back; nothing else depends on it.
  }
}

/** @throws PlatformError */
function bindings(): Bindings {
  if (loaded !== null) return loaded;
  const constants = CONSTANTS[platform];
  if (constants === undefined) {
    throw new PlatformError(
      `threads share sockets through the C library of Linux or macOS, and this is ${platform}: ` +
        'run surgemq there',
    );
  }
  try {
    loaded = load(constants);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    throw new PlatformError(
      `koffi cannot call the C library on ${platform}-${process.arch} (${reason}): ` +
        'its binary comes with its optional dependencies: npm ci --include=optional',
      { cause: error },
    );
  }
  return loaded;
}

function load(constants: PlatformConstants): Bindings {
  // koffi's ES module loads its binary at import: required here instead, so that it happens when
  // needed.
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
  // null: the symbols of this process, which has a C library by whatever name (glibc, musl,
  // libSystem).
  const library: LibraryHandle = koffi.load(null);
  return {
    constants,
    // Variadic as in C: on macOS with ARM, variadic arguments are passed in another place.
    fcntl: library.func('int fcntl(int fd, int command, ...)'),
    pipe: library.func(
      constants.hasPipe2 ? 'int pipe2(_Out_ int *ends, int flags)' : 'int pipe(_Out_ int *ends)',
    ),
    poll: library.func('int poll(void *descriptors, unsigned long count, int timeout)'),
    flock: library.func('int flock(int fd, int operation)'),
    fallocate: WIDE.includes(process.arch)
      ? functionOrNull(library, 'int fallocate(int fd, int mode, int64_t offset, int64_t length)')
      : null,
    trim: functionOrNull(library, 'int malloc_trim(size_t pad)'),
    errno: () => koffi.errno(),
    errorNames: new Map(
      Object.entries(koffi.os.errno).map(([name, number]) => [Number(number), name]),
    ),
  };
}

function functionOrNull<F extends (...parameters: number[]) => number>(
  library: LibraryHandle,
  declaration: string,
): KoffiFunc<F> | null {
  try {
    return library.func(declaration) as unknown as KoffiFunc<F>;
  } catch {
    return null;
  }
}

function lastError(call: string): LibcError {
  const { errno, errorNames } = bindings();
  const number = errno();
  return new LibcError(call, errorNames.get(number) ?? `errno ${number}`);
}
