/** The end of a connection whose bytes could not be handled. */
import { ConnectRefusedError, ProtocolError } from '../base/errors.js';
import type { ConnackCode } from '../protocol/return-code.js';
import { fromConnackCode } from '../protocol/v5/index.js';
import type { Connection } from './connection.js';

/**
 * Closes it for what was thrown while handling its bytes. @throws what is no fault of the client.
 */
export function failConnection(connection: Connection, error: unknown): void {
  if (error instanceof ProtocolError) {
    const { reason, reasonCode, clause, message } = error;
    connection.close(reason, { clause, detail: message }, reasonCode);
  } else if (error instanceof ConnectRefusedError) {
    const { returnCode, reasonCode, message } = error;
    connection.refuse(reasonCode || fromConnackCode(returnCode as ConnackCode), message);
  } else {
    throw error;
  }
}
