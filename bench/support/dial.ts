/** Sockets to a broker, by whichever transport it is reached. */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ListenerKind } from '../../src/base/listener-config.js';

/** Where a broker listens. */
export interface BrokerAt {
  /** Name or address; of a unix socket the path. */
  readonly host: string;
  readonly port: number;
  readonly transport: ListenerKind;
}

export function isOverTls(transport: ListenerKind): boolean {
  return transport === 'tls' || transport === 'wss';
}

export function isOverWebSocket(transport: ListenerKind): boolean {
  return transport === 'ws' || transport === 'wss';
}

/**
 * Begins to connect: `secureConnect` comes where TLS is spoken, else `connect`.
 * @param buffer what every read goes into. @param callback is told of each.
 */
export function dial(
  { host, port, transport }: BrokerAt,
  buffer: Buffer,
  callback: OnReadOpts['callback'],
): Socket {
  const options: SocketConstructorOpts & { onread: OnReadOpts } = { onread: { buffer, callback } };
  // Whose certificate it is does not matter here.
  if (isOverTls(transport))
    return connectTls({ host, port, rejectUnauthorized: false, ...options });
  const socket = new Socket(options);
  return transport === 'unix'
    ? socket.connect({ path: host })
    : socket.connect({ host, port, noDelay: true });
}

/** The socket's descriptor, -1 where Node keeps it to itself: then writes take the longer way. */
export function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } };
  return handle?.fd ?? -1;
}
