/** DISCONNECT (MQTT 3.1.1, 3.14). */
import { CloseReason } from '../base/errors.js';
import { DISCONNECT_WAIT_MS } from '../base/limits.js';
import { type Connection, ConnectionState, Pause } from './connection.js';

/**
 * Ends the connection without its will [MQTT-3.14.4-3], and answers what was asked for before: acks
 * that are withheld go out, and when SUBACKs wait for the other shards the end waits for them,
 * DISCONNECT_WAIT_MS at most.
 */
export function handleDisconnect(connection: Connection): void {
  const { ackHold } = connection;
  connection.will = null;
  if (ackHold !== null && ackHold.length > 0) connection.append(ackHold.release());
  if (connection.replies === null) {
    connection.close(CloseReason.clientDisconnected);
    return;
  }
  connection.state = ConnectionState.leaving;
  connection.pause(Pause.leaving);
  const { deadlines } = connection.host;
  deadlines.set(connection, deadlines.now, DISCONNECT_WAIT_MS);
}

/** No SUBACK is owed any more: ends a connection that has sent DISCONNECT. */
export function endIfAnswered(connection: Connection): void {
  if (connection.state === ConnectionState.leaving)
    connection.close(CloseReason.clientDisconnected);
}
