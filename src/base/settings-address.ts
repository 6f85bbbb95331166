/**
 * Settings of who may connect how often, by address, before a byte is read; part of the table in
 * settings-table.ts.
 */
import type { Config } from './config.js';
import { EDGE_SETTINGS } from './limits.js';
import type { ServerSetting } from './settings-table.js';
import * as type from './value-type.js';

/** Their names in the configuration. */
export type AddressSetting = 'maxConnectionsPerAddress' | 'connectRatePerAddress' | 'connectRate';

/** By their names in the configuration. */
export const ADDRESS_SETTINGS: { readonly [K in AddressSetting]: ServerSetting<Config[K]> } = {
  maxConnectionsPerAddress: {
    environment: 'SURGEMQ_MAX_CONNECTIONS_PER_ADDRESS',
    flag: 'max-connections-per-address',
    option: 'maxConnectionsPerAddress',
    type: type.wholeNumber(EDGE_SETTINGS.maxConnectionsPerAddress),
    default: String(EDGE_SETTINGS.maxConnectionsPerAddress.default),
    summary:
      'Connections of one IPv4 address or IPv6 /64 network at a time, more are closed at once; 0 ' +
      'is no limit. Those by loopback and unix sockets are not counted.',
  },
  connectRatePerAddress: {
    environment: 'SURGEMQ_CONNECT_RATE_PER_ADDRESS',
    flag: 'connect-rate-per-address',
    option: 'connectRatePerAddress',
    type: type.wholeNumber(EDGE_SETTINGS.connectRatePerAddress),
    default: String(EDGE_SETTINGS.connectRatePerAddress.default),
    summary: 'New connections a second of one such address, likewise.',
  },
  connectRate: {
    environment: 'SURGEMQ_CONNECT_RATE',
    flag: 'connect-rate',
    option: 'connectRate',
    type: type.wholeNumber(EDGE_SETTINGS.connectRate),
    default: String(EDGE_SETTINGS.connectRate.default),
    summary:
      'New connections a second of all addresses together, more are closed at once; 0 is no ' +
      'limit. Those by loopback and unix sockets are not counted.',
  },
};
