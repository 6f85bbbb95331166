/** The Will of a connection that has ended without DISCONNECT. */
import { CloseReason } from '../base/errors.js';
import { isPublishable } from '../router/route.js';
import type { Session } from '../sessions/session.js';
import { delayMsOf, prepareWill, runOfWill, type Will } from '../sessions/will.js';
import type { ConnectionHost } from './host.js';

/**
 * Publishes it [MQTT-3.1.2-8], where the client could have published it itself; or leaves it with
 * the session, if that outlives the connection, for its Will Delay Interval, or to the next start.
 */
export function leaveWill(
  host: ConnectionHost,
  session: Session | null,
  will: Will,
  reason: CloseReason,
): void {
  const prepared = prepareWill(will);
  const { topicKey } = prepared;
  if (!isPublishable(topicKey)) return;
  if (reason === CloseReason.serverShutdown) {
    // What is not on disk goes with the process, and so do those who would be told.
    const isKept = session !== null && session.kept !== null;
    if (isKept) host.wills.defer(session, prepared, host.deadlines.now + delayMsOf(will));
    return;
  }
  if (session?.rights?.mayPublish(topicKey) === false) {
    host.access.onForbidden(session, 'publish', topicKey, 1);
    return;
  }
  const delayMs = delayMsOf(will);
  if (delayMs > 0 && session !== null && !session.endsWithConnection) {
    if (host.wills.keep(session, prepared, host.deadlines.now + delayMs)) return;
  }
  if (session !== null) host.wills.send(session, prepared);
  else host.router.publishRun(runOfWill(prepared), topicKey);
  host.schedule();
}
