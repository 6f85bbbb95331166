/**
 * The broker's side of the control socket: whoever owns the process may have it reload, and ask
 * what it goes by. One line of JSON comes, one goes back, and the connection ends.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket, type Server as SocketServer } from 'node:net';
import { dirname } from 'node:path';
import { ConfigError } from '../base/errors.js';
import {
  CONTROL_CONNECTIONS_MAX,
  CONTROL_REQUEST_BYTES_MAX,
  CONTROL_TIMEOUT_MS,
} from '../base/limits.js';
import type { Server } from '../primary/server.js';
import { clearSocketPath } from '../primary/unix-socket.js';
import {
  controlDirectory,
  controlledPids,
  controlSocketOf,
  isRunning,
  makeControlDirectory,
} from './control-directory.js';
import type { ControlAnswer, ControlRequest } from './control-messages.js';

/** An open control socket. */
export interface ControlSocket {
  readonly path: string;
  close(): void;
}

/**
 * Opens a socket at `path` that only this user may use.
 * @throws ConfigError in one line when it cannot be had.
 */
export async function openControlSocket(path: string, server: Server): Promise<ControlSocket> {
  const refuse = (why: string): ConfigError =>
    new ConfigError([`no control socket at ${path}: ${why}; controlSocket none goes without one`]);
  if (dirname(path) === controlDirectory()) {
    const why = makeControlDirectory(dirname(path));
    if (why !== undefined) throw refuse(why);
    clearLeft();
  }
  const why = await clearSocketPath(path);
  if (why !== undefined) throw refuse(why);
  const sockets = createServer((socket) => serve(socket, server));
  sockets.maxConnections = CONTROL_CONNECTIONS_MAX;
  try {
    await listen(sockets, path);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
  // The broker does not live on for the sake of who might ask.
  sockets.unref();
  return {
    path,
    close() {
      sockets.close();
      rmSync(path, { force: true });
    },
  };
}

/** Removes what brokers have left that were killed. */
function clearLeft(): void {
  for (const pid of controlledPids()) {
    if (!isRunning(pid)) rmSync(controlSocketOf(pid), { force: true });
  }
}

/** The socket is made without rights for others: who was quick could connect before a chmod. */
function listen(sockets: SocketServer, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    sockets.once('error', reject);
    const before = process.umask(0o177);
    try {
      sockets.listen(path, () => {
        sockets.off('error', reject);
        chmodSync(path, 0o600);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

function serve(socket: Socket, server: Server): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.setTimeout(CONTROL_TIMEOUT_MS, () => socket.destroy());
  // Who has asked and is gone does not wait for an answer.
  socket.on('error', () => socket.destroy());
  socket.on('data', (more: string) => {
    text += more;
    const end = text.indexOf('\n');
    if (end < 0 && text.length <= CONTROL_REQUEST_BYTES_MAX) return;
    socket.removeAllListeners('data');
    socket.setTimeout(0);
    void answer(text.slice(0, Math.max(end, 0)), server).then((said) =>
      socket.end(`${JSON.stringify(said)}\n`),
    );
  });
}

/** Never rejects: what went wrong is the answer. */
async function answer(line: string, server: Server): Promise<ControlAnswer> {
  try {
    const { ask } = JSON.parse(line) as Partial<ControlRequest>;
    if (ask === 'config') return { config: server.config };
    if (ask === 'reload') return { reloaded: await server.reload() };
    return { faults: ['this broker does not know what it is asked'] };
  } catch (error) {
    if (error instanceof ConfigError) return { faults: error.faults };
    return { faults: [error instanceof Error ? error.message : String(error)] };
  }
}
