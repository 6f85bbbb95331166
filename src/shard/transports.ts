/** How the transport of an accepted connection is made, by the kind of its listener. */
import type { Socket } from 'node:net';
import type { ListenerConfig, ListenerKind } from '../base/listener-config.js';
import { DescriptorTransport } from '../transport/descriptor-transport.js';
import { MovedTransport } from '../transport/moved-transport.js';
import { type TlsHost, TlsTransport } from '../transport/tls-transport.js';
import type { Transport } from '../transport/transport.js';
import { WebSocketTransport } from '../transport/websocket-transport.js';

/** An accepted connection: its descriptor, or its socket where the runtime moved that. */
export type Accepted = number | Socket;

/** What transports need of their shard. */
export interface TransportHost extends TlsHost {
  /** What all of them read into: the part behind the headroom. */
  readonly readSlice: Buffer;
}

/** Makes a transport, which owns the connection from here on. */
export type MakeTransport = (
  accepted: Accepted,
  listener: ListenerConfig,
  host: TransportHost,
) => Transport;

/** Null: not served. */
export const TRANSPORTS: Readonly<Record<ListenerKind, MakeTransport | null>> = {
  tcp: makePlain,
  unix: makePlain,
  tls: (accepted, listener, host) => new TlsTransport(accepted, listener, host),
  ws: (accepted, listener, host) =>
    overWebSocket(makePlain(accepted, listener, host), listener, host),
  wss: (accepted, listener, host) =>
    overWebSocket(new TlsTransport(accepted, listener, host), listener, host),
};

/** A transport of bytes as they come. */
export function makePlain(
  accepted: Accepted,
  { uri }: Pick<ListenerConfig, 'uri'>,
  { readSlice }: Pick<TransportHost, 'readSlice'>,
): Transport {
  return typeof accepted === 'number'
    ? new DescriptorTransport(accepted, readSlice, uri)
    : new MovedTransport(accepted, readSlice, uri);
}

/** MQTT over WebSocket on what lies beneath. */
function overWebSocket(
  lower: Transport,
  { websocket }: ListenerConfig,
  { readSlice }: TransportHost,
): Transport {
  return websocket === null ? lower : new WebSocketTransport(lower, readSlice, websocket);
}

/** Why a kind of listener is not served; undefined: it is. */
export function whyNotServed(kind: ListenerKind): string | undefined {
  return TRANSPORTS[kind] === null ? `${kind} is not there yet` : undefined;
}
