/** What can be asked of the socket beneath a transport. */
import type { Socket } from 'node:net';
import type { CertificateNames } from '../base/credentials.js';
import { hasHungUp } from '../base/libc.js';
import type { Peer } from './transport.js';

/** What net.Socket keeps of libuv's stream: no public property says how far a write has come. */
interface Handle {
  readonly writeQueueSize?: number;
  readonly fd?: number;
}

function handleOf(socket: Socket): Handle | null {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null };
  return handle ?? null;
}

/**
 * Bytes of the write at hand that the kernel has not taken: fewer whenever it took some, though the
 * write is not done. All of it where the runtime does not say.
 */
export function waitingBytesOf(socket: Socket): number {
  return handleOf(socket)?.writeQueueSize ?? socket.writableLength;
}

/**
 * Whether the client has closed its side, or is lost, though nothing is read of it; false where the
 * runtime does not say which descriptor it is.
 */
export function hasLeft(socket: Socket): boolean {
  const fd = handleOf(socket)?.fd ?? -1;
  return socket.destroyed || (fd >= 0 && hasHungUp(fd));
}

/** Who is at the other end of a socket. Asks the kernel. */
export function socketPeer(
  socket: Socket,
  listener: string,
  certificate: CertificateNames | null = null,
): Peer {
  return {
    // These ask the kernel, so only if somebody wants to know.
    get address() {
      return socket.remoteAddress ?? '';
    },
    get port() {
      return socket.remotePort ?? 0;
    },
    listener,
    certificate,
  };
}
