/** The option `tls`, checked and made into what node:tls takes. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { ListenerKind } from '../base/listener-config.js';
import type { OptionReader } from './option-reader.js';
import { isPayload } from './text.js';

/** A certificate, a list of them or a key, in PEM: text or its bytes, no path. */
export type Pem = string | Uint8Array;

/** Options of TLS, for servers whose URI begins with `mqtts:` (`tls:`, `ssl:`) or `wss:`. */
export interface TlsOptions {
  /** Roots that the server's certificate has to lead to; default: those that Node ships. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /** Certificate of this client, behind it those that lead to its root; needs `key`. */
  readonly cert?: Pem | undefined;
  /** Its private key. */
  readonly key?: Pem | undefined;
  /** Of an encrypted `key`. */
  readonly passphrase?: string | undefined;
  /** Name that is asked for (SNI) and looked for in the certificate; default: the URI's host. */
  readonly servername?: string | undefined;
  /** Protocols offered by ALPN, such as `mqtt`, the first one preferred; default: none. */
  readonly alpn?: string | readonly string[] | undefined;
  /**
   * Default true. false: any certificate will do, so that anybody in between can be the server.
   */
  readonly rejectUnauthorized?: boolean | undefined;
  /** Default true. false: the certificate has to lead to a root, and may be for another host. */
  readonly checkHost?: boolean | undefined;
  /** Oldest version that is spoken; default TLSv1.2. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** Cipher suites in OpenSSL's words; default: Node's. */
  readonly ciphers?: string | undefined;
}

/** TLS of a client after the checks. */
export interface TlsSettings {
  readonly context: SecureContext;
  readonly servername: string | undefined;
  readonly alpn: readonly string[];
  readonly rejectUnauthorized: boolean;
  readonly checkHost: boolean;
}

const KNOWN: Readonly<Record<keyof TlsOptions, true>> = {
  ca: true,
  cert: true,
  key: true,
  passphrase: true,
  servername: true,
  alpn: true,
  rejectUnauthorized: true,
  checkHost: true,
  minVersion: true,
  ciphers: true,
};
const VERSIONS: readonly unknown[] = ['TLSv1.2', 'TLSv1.3'];
const NONE: TlsOptions = {};
/** Longest name of a protocol, whose length has one byte [RFC 7301, 3.1]. */
const ALPN_BYTES_MAX = 255;

/** @returns null for a URI without TLS; faults are noted. */
export function readTls(
  reader: OptionReader,
  kind: ListenerKind | undefined,
  given: TlsOptions | undefined,
): TlsSettings | null {
  const options = typeof given === 'object' && given !== null ? given : NONE;
  reader.expect(given === undefined || options === given, 'option tls must be an object');
  reader.known(options, KNOWN, 'tls.');
  if (kind === undefined) return null;
  const isTls = kind === 'tls' || kind === 'wss';
  reader.expect(
    isTls || given === undefined,
    'option tls is for mqtts:// and wss://, and the URI has another scheme',
  );
  if (!isTls) return null;
  const faultsBefore = reader.faults.length;
  checkTypes(reader, options);
  const alpn = readAlpn(reader, options.alpn);
  // What is no text or bytes would be the next fault, in words of node's.
  const context = reader.faults.length > faultsBefore ? null : makeContext(reader, options);
  if (context === null) return null;
  const { servername, rejectUnauthorized = true, checkHost = true } = options;
  return { context, servername, alpn, rejectUnauthorized, checkHost };
}

function checkTypes(reader: OptionReader, options: TlsOptions): void {
  const { ca, cert, key, minVersion } = options;
  const isAbsentOr = (value: unknown, type: string) => value === undefined || typeof value === type;
  for (const [name, pem] of [['cert', cert] as const, ['key', key] as const]) {
    const isPem = pem === undefined || isPayload(pem);
    reader.expect(isPem, `option tls.${name} must be PEM, as text or bytes`);
  }
  const roots: readonly unknown[] = Array.isArray(ca) ? ca : [ca ?? ''];
  reader.expect(roots.every(isPayload), 'option tls.ca must be PEM, as text or bytes, or a list');
  for (const name of ['passphrase', 'servername', 'ciphers'] as const) {
    reader.expect(isAbsentOr(options[name], 'string'), `option tls.${name} must be text`);
  }
  for (const name of ['rejectUnauthorized', 'checkHost'] as const) {
    reader.expect(isAbsentOr(options[name], 'boolean'), `option tls.${name} must be true or false`);
  }
  reader.expect(
    minVersion === undefined || VERSIONS.includes(minVersion),
    `option tls.minVersion is ${String(minVersion)}; allowed: TLSv1.2, TLSv1.3`,
  );
  reader.expect(
    isIP(options.servername ?? '') === 0,
    'option tls.servername must be a host name, and no address',
  );
  const isWhole = (cert === undefined) === (key === undefined);
  reader.expect(isWhole, 'options tls.cert and tls.key belong together: one of them is missing');
}

function readAlpn(reader: OptionReader, given: TlsOptions['alpn']): readonly string[] {
  const names: readonly unknown[] = Array.isArray(given)
    ? given
    : given === undefined
      ? []
      : [given];
  const isName = (name: unknown): name is string =>
    typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= ALPN_BYTES_MAX;
  if (names.every(isName)) return names;
  reader.faults.push(`option tls.alpn must be text of 1 to ${ALPN_BYTES_MAX} bytes, or a list`);
  return [];
}

/** Reads the PEM here rather than at the first connection: what is wrong with it stays wrong. */
function makeContext(reader: OptionReader, options: TlsOptions): SecureContext | null {
  const { cert, key, passphrase, ciphers, minVersion = 'TLSv1.2' } = options;
  const ca = bytesOf(options.ca);
  // Node takes a root that is none, and trusts nobody then.
  if (ca?.every(isRoots) === false) {
    reader.faults.push('option tls.ca is not a certificate in PEM, or a list of them');
    return null;
  }
  const parts = [
    ['tls.ca', 'a certificate in PEM', { ca }],
    ['tls.cert', 'a certificate in PEM', { cert: bytesOf(cert) }],
    [
      'tls.key',
      'a private key in PEM that tls.passphrase opens',
      { key: bytesOf(key), passphrase },
    ],
    ['tls.ciphers', "cipher suites in OpenSSL's words", { ciphers }],
  ] as const;
  for (const [name, allowed, part] of parts) {
    const why = whyNot(part);
    if (why === null) continue;
    reader.faults.push(`option ${name} is not ${allowed}: ${why}`);
    return null;
  }
  const whole = Object.assign({ minVersion }, ...parts.map(([, , part]) => part));
  try {
    return createSecureContext(whole);
  } catch (error) {
    reader.faults.push(`options tls.cert and tls.key do not fit together: ${messageOf(error)}`);
    return null;
  }
}

const CERTIFICATE = /-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----.*?-----END \1-----/gs;

/** Whether text is one certificate or several. */
function isRoots(pem: string | Buffer): boolean {
  const certificates = pem.toString('latin1').match(CERTIFICATE) ?? [];
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
    return certificates.length > 0;
  } catch {
    return false;
  }
}

/** Why OpenSSL does not take something; null if it does. */
function whyNot(part: Parameters<typeof createSecureContext>[0]): string | null {
  try {
    createSecureContext(part);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** OpenSSL's reason without its numbers. */
function messageOf(error: unknown): string {
  const { message } = error as Error;
  return message.split(':').at(-1)!.trim();
}

function bytesOf(pem: Pem | readonly Pem[] | undefined): (string | Buffer)[] | undefined {
  if (pem === undefined) return undefined;
  const all = Array.isArray(pem) ? (pem as readonly Pem[]) : [pem as Pem];
  return all.map((one) => (typeof one === 'string' ? one : Buffer.from(one)));
}
