/** What MQTT 5.0 packets say to people. */
import { LOG_TEXT_LENGTH_MAX } from '../base/limits.js';
import { ReasonCode } from '../protocol/v5/index.js';
import type { Connection } from './connection.js';

/**
 * A Reason String that says `detail`, which may quote what a client has sent: it is shortened, and
 * holds nothing that no UTF-8 string may hold [MQTT-1.5.4-1] [MQTT-1.5.4-2].
 * @returns undefined for none.
 */
export function reasonStringOf(detail: string): string | undefined {
  if (detail === '') return undefined;
  return detail.slice(0, LOG_TEXT_LENGTH_MAX).replaceAll(/\p{Surrogate}|\p{Cc}/gu, '?');
}

/** The server that a client is to use instead, where it is told so [MQTT 5.0, 4.11]. */
export function serverReferenceOf({ host }: Connection, reasonCode: number): string | undefined {
  if (reasonCode !== ReasonCode.useAnotherServer) return undefined;
  return host.config.serverReference ?? undefined;
}
