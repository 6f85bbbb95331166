/** Where a listener listens: `tcp://host:port`. */
import { isIPv6 } from 'node:net';

/** A listen URI in parts. */
export interface ListenAddress {
  /** Name or address without brackets; empty means every address of the machine. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number;
}

const PORT_MAX = 65_535;
/** Where a port alone listens: nobody from outside is let in by a short spelling. */
const LOOPBACK = '127.0.0.1';
/** The port that is MQTT's, where a URI has none. */
const MQTT_PORT = 1883;
const PORT_ALONE = /^\d{1,5}$/;
const SCHEME = /^(?:tcp|mqtt):\/\//i;
const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]*))(?::(\d{1,5}))?\/?$/;
const OTHER_SCHEME = /^(?:mqtts|ssl|tls|ws|wss):/i;

/** What a listen URI may be, for faults. */
export const LISTEN_URI_ALLOWED =
  'tcp://host:port or mqtt://host:port, host:port, or a port of 127.0.0.1; with a port from 0 to ' +
  '65535, [brackets] around an IPv6 address, no host for all';

/** Parses a listen URI or a shorter spelling of one; undefined if it is none. */
export function parseListenUri(uri: string): ListenAddress | undefined {
  if (PORT_ALONE.test(uri)) return addressOf(LOOPBACK, Number(uri));
  const parts = HOST_AND_PORT.exec(uri.replace(SCHEME, ''));
  if (parts === null || uri.endsWith('\n')) return undefined;
  const [, ipv6, name, digits] = parts;
  if (ipv6 !== undefined && !isIPv6(ipv6)) return undefined;
  const host = ipv6 ?? name;
  if (digits !== undefined) return addressOf(host, Number(digits));
  // Without both scheme and port it is a word of any kind; as a port, it is in the wrong place.
  const isHost = SCHEME.test(uri) && host !== '' && !PORT_ALONE.test(host);
  return isHost ? { host, port: MQTT_PORT } : undefined;
}

/** Why a URI that is none is none, where there is more to say than what is allowed. */
export function whyNotListenUri(uri: string): string | undefined {
  return OTHER_SCHEME.test(uri)
    ? `TLS and WebSocket are not there yet; allowed: ${LISTEN_URI_ALLOWED}`
    : undefined;
}

function addressOf(host: string, port: number): ListenAddress | undefined {
  return port > PORT_MAX ? undefined : { host, port };
}

/** The one spelling of an address: `tcp://[::1]:1883`. */
export function formatListenUri({ host, port }: ListenAddress): string {
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
