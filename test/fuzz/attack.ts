/** Sends a stream to a broker as clients and attackers do. */
import { createConnection } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { dial, type Endpoint, reset, whenOpen } from '../support/raw-client.js';
import type { Random } from './random.js';

/**
 * Sends a stream, in pieces or whole, and ends it in one of the ways there are; resolves when the
 * connection is closed.
 * @param localAddress to come from, by TCP; undefined: any.
 */
export function attack(
  endpoint: Endpoint,
  bytes: Buffer,
  random: Random,
  localAddress?: string,
): Promise<void> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = random.onceIn(3) ? 1 + random.below(100) : bytes.length;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  const ending = random.below(3);
  const isDeaf = random.onceIn(4);
  return new Promise((resolve) => {
    const { host, port } = endpoint;
    const socket =
      localAddress === undefined ? dial(endpoint) : createConnection({ host, port, localAddress });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    if (isDeaf) socket.pause();
    else socket.resume();
    socket.on(whenOpen(socket), async () => {
      for (const piece of pieces) {
        if (!socket.writable) break;
        socket.write(piece);
        if (pieces.length < 50) await nextTurn();
      }
      if (ending === 0) socket.destroy();
      else if (ending === 1) reset(socket);
      else socket.end().resume();
    });
  });
}
