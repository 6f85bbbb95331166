/**
 * The header of the PROXY protocol, versions 1 and 2, by which a proxy says whose connection it
 * passes on. Nothing behind it may be taken: it is read in pieces, each no longer than is surely
 * part of it.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { PROXY_HEADER_BYTES_MAX } from '../base/limits.js';
import { plainAddress } from './address-key.js';

/** What a header says. */
export interface ProxyHeader {
  /** Address of the client; null: the connection is the proxy's own, or it cannot tell. */
  readonly address: string | null;
  readonly port: number;
}

/** What is known of a header by its beginning. */
export type ProxyHeaderState =
  /** So many bytes more are surely part of it. */
  | { readonly kind: 'more'; readonly bytes: number }
  | { readonly kind: 'header'; readonly header: ProxyHeader }
  | { readonly kind: 'fault'; readonly detail: string };

const SIGNATURE_1 = Buffer.from('PROXY ');
const SIGNATURE_2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Longest header of version 1, with its end of line. */
const V1_BYTES_MAX = 107;
/** `PROXY UNKNOWN` with its end of line: none of version 1 is shorter. */
const V1_BYTES_MIN = 15;
const V2_FIXED_BYTES = 16;
const CARRIAGE_RETURN = 0x0d;
const PORT_MAX = 65_535;
const PORT = /^(?:0|[1-9]\d{0,4})$/;
const NOBODY: ProxyHeader = { address: null, port: 0 };

/** Commands of version 2. */
const LOCAL = 0x20;
const PROXY = 0x21;
/** Address families of version 2, in the high half of their byte. */
const UNSPECIFIED = 0;
const INET = 1;
const UNIX = 3;
/** Bytes that the addresses of each take; the third is that of IPv6. */
const ADDRESS_BYTES = [0, 12, 36, 216];
/** Protocols in the low half: not said, and a stream. */
const STREAM = 1;

/** Looks at all that has come: `header` and `fault` are final. */
export function readProxyHeader(bytes: Buffer): ProxyHeaderState {
  if (bytes.length === 0) return more(SIGNATURE_1.length);
  if (begins(bytes, SIGNATURE_1)) {
    return bytes.length < V1_BYTES_MIN ? more(V1_BYTES_MIN - bytes.length) : readVersion1(bytes);
  }
  if (begins(bytes, SIGNATURE_2)) {
    return bytes.length < V2_FIXED_BYTES
      ? more(V2_FIXED_BYTES - bytes.length)
      : readVersion2(bytes);
  }
  return fault('what comes first is no PROXY protocol header');
}

/** Whether both are the same as far as they go. */
function begins(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

function readVersion1(bytes: Buffer): ProxyHeaderState {
  const end = bytes.indexOf('\r\n');
  if (end < 0) {
    // A carriage return at the end wants one byte more, anything else both.
    const wanted = bytes[bytes.length - 1] === CARRIAGE_RETURN ? 1 : 2;
    return bytes.length + wanted > V1_BYTES_MAX ? fault('its line is too long') : more(wanted);
  }
  if (end + 2 !== bytes.length) return fault('more was read than it');
  const [, family, source, destination, sourcePort, destinationPort, ...rest] = bytes
    .toString('latin1', 0, end)
    .split(' ');
  if (family === 'UNKNOWN') return { kind: 'header', header: NOBODY };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined;
  if (isAddress === undefined) return fault('its protocol is neither TCP4, TCP6 nor UNKNOWN');
  if (rest.length > 0 || destinationPort === undefined) return fault('it has not six parts');
  // A zone means nothing on another machine.
  const areAddresses = [source, destination].every(
    (text) => isAddress(text) && !text.includes('%'),
  );
  if (!areAddresses) return fault('its addresses are none of its protocol');
  if (!isPort(sourcePort) || !isPort(destinationPort)) return fault('its ports are none');
  return header(plainAddress(source), Number(sourcePort));
}

function readVersion2(bytes: Buffer): ProxyHeaderState {
  const command = bytes[12];
  if (command >> 4 !== 2) return fault('its version is neither 1 nor 2');
  if (command !== LOCAL && command !== PROXY) return fault('its command is unknown');
  const family = bytes[13] >> 4;
  const protocol = bytes[13] & 0x0f;
  const length = bytes.readUInt16BE(14);
  if (V2_FIXED_BYTES + length > PROXY_HEADER_BYTES_MAX) return fault('it is too long');
  if (command === PROXY) {
    if (family > UNIX || protocol > STREAM)
      return fault('it speaks of something else than a stream');
    if (length < ADDRESS_BYTES[family]) return fault('it is shorter than its addresses');
  }
  const missing = V2_FIXED_BYTES + length - bytes.length;
  if (missing > 0) return more(missing);
  if (missing < 0) return fault('more was read than it');
  if (command === LOCAL || family === UNSPECIFIED) return { kind: 'header', header: NOBODY };
  if (family === UNIX) return header('', 0);
  return family === INET
    ? header(bytes.subarray(16, 20).join('.'), bytes.readUInt16BE(24))
    : header(ipv6Of(bytes.subarray(16, 32)), bytes.readUInt16BE(48));
}

function ipv6Of(bytes: Buffer): string {
  const address = (bytes.toString('hex').match(/.{4}/g) ?? []).join(':');
  return plainAddress(new SocketAddress({ address, family: 'ipv6' }).address);
}

function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= PORT_MAX;
}

function more(bytes: number): ProxyHeaderState {
  return { kind: 'more', bytes };
}

function header(address: string, port: number): ProxyHeaderState {
  return { kind: 'header', header: { address, port } };
}

function fault(why: string): ProxyHeaderState {
  return { kind: 'fault', detail: `PROXY protocol: ${why}` };
}
