/** Ports for servers that are started by others, or more than once. */
import { createServer } from 'node:net';

/**
 * Below those that systems give to clients (from 32,768 on Linux): between the look and the start
 * of the server, and while it is away, none of the clients that come and go is given its port.
 */
const PORT_MIN = 20_000;
const PORTS = 12_000;

/** A TCP port of 127.0.0.1, at random, that nobody listens on. */
export async function freePort(): Promise<number> {
  const anyPort = (): number => PORT_MIN + Math.floor(Math.random() * PORTS);
  let port = anyPort();
  while (!(await isFree(port))) port = anyPort();
  return port;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
