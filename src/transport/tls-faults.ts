/** What went wrong in a TLS handshake, in words for an operator. */
import { errorCode } from '../base/error-code.js';
import { HandshakeFault } from './handshakes.js';

/** First byte of a record of type handshake, which every TLS begins with. */
const HANDSHAKE_RECORD = 0x16;
/** First byte of CONNECT, with the flags that 3.1.1 asks for. */
const CONNECT_HEADER = 0x10;
const HTTP = /^(?:GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH|CONNECT) /;

/** Why the first bytes of a client begin no TLS handshake; undefined: they may. */
export function isNoHandshake(bytes: Buffer): string | undefined {
  if (bytes[0] === HANDSHAKE_RECORD) return undefined;
  if (bytes[0] === CONNECT_HEADER) {
    return 'a client that speaks MQTT without TLS on a port for TLS: turn TLS on there';
  }
  const text = bytes.toString('latin1', 0, 16);
  if (HTTP.test(text)) return 'an HTTP client on a port for MQTT over TLS';
  if (text.startsWith('PROXY ') || text.startsWith('\r\n\r\n\0\r\n')) {
    return 'a proxy that sends a PROXY protocol header, which is not expected from its address';
  }
  return 'what it sends is no TLS';
}

/** By the code of OpenSSL's error, where that alone does not tell what to do. */
const DETAILS: Readonly<Record<string, string>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it speaks no version of TLS from tlsMinVersion on',
  ERR_SSL_NO_SHARED_CIPHER: 'it knows none of the ciphers that are allowed',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'it asks for a protocol other than mqtt by ALPN',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not know the root of our certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'it does not accept our certificate',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'it does not accept our certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'for it our certificate has expired',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it does not accept our version of TLS',
};
/** It was reset, or closed in the middle. */
const LEFT = new Set(['ECONNRESET', 'EPIPE', 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING']);
const NO_CERTIFICATE = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';

/** What an error during a handshake was. */
export function handshakeDetail(error: Error): { fault: HandshakeFault; detail: string } {
  const code = errorCode(error);
  if (LEFT.has(code)) return { fault: HandshakeFault.left, detail: 'it left' };
  if (code === NO_CERTIFICATE) {
    return { fault: HandshakeFault.certificate, detail: 'it shows no certificate' };
  }
  const { reason } = error as Error & { readonly reason?: string };
  return { fault: HandshakeFault.protocol, detail: DETAILS[code] ?? reason ?? error.message };
}
