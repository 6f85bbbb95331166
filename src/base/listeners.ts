/** Makes what a listener is configured to be of its URI and the settings for all of them. */
import type { SettingValues } from './config.js';
import { ConfigError } from './errors.js';
import {
  formatListenUri,
  LISTEN_URI_ALLOWED,
  type ListenAddress,
  parseListenUri,
} from './listen-uri.js';
import type { ListenerConfig, TlsConfig } from './listener-config.js';
import { withoutPassword } from './without-password.js';

/** Of all settings those that a listener takes, where it has no values of its own. */
export type ListenerSettings = Pick<
  SettingValues,
  | 'unixMode'
  | 'tlsCert'
  | 'tlsKey'
  | 'tlsCa'
  | 'tlsCrl'
  | 'tlsClientCert'
  | 'tlsClientCertUsername'
  | 'tlsMinVersion'
  | 'wsOrigins'
  | 'proxyProtocolFrom'
>;

/** The listener at an address, as the settings have it. */
export function listenerOf(address: ListenAddress, settings: ListenerSettings): ListenerConfig {
  const { kind, host, port, path } = address;
  const isWebSocket = kind === 'ws' || kind === 'wss';
  return {
    uri: formatListenUri(address),
    kind,
    host,
    port,
    path: kind === 'unix' ? path : '',
    mode: kind === 'unix' ? settings.unixMode : 0,
    tls: kind === 'tls' || kind === 'wss' ? tlsOf(settings) : null,
    websocket: isWebSocket ? { path, origins: settings.wsOrigins } : null,
    proxyProtocolFrom: settings.proxyProtocolFrom,
    allowAnonymous: null,
    maxConnections: null,
    ownSettings: {},
  };
}

/** The listeners of `listen`, in its order. */
export function listenersOf(
  settings: ListenerSettings & Pick<SettingValues, 'listen'>,
): ListenerConfig[] {
  return settings.listen.flatMap((uri) => {
    const address = parseListenUri(uri);
    return address === undefined ? [] : [listenerOf(address, settings)];
  });
}

/**
 * The listener that a URI names: the configured one, or one as the settings have it.
 * @throws ConfigError with a line for each fault.
 */
export function listenerFor(
  uri: string,
  config: ListenerSettings & { readonly listeners: readonly ListenerConfig[] },
): ListenerConfig {
  const address = parseListenUri(uri);
  if (address === undefined) {
    throw new ConfigError([
      `cannot listen on ${withoutPassword(uri)}: it must be ${LISTEN_URI_ALLOWED}`,
    ]);
  }
  const spelling = formatListenUri(address);
  const configured = config.listeners.find((listener) => listener.uri === spelling);
  const listener = configured ?? listenerOf(address, config);
  const faults = listenerFaults(listener);
  if (faults.length > 0) {
    throw new ConfigError(faults.map((fault) => `cannot listen on ${spelling}: ${fault}`));
  }
  return listener;
}

/** What a listener lacks, a line each, without its URI. */
export function listenerFaults({ tls }: ListenerConfig): string[] {
  if (tls === null) return [];
  const faults: string[] = [];
  if (tls.certificates.length === 0) {
    faults.push('TLS needs a certificate and its key: set tlsCert and tlsKey');
  }
  if (tls.certificates.some(({ certificate, key }) => certificate === '' || key === '')) {
    faults.push('tlsCert and tlsKey must name as many files: each certificate with its key');
  }
  if (tls.clientCertificate !== 'none' && tls.ca === null) {
    faults.push(
      'client certificates need the root that they lead to: set tlsCa, since by the roots of ' +
        "the system everybody's would do",
    );
  }
  return faults;
}

function tlsOf(settings: ListenerSettings): TlsConfig {
  const { tlsCert, tlsKey } = settings;
  const count = Math.max(tlsCert.length, tlsKey.length);
  return {
    certificates: Array.from({ length: count }, (_, at) => ({
      certificate: tlsCert[at] ?? '',
      key: tlsKey[at] ?? '',
    })),
    ca: settings.tlsCa,
    crl: settings.tlsCrl,
    clientCertificate: settings.tlsClientCert,
    usernameFrom: settings.tlsClientCertUsername,
    minVersion: settings.tlsMinVersion,
  };
}
