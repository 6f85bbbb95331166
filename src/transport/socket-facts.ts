/** What can be asked of the socket beneath a transport. */
import type { Socket } from 'node:net';
import type { CertificateNames } from '../base/credentials.js';
import type { Peer } from './transport.js';

/** What net.Socket keeps of libuv's stream: no public property says how far a write has come. */
interface Handle {
  readonly writeQueueSize?: number;
}

/**
 * Bytes of the write at hand that the kernel has not taken: fewer whenever it took some, though the
 * write is not done. All of it where the runtime does not say.
 */
export function waitingBytesOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null };
  return handle?.writeQueueSize ?? socket.writableLength;
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
