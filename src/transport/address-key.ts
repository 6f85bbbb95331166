/**
 * What connections are counted by: an IPv4 address, or the /64 network of an IPv6 address, since
 * that is the least that one customer gets.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** No address, or none that is counted. */
export const NO_ADDRESS = 0n;
/** Before an IPv4 address: a network that is reserved among those of IPv6. */
const IPV4_NETWORK = 0xffffn << 32n;
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const GROUPS = 8;

/** An address as people write it: IPv4 where a socket of both kinds shows it as IPv6. */
export function plainAddress(address: string): string {
  return MAPPED_IPV4.exec(address)?.[1] ?? address;
}

/** Whether it is of this machine itself. Unix sockets have no address, and are as near. */
export function isLocalAddress(address: string): boolean {
  const plain = plainAddress(address);
  return plain === '' || plain === '::1' || (plain.startsWith('127.') && isIPv4(plain));
}

/**
 * The 64 bits that an address is counted by, as a signed BigInt64Array has them: the same for all
 * of one IPv6 /64 network, for an IPv4 address and its IPv6 form. NO_ADDRESS for what is none.
 */
export function addressKey(address: string): bigint {
  const plain = plainAddress(address);
  if (isIPv4(plain)) {
    const bits = plain.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    return IPV4_NETWORK | BigInt(bits);
  }
  return isIPv6(plain) ? BigInt.asIntN(64, networkOf(plain)) : NO_ADDRESS;
}

/** The first four groups of an IPv6 address. Its zone, if any, is behind them. */
function networkOf(address: string): bigint {
  const [head, tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    // What is behind the gap may end in a dotted IPv4 address, which stands for two groups.
    const back = tail === '' ? [] : tail.split('%')[0].split(':');
    const backGroups = back.length + (back.at(-1)?.includes('.') ? 1 : 0);
    while (front.length + backGroups < GROUPS) front.push('0');
    front.push(...back);
  }
  let network = 0n;
  for (const group of front.slice(0, GROUPS / 2)) network = (network << 16n) | BigInt(`0x${group}`);
  return network;
}
