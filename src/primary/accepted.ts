/**
 * Takes connections from a listening server as bare handles, before a net.Socket is made of each: a
 * socket costs the primary more than all the rest of accepting, and the shard makes one of its own.
 * Node's cluster module takes them the same way.
 */
import { type Server, Socket, type SocketConstructorOpts } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** A connection that was accepted and that nobody reads: every byte is left for the shard. */
export interface Accepted {
  /** Its descriptor, owned by this; -1 when it is gone already. */
  readonly fd: number;
  /** Closes the connection, or this thread's descriptor of it when there are others. */
  close(): void;
  /** Address of the other end; empty when it has none, as with a unix socket, or is gone. */
  readonly peerAddress: string;
  /** Makes a socket of it, paused, which owns it from here on. */
  toSocket(): Socket;
}

/** Node's own object for a connection. It has no public name. */
interface ClientHandle {
  readonly fd?: number;
  close(): void;
  /** Of TCP alone. */
  setNoDelay?(enabled: boolean): number;
  /** Of TCP alone. @returns 0, or the number of an error. */
  getpeername?(out: { address?: string }): number;
}

/** Node's own object for a listener: it calls `onconnection` for each connection. */
interface ListenerHandle {
  onconnection(status: number, client?: ClientHandle): void;
}

class AcceptedHandle implements Accepted {
  readonly #handle: ClientHandle;

  constructor(handle: ClientHandle) {
    this.#handle = handle;
  }

  get fd(): number {
    return this.#handle.fd ?? -1;
  }

  get peerAddress(): string {
    const peer: { address?: string } = {};
    this.#handle.getpeername?.(peer);
    return peer.address ?? '';
  }

  close(): void {
    this.#handle.close();
  }

  toSocket(): Socket {
    const options: SocketConstructorOpts & { handle: ClientHandle; pauseOnCreate: boolean } = {
      handle: this.#handle,
      pauseOnCreate: true,
    };
    return new Socket(options);
  }
}

/**
 * Has a server that listens call `onAccepted` for each connection, with TCP_NODELAY set, and
 * `onFailed` when accepting fails. The server emits no 'connection' any more.
 */
export function takeAccepted(
  server: Server,
  onAccepted: (accepted: Accepted) => void,
  onFailed: (why: string) => void,
): void {
  const { _handle: listener } = server as Server & { readonly _handle?: ListenerHandle };
  if (listener === undefined) throw new Error('the server does not listen');
  listener.onconnection = (status, client) => {
    if (client === undefined) {
      onFailed(`accept ${getSystemErrorName(status)}`);
      return;
    }
    client.setNoDelay?.(true);
    onAccepted(new AcceptedHandle(client));
  };
}
