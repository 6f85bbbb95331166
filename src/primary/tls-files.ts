/** Checks certificates, keys, roots and revocation lists before anything goes by them. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Config } from '../base/config.js';
import { errorCode } from '../base/error-code.js';
import { CERTIFICATE_ENDS_SOON_DAYS } from '../base/limits.js';
import type { CertificatePaths, TlsConfig } from '../base/listener-config.js';
import type { Materials } from '../base/materials.js';
import { splitPem } from '../transport/pem.js';

/** What TLS there is: that of each listener, and that of the settings for those that come later. */
function allTls(config: Config): TlsConfig[] {
  const { tlsCert, tlsKey, tlsCa: ca, tlsCrl: crl, tlsMinVersion: minVersion } = config;
  const certificates = tlsCert.map((certificate, at) => ({ certificate, key: tlsKey[at] ?? '' }));
  const { tlsClientCert: clientCertificate, tlsClientCertUsername: usernameFrom } = config;
  const general = { certificates, ca, crl, clientCertificate, usernameFrom, minVersion };
  return [general, ...config.listeners.flatMap(({ tls }) => (tls === null ? [] : [tls]))];
}

function present(paths: readonly (string | null)[]): string[] {
  return paths.filter((path): path is string => path !== null && path !== '');
}

function pairsOf(config: Config): CertificatePaths[] {
  const pairs = allTls(config).flatMap(({ certificates }) => certificates);
  return pairs.filter(({ certificate, key }) => certificate !== '' && key !== '');
}

/** Paths of every certificate that the configuration names. */
export function certificatePaths(config: Config): string[] {
  return present(allTls(config).flatMap((tls) => tls.certificates.map((one) => one.certificate)));
}

/** Paths of every key. */
export function keyPaths(config: Config): string[] {
  return present(allTls(config).flatMap((tls) => tls.certificates.map(({ key }) => key)));
}

/** Paths of the roots of client certificates. */
export function caPaths(config: Config): string[] {
  return present(allTls(config).map(({ ca }) => ca));
}

/** Paths of the lists of revoked certificates. */
export function crlPaths(config: Config): string[] {
  return present(allTls(config).map(({ crl }) => crl));
}

/** All of them: what is looked at for changes. */
export function tlsPaths(config: Config): string[] {
  const paths = [certificatePaths, keyPaths, caPaths, crlPaths].flatMap((each) => each(config));
  return [...new Set(paths)];
}

/** What is wrong with the text of a file of certificates. */
export function certificateFaults(text: string): string[] {
  const parts = splitPem(text).filter((part) => part.startsWith('-----BEGIN CERTIFICATE-----'));
  if (parts.length === 0)
    return ['it has no certificate in PEM form (-----BEGIN CERTIFICATE-----)'];
  return parts.flatMap((part, at) =>
    isGood(() => new X509Certificate(part)) ? [] : [`certificate ${at + 1} cannot be read`],
  );
}

/** What is wrong with the text of a key. */
export function keyFaults(text: string): string[] {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    return ['it has no private key in PEM form (-----BEGIN PRIVATE KEY-----)'];
  }
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text)) {
    return ['the key has a passphrase, which nobody could be asked for: store it without one'];
  }
  return isGood(() => createPrivateKey(text)) ? [] : ['the key cannot be read'];
}

/** What is wrong with the text of a list of revoked certificates. */
export function crlFaults(text: string): string[] {
  const parts = splitPem(text).filter((part) => part.startsWith('-----BEGIN X509 CRL-----'));
  if (parts.length === 0) return ['it has no list in PEM form (-----BEGIN X509 CRL-----)'];
  return isGood(() => createSecureContext({ crl: parts })) ? [] : ['the list cannot be read'];
}

/** What is wrong between files that are each sound: keys of other certificates. */
export function tlsRelationFaults(config: Config, materials: Materials): string[] {
  const faults = new Set<string>();
  for (const { certificate, key } of pairsOf(config)) {
    const why = whyNotUsed(materials.get(certificate) ?? '', materials.get(key) ?? '');
    if (why !== undefined) faults.add(`tlsKey ${key}: ${why} ${certificate}`);
  }
  return [...faults];
}

/** Certificates that are good no more, or not for long. @param now milliseconds since 1970. */
export function tlsWarnings(config: Config, materials: Materials, now = Date.now()): string[] {
  return [...new Set(certificatePaths(config))].flatMap((path) => {
    const text = materials.get(path);
    const why = text === undefined ? undefined : whyNotGood(new X509Certificate(text), now);
    return why === undefined ? [] : [`tlsCert ${path}: ${why}`];
  });
}

function whyNotUsed(certificate: string, key: string): string | undefined {
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
    return 'it is not the key of';
  }
  try {
    createSecureContext({ cert: certificate, key });
    return undefined;
  } catch (error) {
    return `OpenSSL does not take it (${errorCode(error)}) with`;
  }
}

function whyNotGood({ validFrom, validTo }: X509Certificate, now: number): string | undefined {
  const dayMs = 24 * 60 * 60 * 1_000;
  const end = Date.parse(validTo);
  if (end < now) return `the certificate has expired, on ${validTo}: clients will refuse it`;
  if (Date.parse(validFrom) > now) return `the certificate is good only from ${validFrom} on`;
  const days = Math.floor((end - now) / dayMs);
  return days < CERTIFICATE_ENDS_SOON_DAYS
    ? `the certificate expires in ${days} days, on ${validTo}`
    : undefined;
}

function isGood(make: () => unknown): boolean {
  try {
    make();
    return true;
  } catch {
    return false;
  }
}
