/** Clients of other protocols on an MQTT port: told by their first bytes, for the log. */

/** Longest beginning that is looked at. */
const BEGINNING_BYTES_MAX = 8;
const PROXY_V2 = '\r\n\r\n\0\r\n';
const HTTP_METHODS = [
  'GET ',
  'POST ',
  'PUT ',
  'HEAD ',
  'OPTIONS ',
  'DELETE ',
  'PATCH ',
  'CONNECT ',
];
/** Type `handshake` and the major version that every TLS has in its first record. */
const TLS_HANDSHAKE = '\x16\x03';

/**
 * What speaks there, in words for an operator; undefined where it may be MQTT. None of these
 * beginnings is that of a CONNECT, of which 0x1 is the high half of the first byte: in `\x16\x03`
 * its remaining length would be 3, less than its protocol name takes.
 */
export function foreignProtocol(buffer: Buffer, start: number, end: number): string | undefined {
  const text = buffer.toString('latin1', start, Math.min(end, start + BEGINNING_BYTES_MAX));
  if (text.startsWith(TLS_HANDSHAKE)) {
    return 'a TLS client on a port for plain MQTT: turn TLS off there, or put a proxy before';
  }
  if (HTTP_METHODS.some((method) => text.startsWith(method))) {
    return 'an HTTP or WebSocket client on a port for plain MQTT';
  }
  if (text.startsWith('PROXY ') || text.startsWith(PROXY_V2)) {
    return 'a proxy that sends a PROXY protocol header: name its address in proxyProtocolFrom';
  }
  return text.startsWith('SSH-') ? 'an SSH client on a port for MQTT' : undefined;
}
