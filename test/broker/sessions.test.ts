/** Sessions of absent clients: how many there may be, and how long they stay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { connack, connect } from '../support/packets.js';
import { describeTheme, type Theme } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

const SESSIONS_MAX = 3;
const UNAVAILABLE = 3;

function stay(theme: Theme, clientId: string): Promise<TestClient> {
  return theme.broker.client({ clientId, cleanSession: false });
}

describeTheme(
  'a session whose client is away',
  (theme) => {
    test('ends when its time is over, with what it kept, and its client id is free', async () => {
      const { server } = theme.broker;
      const [clientId, topic] = [unique('away'), unique('topic')];
      const client = await stay(theme, clientId);
      await client.subscribe([topic, 1]);
      await client.disconnect();
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      await publisher.publish(topic, 'missed', { qos: 1 });
      await publisher.disconnect();
      await eventually(() => server.stats().expiredSessions === 1, 'the session to expire');
      await eventually(() => server.stats().clientIds === 0, 'the client id to be free');
      const { sessions, subscriptions, queuedMessages } = server.stats();
      assert.deepEqual([sessions, subscriptions, queuedMessages], [0, 0, 0]);
      const again = await stay(theme, clientId);
      assert.equal(again.sessionPresent, false);
      await again.ping();
      assert.equal(again.messages.length, 0);
      assert.ok(theme.broker.logs.some(({ message }) => message.startsWith('session expired')));
    });
  },
  { sessionExpiry: '300ms' },
);

describeTheme(
  'maxSessions',
  (theme) => {
    async function expectRefusal(clientId: string): Promise<void> {
      const refused = await theme.broker.raw();
      refused.send(connect({ clientId, cleanSession: false }));
      await refused.expect(connack(false, UNAVAILABLE));
      await refused.expectClose();
    }

    test('refuses who wants one more, and nobody else', async () => {
      const { server } = theme.broker;
      const ids = Array.from({ length: SESSIONS_MAX }, () => unique('kept'));
      for (const clientId of ids) await (await stay(theme, clientId)).disconnect();
      const other = unique('other');
      await expectRefusal(other);
      assert.equal(server.stats().refusedSessions, 1);
      const isSaid = () => theme.broker.logs.some(({ fields }) => fields.reason === 'max-sessions');
      await eventually(isSaid, 'a line in the log');
      // A clean session is not kept.
      const clean = await theme.broker.client({ clientId: other });
      await expectRefusal(other);
      await clean.ping();
      // Whoever has one comes back to it, on whatever shard.
      for (const clientId of ids) {
        const back = await stay(theme, clientId);
        assert.equal(back.sessionPresent, true);
      }
      // One that is given up leaves its place.
      await (await theme.broker.client({ clientId: ids[0] })).disconnect();
      const client = await stay(theme, other);
      await client.ping();
    });
  },
  { maxSessions: SESSIONS_MAX },
);
