/** Makes way for a unix socket where the one of a process that is gone lies still. */
import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { errorCode } from '../base/error-code.js';

/**
 * Removes the socket at `path` if nobody listens on it.
 * @returns why one cannot be made there; undefined: one can.
 */
export async function clearSocketPath(path: string): Promise<string | undefined> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isSocket()) return 'there is a file that is no socket: remove it, or take another path';
  const answer = await answerAt(path);
  if (answer === 'ECONNREFUSED') {
    unlinkSync(path);
    return undefined;
  }
  if (answer === 'ENOENT') return undefined;
  return answer === ''
    ? 'another process listens there'
    : `whether another process listens there cannot be told (${answer})`;
}

/** @returns the code of the error that connecting meets; empty: somebody answers. */
function answerAt(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('');
    });
    socket.once('error', (error) => resolve(errorCode(error)));
  });
}
