/** WebSocket as MQTT has it, and what may go wrong with it, in words: of Node and of browsers. */
import type { ProtocolLevel } from './handshake.js';

/** Path of the request where a URI has none. */
export const WS_PATH_DEFAULT = '/mqtt';
/** Close codes of an end in order, and of one without a close frame [RFC 6455, 7.4.1]. */
const QUIET_CODES: readonly number[] = [1000, 1001, 1005, 1006];

/** The server has closed, and said why. */
export class WebSocketCloseError extends Error {
  constructor(code: number, reason: string) {
    // Quoted, which escapes what a terminal might obey.
    super(
      `closed by the server: ${reason === '' ? '' : `${JSON.stringify(reason)}, `}code ${code}`,
    );
    this.name = 'WebSocketCloseError';
  }
}

/** The name that is asked for [MQTT-6.0.0-3]; of MQTT 3.1 as browsers' clients have it. */
export function subprotocolOf(version: ProtocolLevel): string {
  return version === 3 ? 'mqttv3.1' : 'mqtt';
}

/** The error for the server's close; null for one that says no more than that. */
export function closeFault(code: number, reason: string): Error | null {
  return QUIET_CODES.includes(code) ? null : new WebSocketCloseError(code, reason);
}

/** The error for a frame of text: packets come in binary ones [MQTT-6.0.0-1]. */
export function textFault(): Error {
  return new Error('the server sent text, where WebSocket carries MQTT as binary');
}

/** The error for an answer that is no WebSocket. */
export function statusFault(status: number, requestPath: string): Error {
  const path = requestPath.replace(/\?.*/s, '');
  return new Error(`the server answers with HTTP status ${status}: is WebSocket at ${path} there?`);
}

/** The words for an error of the handshake; undefined if it is none. */
export function webSocketReason(error: Error): string | undefined {
  const code = 'code' in error ? String(error.code) : '';
  if (code.startsWith('HPE_')) return 'the server does not speak WebSocket there';
  if (error.message === 'socket hang up') {
    return 'the server closed during the WebSocket handshake: does it speak WebSocket there?';
  }
  if (/subprotocol/.test(error.message)) {
    return `${error.message}: it does not speak MQTT there, or not this version`;
  }
  return undefined;
}
