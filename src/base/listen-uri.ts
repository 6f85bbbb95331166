/** Where a listener listens, as an operator writes it: `tls://host:port`, `unix:///run/mqtt`. */
import { isIPv6 } from 'node:net';
import type { ListenerKind } from './listener-config.js';

/** A listen URI in parts. */
export interface ListenAddress {
  readonly kind: ListenerKind;
  /** Name or address without brackets; empty means every address of the machine, or kind unix. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose, and is what kind unix has. */
  readonly port: number;
  /** Of kind unix the path of the socket, of ws and wss that of the request; else empty. */
  readonly path: string;
}

const PORT_MAX = 65_535;
/** Where a port alone listens: nobody from outside is let in by a short spelling. */
const LOOPBACK = '127.0.0.1';
/** By scheme, in lower case: what is spoken, and the port where a URI has none. */
const SCHEMES: Readonly<Record<string, { kind: ListenerKind; port: number }>> = {
  tcp: { kind: 'tcp', port: 1883 },
  mqtt: { kind: 'tcp', port: 1883 },
  tls: { kind: 'tls', port: 8883 },
  mqtts: { kind: 'tls', port: 8883 },
  ssl: { kind: 'tls', port: 8883 },
  ws: { kind: 'ws', port: 80 },
  wss: { kind: 'wss', port: 443 },
};
/** Path of the request where a URI has none: what clients ask for by custom. */
const WEBSOCKET_PATH = '/mqtt';
/** What the system takes as the path of a socket, with the zero behind it. */
const SOCKET_PATH_BYTES_MAX = 107;
const PORT_ALONE = /^\d{1,5}$/;
const SCHEME = /^([a-z]+):\/\//i;
const UNIX = /^unix:(?:\/\/)?(\/(?!\/).*)$/is;
const AUTHORITY = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]*))(?::(\d{1,5}))?(\/.*)?$/s;
/** What a path may not hold: what would break a line of a log, a list, or a URI. */
const NO_PATH = /[\p{Cc}\s,?#]/u;

/** What a listen URI may be, for faults. */
export const LISTEN_URI_ALLOWED =
  'tcp://host:port (or mqtt://), tls://host:port (or mqtts://), ws://host:port/path, ' +
  'wss://host:port/path, unix:///path, host:port, or a port of 127.0.0.1; with a port from 0 to ' +
  '65535, [brackets] around an IPv6 address, no host for all';

/** Parses a listen URI or a shorter spelling of one; undefined if it is none. */
export function parseListenUri(uri: string): ListenAddress | undefined {
  if (PORT_ALONE.test(uri)) return addressOf('tcp', LOOPBACK, Number(uri), '');
  const [, socketPath] = UNIX.exec(uri) ?? [];
  if (socketPath !== undefined) return socketAt(socketPath);
  const [prefix = '', word = 'tcp'] = SCHEME.exec(uri) ?? [];
  const scheme = word.toLowerCase();
  if (!Object.hasOwn(SCHEMES, scheme)) return undefined;
  const { kind, port } = SCHEMES[scheme];
  const parts = AUTHORITY.exec(uri.slice(prefix.length));
  if (parts === null || uri.endsWith('\n')) return undefined;
  const [, ipv6, name, digits, path = ''] = parts;
  if (ipv6 !== undefined && !isIPv6(ipv6)) return undefined;
  const host = ipv6 ?? name;
  if (digits !== undefined) return addressOf(kind, host, Number(digits), path);
  // Without both scheme and port it is a word of any kind; as a port, it is in the wrong place.
  const isHost = prefix !== '' && host !== '' && !PORT_ALONE.test(host);
  return isHost ? addressOf(kind, host, port, path) : undefined;
}

/** The one spelling of an address: `tcp://[::1]:1883`. */
export function formatListenUri({ kind, host, port, path }: ListenAddress): string {
  if (kind === 'unix') return `unix://${path}`;
  return `${kind}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
}

function addressOf(
  kind: ListenerKind,
  host: string,
  port: number,
  path: string,
): ListenAddress | undefined {
  if (port > PORT_MAX) return undefined;
  if (kind !== 'ws' && kind !== 'wss') {
    return path === '' || path === '/' ? { kind, host, port, path: '' } : undefined;
  }
  return NO_PATH.test(path) ? undefined : { kind, host, port, path: path || WEBSOCKET_PATH };
}

function socketAt(path: string): ListenAddress | undefined {
  const isPath = !NO_PATH.test(path) && !path.endsWith('/');
  if (!isPath || Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) return undefined;
  return { kind: 'unix', host: '', port: 0, path };
}
