/** How far a 5.0 client may publish ahead of its acks [MQTT 5.0, 4.9]. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '../../../src/connection/connection.js';
import { ReceiveQuota } from '../../../src/connection/receive-quota.js';
import { IncomingQos2 } from '../../../src/sessions/incoming-qos2.js';

const EXCEEDED = { reasonCode: 0x93, clause: 'MQTT-3.3.4-7' };

function makeConnection() {
  const arena = { rewinds: 0 };
  const session = { incomingQos2: new IncomingQos2() };
  return { arena, session, connection: { host: { arena }, session } as unknown as Connection };
}

// [MQTT-3.3.4-7]
test('QoS 1 messages count until their acks are flushed', () => {
  const { arena, connection } = makeConnection();
  const quota = new ReceiveQuota(3);
  quota.spend(connection, 1, 2);
  quota.spend(connection, 0, 99);
  quota.spend(connection, 1, 1);
  arena.rewinds++;
  quota.spend(connection, 1, 3);
  assert.throws(() => quota.spend(connection, 1, 1), EXCEEDED);
});

// [MQTT-3.3.4-7]
test('QoS 2 messages count until they are released', () => {
  const { arena, session, connection } = makeConnection();
  const quota = new ReceiveQuota(2);
  for (const packetId of [1, 2]) {
    session.incomingQos2.add(packetId);
    quota.spend(connection, 2, 1);
    arena.rewinds++;
  }
  // Sent again after a reconnect.
  quota.spend(connection, 2, 2);
  session.incomingQos2.release(1);
  session.incomingQos2.add(3);
  quota.spend(connection, 2, 1);
  assert.throws(() => quota.spend(connection, 1, 1), EXCEEDED);
});
