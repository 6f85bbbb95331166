/**
 * The HTTP request that a WebSocket begins with [RFC 6455, 4.2]: one request of a strict form, read
 * once, and an answer to it in which nothing stands that the client has said.
 */
import { createHash } from 'node:crypto';
import { WEBSOCKET_HEADERS_MAX, WEBSOCKET_REQUEST_BYTES_MAX } from '../base/limits.js';
import type { WebSocketConfig } from '../base/listener-config.js';

/** What becomes of a request. */
export interface UpgradeAnswer {
  /** To be sent as it is. */
  readonly response: string;
  /** Why it is refused, in words of ours; null: bytes behind it are frames. */
  readonly refusal: string | null;
}

/** Subprotocols that are MQTT [MQTT-6.0.0-3]; the second is that of older clients. */
const SUBPROTOCOLS: readonly string[] = ['mqtt', 'mqttv3.1'];
const VERSION = '13';
/** Appended to the key of every request [RFC 6455, 1.3]. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const REQUEST_LINE = /^([A-Z]{1,16}) (\/[!-~]*) HTTP\/1\.1$/;
/** A header, of one line: a second one that goes on with it is of old, and no part of this form. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)$/;
/** Headers that may stand there once: of two nobody knows which is meant. */
const LONE: readonly string[] = [
  'host',
  'upgrade',
  'origin',
  'content-length',
  'sec-websocket-key',
  'sec-websocket-version',
];
const END = '\r\n\r\n';

/** Statuses of refusals. */
const Status = {
  badRequest: '400 Bad Request',
  forbidden: '403 Forbidden',
  notFound: '404 Not Found',
  methodNotAllowed: '405 Method Not Allowed',
  upgradeRequired: '426 Upgrade Required',
  tooLarge: '431 Request Header Fields Too Large',
  unavailable: '503 Service Unavailable',
} as const;

/**
 * Where a request ends: behind its empty line; -1: not yet.
 * @param from bytes before it have been looked at.
 */
export function requestEnd(bytes: Buffer, from = 0): number {
  const at = bytes.indexOf(END, Math.max(0, from - END.length + 1), 'latin1');
  return at < 0 ? -1 : at + END.length;
}

/** An answer to what is no request, by its first byte: null where it may be one. */
export function notHttp(firstByte: number): UpgradeAnswer | null {
  const isLetter = firstByte >= 0x41 && firstByte <= 0x5a;
  if (isLetter) return null;
  if (firstByte === 0x16) return refused(Status.badRequest, 'it speaks TLS to a plain port');
  const isConnect = firstByte === 0x10;
  const what = isConnect ? 'it speaks MQTT without WebSocket' : 'what it sends is no HTTP';
  return refused(Status.badRequest, what);
}

/** The answer to a request that is too long to be read on. */
export function requestTooLarge(): UpgradeAnswer {
  const limit = `its request is longer than ${WEBSOCKET_REQUEST_BYTES_MAX} bytes`;
  return refused(Status.tooLarge, limit);
}

/** The answer to a request that has come in part while too many others have. */
export function tooManyRequests(): UpgradeAnswer {
  return refused(Status.unavailable, 'its request is not whole, as too many others are not');
}

/** The answer to a whole request. @param request its bytes up to `requestEnd`, as latin1. */
export function answerUpgrade(request: string, config: WebSocketConfig): UpgradeAnswer {
  const [line, ...fields] = request.slice(0, -END.length).split('\r\n');
  const parts = REQUEST_LINE.exec(line);
  if (parts === null) return refused(Status.badRequest, 'its request line is malformed');
  const headers = readHeaders(fields);
  if (typeof headers === 'string') return refused(Status.badRequest, headers);
  const [, method, target] = parts;
  if (method !== 'GET') return refused(Status.methodNotAllowed, 'its method is not GET');
  if (target.split('?', 1)[0] !== config.path) {
    return refused(Status.notFound, `it does not ask for ${config.path}`);
  }
  return judge(headers, config.origins);
}

/** The headers in lower case; in words why there are none. */
function readHeaders(lines: readonly string[]): Map<string, string> | string {
  if (lines.length > WEBSOCKET_HEADERS_MAX) return 'it has too many headers';
  const headers = new Map<string, string>();
  for (const line of lines) {
    const parts = HEADER.exec(line);
    if (parts === null) return 'one of its headers is malformed';
    const name = parts[1].toLowerCase();
    const value = parts[2].trim();
    const before = headers.get(name);
    if (before === undefined) headers.set(name, value);
    else if (LONE.includes(name)) return 'one of its headers stands there twice';
    else headers.set(name, `${before}, ${value}`);
  }
  if (!headers.has('host')) return 'it names no host';
  const hasBody =
    headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0';
  return hasBody ? 'it has a body' : headers;
}

function judge(headers: ReadonlyMap<string, string>, origins: readonly string[]): UpgradeAnswer {
  const upgrades = tokensOf(headers.get('upgrade'));
  const isUpgrade = tokensOf(headers.get('connection')).includes('upgrade');
  if (!isUpgrade || !upgrades.includes('websocket')) {
    return refused(Status.upgradeRequired, 'it asks for no WebSocket');
  }
  if (headers.get('sec-websocket-version') !== VERSION) {
    return refused(Status.upgradeRequired, `its version of WebSocket is not ${VERSION}`);
  }
  const key = headers.get('sec-websocket-key') ?? '';
  if (!KEY.test(key)) return refused(Status.badRequest, 'its Sec-WebSocket-Key is none');
  const origin = headers.get('origin');
  // Only browsers send it, and only they can be made to connect by somebody else's page.
  if (origin !== undefined && origins.length > 0 && !origins.includes(origin.toLowerCase())) {
    return refused(Status.forbidden, 'its Origin is not among those that are let in');
  }
  const offered = listOf(headers.get('sec-websocket-protocol'));
  const chosen = offered.find((name) => SUBPROTOCOLS.includes(name));
  if (chosen === undefined) {
    return refused(Status.badRequest, 'it offers no subprotocol that is MQTT [MQTT-6.0.0-3]');
  }
  const accept = createHash('sha1')
    .update(key + ACCEPT_SUFFIX)
    .digest('base64');
  const response = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOLS[SUBPROTOCOLS.indexOf(chosen)]}`,
  ];
  return { response: response.join('\r\n') + END, refusal: null };
}

function listOf(value = ''): string[] {
  return value.split(',').map((item) => item.trim());
}

function tokensOf(value: string | undefined): string[] {
  return listOf(value?.toLowerCase());
}

function refused(status: string, refusal: string): UpgradeAnswer {
  const response = [
    `HTTP/1.1 ${status}`,
    'Connection: close',
    'Content-Length: 0',
    ...(status === Status.upgradeRequired
      ? ['Upgrade: websocket', `Sec-WebSocket-Version: ${VERSION}`]
      : []),
    ...(status === Status.methodNotAllowed ? ['Allow: GET'] : []),
  ];
  return { response: response.join('\r\n') + END, refusal };
}
