/** Settings of listeners, where one has no values of its own: see listeners.ts. */
import type { SettingValues } from './config.js';
import { CERTIFICATES_MAX, PATH_BYTES_MAX, TLS_SETTINGS, UNIX_MODE_DEFAULT } from './limits.js';
import { CLIENT_CERTIFICATE_CHOICES, type ClientCertificateChoice } from './listener-config.js';
import type { ServerSetting } from './settings-table.js';
import type { ValueType } from './value-type.js';
import * as type from './value-type.js';

/** Their names in the configuration. */
export type EdgeSetting =
  | 'unixMode'
  | 'tlsCert'
  | 'tlsKey'
  | 'tlsCa'
  | 'tlsCrl'
  | 'tlsClientCert'
  | 'tlsClientCertUsername'
  | 'tlsMinVersion'
  | 'handshakeTimeoutMs'
  | 'maxHandshakes';

const path = type.textOrNone(PATH_BYTES_MAX);

/** Paths of files, by commas or in a list. */
const paths: ValueType<readonly string[]> = {
  allowed: `none, or paths of PEM files, by commas, at most ${CERTIFICATES_MAX}`,
  placeholder: 'path,…',
  read(given) {
    const list: unknown = typeof given === 'string' ? given.split(',') : given;
    if (given === 'none') return [];
    if (!Array.isArray(list) || list.length > CERTIFICATES_MAX) return undefined;
    const files = list.map((item) => (typeof item === 'string' ? path.read(item.trim()) : null));
    return files.every((file) => typeof file === 'string') ? files : undefined;
  },
  show: (files) => (files.length === 0 ? 'none' : files.join(',')),
};

const MODE_MAX = 0o777;
/** Permissions of a file. */
const fileMode: ValueType<number> = {
  allowed: 'permissions in octal, such as 660',
  placeholder: 'mode',
  read(given) {
    const isOctal = typeof given === 'string' && /^0?[0-7]{3}$/.test(given);
    const mode = isOctal ? Number.parseInt(given, 8) : given;
    const isMode = typeof mode === 'number' && Number.isInteger(mode);
    return isMode && mode >= 0 && mode <= MODE_MAX ? mode : undefined;
  },
  show: (mode) => mode.toString(8).padStart(3, '0'),
};

const USERNAME_CHOICES = ['none', 'cn', 'san'] as const;
const usernameChoice = type.oneOf(USERNAME_CHOICES);
/** What of a client certificate is the user name. */
const usernameFrom: ValueType<'cn' | 'san' | null> = {
  ...usernameChoice,
  read(given) {
    const word = given === null ? 'none' : usernameChoice.read(given);
    return word === 'none' ? null : (word as 'cn' | 'san' | undefined);
  },
  show: (choice) => choice ?? 'none',
};

/** By their names in the configuration. */
export const EDGE_SETTINGS: { readonly [K in EdgeSetting]: ServerSetting<SettingValues[K]> } = {
  unixMode: {
    environment: 'SURGEMQ_UNIX_MODE',
    flag: 'unix-mode',
    option: 'unixMode',
    type: fileMode,
    default: fileMode.show(UNIX_MODE_DEFAULT),
    summary: 'Permissions of unix sockets: who may write to one may connect.',
  },
  tlsCert: {
    environment: 'SURGEMQ_TLS_CERT',
    flag: 'tls-cert',
    option: 'tlsCert',
    type: paths,
    default: 'none',
    summary:
      'Certificate of TLS listeners, behind it in the same file those that lead to its root; of ' +
      'several the one that has the name that a client asks for by SNI is used, or the first.',
  },
  tlsKey: {
    environment: 'SURGEMQ_TLS_KEY',
    flag: 'tls-key',
    option: 'tlsKey',
    type: paths,
    default: 'none',
    summary: 'Key of each certificate, in the same order.',
  },
  tlsCa: {
    environment: 'SURGEMQ_TLS_CA',
    flag: 'tls-ca',
    option: 'tlsCa',
    type: path,
    default: 'none',
    summary: 'PEM file of the roots that client certificates must lead to.',
  },
  tlsCrl: {
    environment: 'SURGEMQ_TLS_CRL',
    flag: 'tls-crl',
    option: 'tlsCrl',
    type: path,
    default: 'none',
    summary: 'PEM file of lists of client certificates that are revoked.',
  },
  tlsClientCert: {
    environment: 'SURGEMQ_TLS_CLIENT_CERT',
    flag: 'tls-client-cert',
    option: 'tlsClientCert',
    type: type.oneOf(CLIENT_CERTIFICATE_CHOICES) as ValueType<ClientCertificateChoice>,
    default: 'none',
    summary:
      'Whether clients are asked for a certificate, and closed without a valid one; with ' +
      '`optional`, who shows none is let in all the same.',
  },
  tlsClientCertUsername: {
    environment: 'SURGEMQ_TLS_CLIENT_CERT_USERNAME',
    flag: 'tls-client-cert-username',
    option: 'tlsClientCertUsername',
    type: usernameFrom,
    default: 'none',
    summary:
      'What of a client certificate is its user name: the common name of its subject, its first ' +
      'subject alternative name, or nothing.',
  },
  tlsMinVersion: {
    environment: 'SURGEMQ_TLS_MIN_VERSION',
    flag: 'tls-min-version',
    option: 'tlsMinVersion',
    type: type.oneOf(['TLSv1.2', 'TLSv1.3']) as ValueType<'TLSv1.2' | 'TLSv1.3'>,
    default: 'TLSv1.2',
    summary: 'Oldest version of TLS that clients may speak.',
  },
  handshakeTimeoutMs: {
    environment: 'SURGEMQ_HANDSHAKE_TIMEOUT',
    flag: 'handshake-timeout',
    option: 'handshakeTimeout',
    type: type.duration(TLS_SETTINGS.handshakeTimeoutMs, 1),
    default: type.showDuration(TLS_SETTINGS.handshakeTimeoutMs.default),
    summary: 'Time from accept to the end of the TLS handshake.',
  },
  maxHandshakes: {
    environment: 'SURGEMQ_MAX_HANDSHAKES',
    flag: 'max-handshakes',
    option: 'maxHandshakes',
    type: type.wholeNumber(TLS_SETTINGS.maxHandshakes),
    default: String(TLS_SETTINGS.maxHandshakes.default),
    summary:
      'TLS handshakes at a time of all workers together, in equal shares; when more begin, the ' +
      'oldest of them are closed.',
  },
};
