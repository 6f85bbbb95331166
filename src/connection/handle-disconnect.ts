/** DISCONNECT (3.14). */
import { CloseReason } from '../base/errors.js';
import { DISCONNECT_WAIT_MS } from '../base/limits.js';
import { NORMAL_DISCONNECTION } from '../protocol/v5/index.js';
import { allowedExpiry, expiryMsOf } from './connect-request.js';
import { type Connection, ConnectionState, Pause } from './connection.js';
import { violation } from './packet-errors.js';

/**
 * Ends the connection, without its will where the client goes in order [MQTT-3.14.4-3], and answers
 * what was asked for before: acks that are withheld go out, and when SUBACKs wait for the other
 * shards, or anything for the disk, the end waits for them, DISCONNECT_WAIT_MS at most.
 * @param reasonCode of MQTT 5.0; 0 in 3.x. @param expirySeconds a new Session Expiry Interval.
 * @throws ProtocolError for one of a session that was to end with its connection: what a client
 *   says so is no DISCONNECT [MQTT-3.14.2-2].
 */
export function handleDisconnect(
  connection: Connection,
  reasonCode: number = NORMAL_DISCONNECTION,
  expirySeconds?: number,
): void {
  const { ackHold } = connection;
  if (expirySeconds !== undefined) changeExpiry(connection, expirySeconds);
  if (reasonCode === NORMAL_DISCONNECTION && connection.will !== null) forgetWill(connection);
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

/**
 * A start would publish it, were the broker killed before the disk knows: the connection ends
 * behind that, so that who sees it end knows.
 */
function forgetWill(connection: Connection): void {
  const { host, session } = connection;
  connection.will = null;
  if (session!.kept === null) return;
  host.wills.forget(session!);
  host.durable?.wait(connection);
}

/** No SUBACK is owed any more: ends a connection that has sent DISCONNECT. */
export function endIfAnswered(connection: Connection): void {
  if (connection.state === ConnectionState.leaving)
    connection.close(CloseReason.clientDisconnected);
}

function changeExpiry({ profile, session }: Connection, seconds: number): void {
  if (session!.endsWithConnection && seconds > 0) {
    throw violation('3.14.2.2.2', 'Session Expiry Interval of a session that was to have none');
  }
  session!.expiryMs = expiryMsOf(allowedExpiry(seconds, profile.config));
}
