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
const LISTEN_URI = /^tcp:\/\/(?:\[([^\]]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})\/?$/;

/** What a listen URI may be, for faults. */
export const LISTEN_URI_ALLOWED =
  'tcp://host:port with a port from 0 to 65535, [brackets] around an IPv6 address, no host for all';

/** Parses a listen URI; undefined if it is none. */
export function parseListenUri(uri: string): ListenAddress | undefined {
  const parts = LISTEN_URI.exec(uri);
  if (parts === null) return undefined;
  const [, ipv6, name, digits] = parts;
  const port = Number(digits);
  if (port > PORT_MAX || (ipv6 !== undefined && !isIPv6(ipv6))) return undefined;
  return { host: ipv6 ?? name, port };
}

/** The one spelling of an address: `tcp://[::1]:1883`. */
export function formatListenUri({ host, port }: ListenAddress): string {
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
