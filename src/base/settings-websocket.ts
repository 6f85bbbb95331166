/**
 * Settings of listeners for clients behind proxies and in browsers, where one has no values of its
 * own; part of the table in settings-table.ts.
 */
import type { SettingValues } from './config.js';
import { PROXY_NETWORKS_MAX, WEBSOCKET_ORIGINS_MAX } from './limits.js';
import { isProxyNetwork } from './proxy-networks.js';
import type { ServerSetting } from './settings-table.js';
import type { ValueType } from './value-type.js';

/** Their names in the configuration. */
export type WebSocketSetting = 'proxyProtocolFrom' | 'wsOrigins';

/** What browsers send as Origin: scheme and host, a port that is not the scheme's; or `null`. */
const ORIGIN = /^(?:null|[a-z][a-z0-9+.-]*:\/\/[!-.0-~]+)$/;

/** A list by commas, or `none`; each item as `item` has it, undefined where it is none. */
function listOf(
  allowed: string,
  placeholder: string,
  itemsMax: number,
  item: (text: string) => string | undefined,
): ValueType<readonly string[]> {
  return {
    allowed: `none, or ${allowed}, by commas, at most ${itemsMax}`,
    placeholder,
    read(given) {
      if (given === 'none') return [];
      const list: unknown = typeof given === 'string' ? given.split(',') : given;
      if (!Array.isArray(list) || list.length > itemsMax) return undefined;
      const items = list.map((each) => (typeof each === 'string' ? item(each.trim()) : undefined));
      return items.every((each) => each !== undefined) ? items : undefined;
    },
    show: (items) => (items.length === 0 ? 'none' : items.join(',')),
  };
}

/** By their names in the configuration. */
export const WEBSOCKET_SETTINGS: {
  readonly [K in WebSocketSetting]: ServerSetting<SettingValues[K]>;
} = {
  proxyProtocolFrom: {
    environment: 'SURGEMQ_PROXY_PROTOCOL_FROM',
    flag: 'proxy-protocol-from',
    option: 'proxyProtocolFrom',
    type: listOf(
      'addresses and networks such as 10.0.0.0/8, and `unix`',
      'network,…',
      PROXY_NETWORKS_MAX,
      (text) => (isProxyNetwork(text) ? text : undefined),
    ),
    default: 'none',
    summary:
      'Proxies, which say by the PROXY protocol (version 1 or 2) whose connection they pass on: ' +
      'who connects from there without such a header is closed, and from elsewhere none is read.',
  },
  wsOrigins: {
    environment: 'SURGEMQ_WS_ORIGINS',
    flag: 'ws-origins',
    option: 'wsOrigins',
    type: listOf(
      'origins such as https://app.example',
      'origin,…',
      WEBSOCKET_ORIGINS_MAX,
      (text) => (ORIGIN.test(text.toLowerCase()) ? text.toLowerCase() : undefined),
    ),
    default: 'none',
    summary:
      'Origins of pages whose browsers may connect by WebSocket; none is any. Clients that send ' +
      'no Origin, as those outside of browsers, are let in.',
  },
};
