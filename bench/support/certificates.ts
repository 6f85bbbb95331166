/**
 * X.509 certificates for the tests, made on the spot: none can expire in the repository, and no
 * program has to be there. As much of RFC 5280 as that takes.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';

/** What a certificate says. */
export interface CertificateFields {
  /** Common Name. */
  readonly name: string;
  /** Subject Alternative Names: host names, IPv4 addresses, and URIs, which hold a colon. */
  readonly hosts?: readonly string[];
  /** Validity; default: since yesterday, for a day from now on. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/** A certificate and its private key, in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
const OID = {
  commonName: '550403',
  ecdsaWithSha256: '2a8648ce3d040302',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
} as const;

// ---- DER ----------------------------------------------------------------------------------------

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const lengthBytes =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), body]);
}
const sequence = (...parts: readonly Buffer[]) => der(0x30, ...parts);
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const utf8 = (text: string) => der(0x0c, Buffer.from(text));
const octets = (bytes: Buffer) => der(0x04, bytes);
const bits = (bytes: Buffer) => der(0x03, Buffer.from([0]), bytes);
const integer = (bytes: Buffer) => der(0x02, bytes);
const time = (date: Date) => der(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, '')));
const name = (text: string) => sequence(der(0x31, sequence(oid(OID.commonName), utf8(text))));
const TRUE = der(0x01, Buffer.from([0xff]));
const ALGORITHM = sequence(oid(OID.ecdsaWithSha256));

function generalName(host: string): Buffer {
  if (host.includes(':')) return der(0x86, Buffer.from(host));
  return isIP(host) === 4
    ? der(0x87, Buffer.from(host.split('.').map(Number)))
    : der(0x82, Buffer.from(host));
}

function extensions(hosts: readonly string[], isAuthority: boolean): Buffer {
  const all: Buffer[] = [];
  if (isAuthority) all.push(sequence(oid(OID.basicConstraints), TRUE, octets(sequence(TRUE))));
  if (hosts.length > 0) {
    all.push(sequence(oid(OID.subjectAltName), octets(sequence(...hosts.map(generalName)))));
  }
  return all.length === 0 ? Buffer.alloc(0) : der(0xa3, sequence(...all));
}

function pem(bytes: Buffer, label = 'CERTIFICATE'): string {
  const lines = bytes
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

// ---- certificates -------------------------------------------------------------------------------

function certify(
  { name: subject, hosts = [], notBefore, notAfter }: CertificateFields,
  publicKey: KeyObject,
  issuer: string,
  issuerKey: KeyObject,
  isAuthority: boolean,
): string {
  const serial = randomBytes(8);
  serial[0] = (serial[0] & 0x7f) | 0x40;
  const certificate = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ALGORITHM,
    name(issuer),
    sequence(
      time(notBefore ?? new Date(Date.now() - DAY_MS)),
      time(notAfter ?? new Date(Date.now() + DAY_MS)),
    ),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    extensions(hosts, isAuthority),
  );
  return pem(sequence(certificate, ALGORITHM, bits(sign('sha256', certificate, issuerKey))));
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

const inPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** A certificate authority. */
export class Authority implements Identity {
  readonly cert: string;
  readonly key: string;
  readonly #name: string;
  readonly #key: KeyObject;

  constructor(name = 'Test CA') {
    const key = newKey();
    this.#name = name;
    this.#key = key;
    this.key = inPem(key);
    this.cert = certify({ name }, createPublicKey(key), name, key, true);
  }

  /** Issues a certificate with a key of its own, or with `key` (PEM). */
  issue(fields: CertificateFields, key?: string): Identity {
    const own = key === undefined ? newKey() : createPrivateKey(key);
    const cert = certify(fields, createPublicKey(own), this.#name, this.#key, false);
    return { cert, key: inPem(own) };
  }

  /** A list of revoked certificates, in PEM. */
  revoke(...certificates: readonly string[]): string {
    const revoked = certificates.map((cert) => {
      const serial = Buffer.from(new X509Certificate(cert).serialNumber, 'hex');
      return sequence(integer(serial), time(new Date()));
    });
    const list = sequence(
      integer(Buffer.from([1])),
      ALGORITHM,
      name(this.#name),
      time(new Date(Date.now() - DAY_MS)),
      time(new Date(Date.now() + DAY_MS)),
      ...(revoked.length === 0 ? [] : [sequence(...revoked)]),
    );
    return pem(sequence(list, ALGORITHM, bits(sign('sha256', list, this.#key))), 'X509 CRL');
  }
}
