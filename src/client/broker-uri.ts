/**
 * Where a server is: `mqtt://user:password@host:port`, the same with `mqtts:`, with `ws:` and
 * `wss:` and a path, or the path of a Unix domain socket, `unix:///path`.
 */
import type { ListenerKind } from '../base/listener-config.js';
import { WS_PATH_DEFAULT } from './ws-faults.js';

/** A server's URI in parts. */
export interface BrokerAddress {
  /** What is spoken with the server, beneath MQTT. */
  readonly kind: ListenerKind;
  /** Name or address, without brackets. */
  readonly host: string;
  /** 1 to 65,535; the scheme's own unless given. */
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  /** What follows the host, decoded and without its leading `/`; empty for none, and for `ws:`. */
  readonly path: string;
  /** Path of the WebSocket request, with its query; empty for other kinds. */
  readonly requestPath: string;
  /** Path of a Unix domain socket; then the host is empty and the port 0. */
  readonly socketPath?: string;
}

/** A scheme's meaning, and its port where a URI has none. */
interface Scheme {
  readonly kind: ListenerKind;
  readonly port: number;
}

/** Ports as registered: MQTT, MQTT over TLS, HTTP and HTTP over TLS. */
export const PORTS = { tcp: 1883, tls: 8883, ws: 80, wss: 443 } as const;
const TCP: Scheme = { kind: 'tcp', port: PORTS.tcp };
const TLS: Scheme = { kind: 'tls', port: PORTS.tls };
const SCHEMES: Readonly<Record<string, Scheme>> = {
  'mqtt:': TCP,
  'tcp:': TCP,
  'mqtts:': TLS,
  'tls:': TLS,
  'ssl:': TLS,
  'ws:': { kind: 'ws', port: PORTS.ws },
  'wss:': { kind: 'wss', port: PORTS.wss },
};
/** The scheme that stands in messages. */
const SPELLINGS = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss', unix: 'unix' } as const;

/** What a server's URI may be, for faults. */
export const BROKER_URI_ALLOWED =
  'mqtt://host:port, or mqtts: (tls:, ssl:) for TLS, port 1883 (8883) unless given; ' +
  'ws://host:port/path, or wss:, port 80 (443) and path /mqtt unless given; user:password@ ' +
  'before the host; or unix:///path/of/socket';

/** Parses a server's URI; undefined if it is none. */
export function parseBrokerUri(uri: string): BrokerAddress | undefined {
  // The URL class reads `mqtt:host` too, with `host` as a path.
  if (!/^[a-z]+:\/\/./i.test(uri) || !URL.canParse(uri)) return undefined;
  const url = new URL(uri);
  if (url.protocol === 'unix:') return unixAddress(url);
  if (!Object.hasOwn(SCHEMES, url.protocol)) return undefined;
  const scheme = SCHEMES[url.protocol];
  const isWebSocket = scheme.kind === 'ws' || scheme.kind === 'wss';
  if ((url.search !== '' && !isWebSocket) || url.hash !== '') return undefined;
  const port = url.port === '' ? scheme.port : Number(url.port);
  if (url.hostname === '' || port === 0) return undefined;
  try {
    return {
      kind: scheme.kind,
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      username: url.username === '' ? null : decodeURIComponent(url.username),
      password: url.password === '' ? null : decodeURIComponent(url.password),
      path: isWebSocket ? '' : decodeURIComponent(url.pathname.replace(/^\//, '')),
      requestPath: isWebSocket ? `${pathOf(uri, url)}${url.search}` : '',
    };
  } catch {
    // A stray `%`.
    return undefined;
  }
}

/** The path of a request: the URL class has `/` where none is given. */
function pathOf(uri: string, url: URL): string {
  return /^[a-z]+:\/\/[^/?#]*\//i.test(uri) ? url.pathname : WS_PATH_DEFAULT;
}

function unixAddress(url: URL): BrokerAddress | undefined {
  if (url.host !== '' || url.pathname.length < 2 || url.search !== '' || url.hash !== '') {
    return undefined;
  }
  try {
    const socketPath = decodeURIComponent(url.pathname);
    const none = { host: '', port: 0, username: null, password: null, path: '', requestPath: '' };
    return { kind: 'unix', ...none, socketPath };
  } catch {
    return undefined;
  }
}

/** A URI, or what was meant to be one, as a fault may show it: without its password. */
export function withoutPassword(uri: string): string {
  return uri.replace(/^([a-z]*:?\/*[^/@:]*):.*@/i, '$1:…@');
}

/** What a URI is made of, but for user name and password. */
export type BrokerPlace = Pick<BrokerAddress, 'kind' | 'host' | 'port' | 'requestPath'> & {
  readonly socketPath?: string | undefined;
};

/** The one spelling of an address, without user name and password. */
export function formatBrokerUri({
  kind,
  host,
  port,
  requestPath,
  socketPath,
}: BrokerPlace): string {
  if (socketPath !== undefined) return `unix://${socketPath}`;
  return `${SPELLINGS[kind]}://${host.includes(':') ? `[${host}]` : host}:${port}${requestPath}`;
}

/** The same for messages: a query may hold a secret. */
export function shownBrokerUri(place: BrokerPlace): string {
  return formatBrokerUri({ ...place, requestPath: place.requestPath.replace(/\?.*/s, '') });
}
