/** Addresses and networks that proxies connect from, as an operator writes them. */
import { isIPv4, isIPv6 } from 'node:net';

/** Stands for those that come by a unix socket, which have no address. */
export const UNIX_PROXY = 'unix';
const NETWORK = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/;

/** A network in parts. */
export interface Network {
  readonly address: string;
  /** Bits of it that are those of the network. */
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Parses an address, or a network such as `10.0.0.0/8`; undefined if it is none. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', digits] = NETWORK.exec(text) ?? [];
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : 0;
  const prefix = digits === undefined ? bits : Number(digits);
  if (bits === 0 || prefix > bits) return undefined;
  return { address, prefix, family: bits === 32 ? 'ipv4' : 'ipv6' };
}

/** Whether proxies may be named so. */
export function isProxyNetwork(text: string): boolean {
  return text === UNIX_PROXY || parseNetwork(text) !== undefined;
}
