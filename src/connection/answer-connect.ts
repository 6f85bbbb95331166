/** The two answers to a CONNECT: it has its session, or it is refused. */
import { Counter } from '../base/counters.js';
import { CloseReason } from '../base/errors.js';
import { PACKET_ID_MAX } from '../base/limits.js';
import { connackFrame } from '../protocol/ack-frame.js';
import { ReasonCode, toConnackCode } from '../protocol/v5/index.js';
import { layOutWholeWindow } from '../router/lay-out-window.js';
import { Receiver } from '../sessions/receiver.js';
import type { Session } from '../sessions/session.js';
import { acceptance5, refusal5 } from './connack5.js';
import type { ConnectRequest } from './connect-request.js';
import { type Connection, ConnectionState } from './connection.js';
import { rateLimitOf, takeDebt } from './rate-limit.js';
import { ReceiveQuota } from './receive-quota.js';
import { SignsOfLife } from './signs-of-life.js';

/**
 * Gives a connection its session, says so, and sends what the session's window holds, which may
 * find that the client has gone.
 * @returns false when the client takes no CONNACK, as its Maximum Packet Size says: it is closed
 *   and has never had the session, for only an accepted client has one, and a will
 *   [MQTT-3.1.2-8 of 3.1.1].
 */
export function acceptConnect(
  connection: Connection,
  session: Session,
  request: ConnectRequest,
  sessionPresent: boolean,
): boolean {
  const { host } = connection;
  const connack =
    connection.protocolVersion === 5
      ? acceptance5(connection, request, sessionPresent)
      : connackFrame(0, sessionPresent, connection.protocolVersion);
  if (connack === null) {
    const details = { detail: 'it takes no CONNACK' };
    connection.close(CloseReason.packetTooLarge, details, ReasonCode.implementationSpecificError);
    return false;
  }
  host.wills.cancel(session);
  connection.session = session;
  connection.state = ConnectionState.open;
  connection.keepAliveMs = request.keepAliveSeconds * 1000;
  connection.will = request.will;
  const { config, refusedFlags } = connection.profile;
  connection.terms = config;
  connection.refusedFlags = refusedFlags;
  connection.rate = rateLimitOf(connection);
  if (connection.protocolVersion === 5) {
    const { receiveMaximum } = config;
    if (receiveMaximum < PACKET_ID_MAX) connection.quota = new ReceiveQuota(receiveMaximum);
    session.receiver = new Receiver(request);
  }
  session.attach(connection.outbox);
  connection.outbox.session = session;
  host.onAccepted(connection);
  connection.append(connack);
  session.window?.beginResend();
  layOutWholeWindow(session, host.arena, host.stamp);
  if (connection.isClosed) return true;
  if (session.window?.sendable) connection.outbox.wake();
  if (connection.keepAliveMs === 0) {
    connection.cancelDeadline();
    connection.transport.probeAfter(config.keepAliveSeconds);
  } else {
    connection.signs = new SignsOfLife(host.deadlines.now);
    host.deadlines.set(connection, host.deadlines.now, connection.keepAliveMs * 1.5);
  }
  takeDebt(connection);
  host.onAttached(connection);
  return true;
}

/**
 * Answers CONNECT with a non-zero code and closes [MQTT-3.2.2-5].
 * @param reasonCode one that a CONNACK of 5.0 may have; a 3.x client is told the nearest.
 */
export function refuseConnect(connection: Connection, reasonCode: number, detail: string): void {
  const returnCode = toConnackCode(reasonCode);
  const is5 = connection.protocolVersion === 5;
  const connack = is5
    ? refusal5(connection, reasonCode, detail)
    : connackFrame(returnCode, false, 4);
  if (connack !== null) connection.append(connack);
  connection.host.counters.add(Counter.connectRefused, 1);
  const details = is5 ? { reasonCode, detail } : { returnCode, detail };
  connection.close(CloseReason.connectRefused, details);
}
