/**
 * Where a server is: `mqtt://user:password@host:port`, the same with `tcp:`, or the path of a Unix
 * domain socket, `unix:///path`.
 */

/** A server's URI in parts. */
export interface BrokerAddress {
  /** Name or address, without brackets. */
  readonly host: string;
  /** 1 to 65,535; 1883 unless given. */
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  /** What follows the host, decoded and without its leading `/`; empty for none. */
  readonly path: string;
  /** Path of a Unix domain socket; then the host is empty and the port 0. */
  readonly socketPath?: string;
}

const PORT_DEFAULT = 1883;
const SCHEMES = new Set(['mqtt:', 'tcp:']);

/** What a server's URI may be, for faults. */
export const BROKER_URI_ALLOWED =
  'mqtt://host:port or tcp://host:port, user:password@ before the host, port 1883 unless given; ' +
  'or unix:///path/of/socket';

/** Parses a server's URI; undefined if it is none. */
export function parseBrokerUri(uri: string): BrokerAddress | undefined {
  // The URL class reads `mqtt:host` too, with `host` as a path.
  if (!/^[a-z]+:\/\/./i.test(uri) || !URL.canParse(uri)) return undefined;
  const url = new URL(uri);
  if (url.protocol === 'unix:') return unixAddress(url);
  if (!SCHEMES.has(url.protocol) || url.search !== '' || url.hash !== '') return undefined;
  const port = url.port === '' ? PORT_DEFAULT : Number(url.port);
  if (url.hostname === '' || port === 0) return undefined;
  try {
    return {
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      username: url.username === '' ? null : decodeURIComponent(url.username),
      password: url.password === '' ? null : decodeURIComponent(url.password),
      path: decodeURIComponent(url.pathname.replace(/^\//, '')),
    };
  } catch {
    // A stray `%`.
    return undefined;
  }
}

function unixAddress(url: URL): BrokerAddress | undefined {
  if (url.host !== '' || url.pathname.length < 2 || url.search !== '' || url.hash !== '') {
    return undefined;
  }
  try {
    const socketPath = decodeURIComponent(url.pathname);
    return { host: '', port: 0, username: null, password: null, path: '', socketPath };
  } catch {
    return undefined;
  }
}

/** A URI, or what was meant to be one, as a fault may show it: without its password. */
export function withoutPassword(uri: string): string {
  return uri.replace(/^([a-z]*:?\/*[^/@:]*):.*@/i, '$1:…@');
}

/** The one spelling of an address, without user name and password: for messages. */
export function formatBrokerUri({
  host,
  port,
  socketPath,
}: {
  host: string;
  port: number;
  socketPath?: string | undefined;
}): string {
  if (socketPath !== undefined) return `unix://${socketPath}`;
  return `mqtt://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
