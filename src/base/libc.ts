/**
 * The few C library calls that Node has no API for, through koffi. The library is looked for at the
 * first call, not at load: a program that only uses the client never needs it.
 */
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { platform } from 'node:process';
import type { KoffiFunc, LibraryHandle } from 'koffi';

/** Numbers that differ between systems, from their headers fcntl.h and sys/fcntl.h. */
interface PlatformConstants {
  readonly fDupfdCloexec: number;
  readonly oNonblock: number;
  readonly oCloexec: number;
  /** Linux makes a pipe with its flags in one call; macOS needs fcntl for each end. */
  readonly hasPipe2: boolean;
}
const CONSTANTS: Readonly<Partial<Record<NodeJS.Platform, PlatformConstants>>> = {
  linux: { fDupfdCloexec: 1030, oNonblock: 0o4000, oCloexec: 0o2000000, hasPipe2: true },
  darwin: { fDupfdCloexec: 67, oNonblock: 0x4, oCloexec: 0x1000000, hasPipe2: false },
};
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
    trim: functionOrNull(library, 'int malloc_trim(size_t pad)'),
    errno: () => koffi.errno(),
    errorNames: new Map(
      Object.entries(koffi.os.errno).map(([name, number]) => [Number(number), name]),
    ),
  };
}

function functionOrNull(
  library: LibraryHandle,
  declaration: string,
): KoffiFunc<(pad: number) => number> | null {
  try {
    return library.func(declaration);
  } catch {
    return null;
  }
}

function lastError(call: string): LibcError {
  const { errno, errorNames } = bindings();
  const number = errno();
  return new LibcError(call, errorNames.get(number) ?? `errno ${number}`);
}
