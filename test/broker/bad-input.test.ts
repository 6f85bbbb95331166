/**
 * Bad input: the connection is closed with a named reason, logged and counted, and nobody else
 * notices.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloseReason } from '../../src/index.js';
import { unique } from '../support/broker.js';
import { connect, hex } from '../support/packets.js';
import { describeTheme } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

/**
 * Bytes a connected client sends, the reason they are closed for, and the clause it is logged with.
 */
const FAULTS = [
  ['36 05 0001 61 0001', CloseReason.malformedPacket, 'MQTT-3.3.1-4'],
  ['32 06 0001 61 0000 6d', CloseReason.malformedPacket, 'MQTT-2.3.1-1'],
  ['30 04 0001 2b 6d', CloseReason.malformedPacket, 'MQTT-3.3.2-2'],
  ['30 04 0001 ff 6d', CloseReason.malformedPacket, 'MQTT-1.5.3-1'],
  ['80 06 0001 0001 61 00', CloseReason.malformedPacket, 'MQTT-3.8.1-1'],
  ['30 ff ff ff 7f', CloseReason.packetTooLarge, ''],
  [connect({ clientId: 'x' }).toString('hex'), CloseReason.protocolViolation, 'MQTT-3.1.0-2'],
] as const;

describeTheme('bad input', (theme) => {
  test('is logged at info with client id, reason and clause, and counted by reason', async () => {
    const witness = await theme.broker.client({ clientId: unique('witness') });
    for (const [bytes, reason, clause] of FAULTS) {
      const clientId = unique('culprit');
      const before = theme.broker.server.stats().closed[reason];
      const culprit = await theme.broker.client({ clientId });
      culprit.raw.send(hex(bytes));
      await culprit.untilClosed();
      const line = () =>
        theme.broker.logs.find(({ fields, message }) => {
          return fields.clientId === clientId && message === 'client disconnected';
        });
      await eventually(() => line() !== undefined, `a log line about ${bytes}`);
      assert.equal(line()?.level, 'info');
      assert.equal(line()?.fields.reason, reason);
      if (clause !== '') assert.equal(line()?.fields.clause, clause, bytes);
      const counted = () => theme.broker.server.stats().closed[reason] - before;
      await eventually(() => counted() === 1, `${reason} to be counted`);
    }
    await witness.ping();
  });

  test('of hundreds of connections leaves nothing behind', async () => {
    const before = theme.broker.server.stats();
    for (let round = 0; round < 10; round++) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => theme.broker.raw()));
      for (const [n, client] of clients.entries()) {
        if (n % 3 > 0) client.send(connect({ clientId: unique('bad') }));
        // The last fault is one only behind a CONNECT.
        client.send(hex(FAULTS[n % (FAULTS.length - 1)][0]));
      }
      await Promise.all(clients.map((client) => client.untilClosed()));
    }
    const isAsBefore = () => {
      const now = theme.broker.server.stats();
      return now.sessions === before.sessions && now.connectionsOpen === before.connectionsOpen;
    };
    await eventually(isAsBefore, 'sessions and connections to be gone');
    const client = await theme.broker.client({ clientId: unique('good') });
    await client.ping();
  });
});
