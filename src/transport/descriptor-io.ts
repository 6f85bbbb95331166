/** Reads and writes of a descriptor that does not block, past every stream. */
import { readSync, writeSync } from 'node:fs';
import { errorCode } from '../base/error-code.js';

/**
 * Reads at most `length` bytes into `buffer` at `at`.
 * @returns how many; 0 when there are none for now, or at the end of the stream; -1 when the
 * connection is lost.
 */
export function readDescriptor(
  descriptor: number,
  buffer: Buffer,
  at: number,
  length: number,
): number {
  try {
    return readSync(descriptor, buffer, at, length, null);
  } catch (error) {
    return errorCode(error) === 'EAGAIN' ? 0 : -1;
  }
}

/**
 * Writes bytes [start, end).
 * @returns how many were taken; 0 when none are for now; -1 when none ever will be.
 */
export function writeDescriptor(
  descriptor: number,
  buffer: Buffer,
  start: number,
  end: number,
): number {
  try {
    return writeSync(descriptor, buffer, start, end - start);
  } catch (error) {
    return errorCode(error) === 'EAGAIN' ? 0 : -1;
  }
}
