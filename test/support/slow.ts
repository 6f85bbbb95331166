/** Clients that read nothing, behind whom messages gather. */
import type { Broker } from './broker.js';
import type { Series } from './series.js';

/** Of each write of the publisher. */
export const AT_ONCE = 20;
/** Published when nobody waits for the client any more: several times what is kept in memory. */
const BEHIND = 100;

/** Times that nobody waits for this client any more. */
function givenUp(broker: Broker, clientId: string): number {
  return broker.logs.filter(
    ({ message, fields }) => fields.clientId === clientId && message.startsWith('slow consumer'),
  ).length;
}

/** Publishes until a client that does not read is given up, and then some more. */
export async function publishBehind(
  broker: Broker,
  clientId: string,
  series: Series,
): Promise<void> {
  const before = givenUp(broker, clientId);
  while (givenUp(broker, clientId) === before) await series.publish(AT_ONCE);
  for (let n = 0; n < BEHIND; n += AT_ONCE) await series.publish(AT_ONCE);
}
