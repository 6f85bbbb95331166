/** Who may say by the PROXY protocol whose connection it passes on. */
import { BlockList, isIPv4 } from 'node:net';
import { parseNetwork, UNIX_PROXY } from '../base/proxy-networks.js';
import { plainAddress } from './address-key.js';

/** In a BlockList, what no client has as its address. */
const UNIX_ADDRESS = '::';

/** The list of those named; null for nobody. */
export function proxyList(networks: readonly string[]): BlockList | null {
  if (networks.length === 0) return null;
  const list = new BlockList();
  for (const text of networks) {
    const network = parseNetwork(text === UNIX_PROXY ? UNIX_ADDRESS : text);
    if (network !== undefined) list.addSubnet(network.address, network.prefix, network.family);
  }
  return list;
}

/** Lists that were made, by what names them. */
const lists = new WeakMap<readonly string[], BlockList | null>();

/** The same as `proxyList`, made once for each list of a configuration. */
export function proxiesOf(networks: readonly string[]): BlockList | null {
  let list = lists.get(networks);
  if (list === undefined) {
    list = proxyList(networks);
    lists.set(networks, list);
  }
  return list;
}

/** Whether a peer is one of them. @param address of its socket; empty of a unix socket. */
export function isProxy(list: BlockList, address: string): boolean {
  const plain = address === '' ? UNIX_ADDRESS : plainAddress(address);
  return list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
}
