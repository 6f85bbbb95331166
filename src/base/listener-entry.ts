/** A listener as a configuration file has it: what it says stands before what holds for all. */
import { LISTENER_SETTINGS, ownSettingsOf } from './client-settings.js';
import type { ClientCertificateChoice, ListenerConfig, TlsConfig } from './listener-config.js';

/** TLS of one listener; `certificate` and `key` are short for one of `certificates`. */
interface TlsEntry {
  readonly certificate?: string;
  readonly key?: string;
  readonly certificates?: readonly { readonly certificate: string; readonly key: string }[];
  readonly ca?: string;
  readonly crl?: string;
  readonly clientCertificate?: ClientCertificateChoice;
  readonly usernameFrom?: 'cn' | 'san';
  readonly minVersion?: TlsConfig['minVersion'];
}

export interface ListenerEntry {
  /** In its one spelling. */
  readonly uri: string;
  readonly tls?: TlsEntry;
  readonly websocket?: { readonly origins?: readonly string[] };
  readonly mode?: number;
  readonly proxyProtocolFrom?: readonly string[];
  readonly allowAnonymous?: boolean;
  readonly maxConnections?: number;
}

/** The listener with the values of its own. */
export function withEntry(listener: ListenerConfig, entry: ListenerEntry): ListenerConfig {
  const { tls, websocket } = listener;
  return {
    ...listener,
    mode: listener.kind === 'unix' ? (entry.mode ?? listener.mode) : 0,
    tls: tls === null ? null : tlsOf(tls, entry.tls ?? {}),
    websocket:
      websocket === null
        ? null
        : { ...websocket, origins: entry.websocket?.origins ?? websocket.origins },
    proxyProtocolFrom: entry.proxyProtocolFrom ?? listener.proxyProtocolFrom,
    allowAnonymous: entry.allowAnonymous ?? listener.allowAnonymous,
    maxConnections: entry.maxConnections ?? listener.maxConnections,
    ownSettings: ownSettingsOf(entry, LISTENER_SETTINGS),
  };
}

function tlsOf(tls: TlsConfig, entry: TlsEntry): TlsConfig {
  const { certificate = '', key = '', certificates = [] } = entry;
  const first = certificate === '' && key === '' ? [] : [{ certificate, key }];
  const own = [...first, ...certificates];
  return {
    certificates: own.length > 0 ? own : tls.certificates,
    ca: entry.ca ?? tls.ca,
    crl: entry.crl ?? tls.crl,
    clientCertificate: entry.clientCertificate ?? tls.clientCertificate,
    usernameFrom: entry.usernameFrom ?? tls.usernameFrom,
    minVersion: entry.minVersion ?? tls.minVersion,
  };
}
