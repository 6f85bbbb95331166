/** Enhanced authentication [MQTT 5.0, 4.12]. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect as connectClient, scramSha256 } from '../../src/client/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { DISCONNECT, PINGREQ, PINGRESP } from '../support/packets.js';
import {
  connect5,
  parseSaid,
  prop,
  reasoned5,
  type Said,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';

const AUTHENTICATOR = new URL('../support/exchanging-authenticator.js', import.meta.url).href;
const [METHOD, DATA] = [0x15, 0x16];
const [CONTINUE, AGAIN] = [0x18, 0x19];

function asking(data: string | null, method = 'script'): Buffer {
  const own = data === null ? [] : [prop.text(DATA, data)];
  return Buffer.concat([prop.text(METHOD, method), ...own]);
}

function auth(code: number, data: string | null, method?: string): Buffer {
  return reasoned5(0xf0, code, asking(data, method));
}

function summary({ type, code, properties }: Said): unknown[] {
  return [type, code, properties.get(METHOD), properties.get(DATA)];
}

for (const workers of [1, 2]) {
  describe(`enhanced authentication, ${workers} workers`, () => {
    let broker: Broker;
    before(async () => {
      broker = await startBroker({ workers, authenticator: AUTHENTICATOR, authTimeout: '1s' });
    });
    after(() => broker.close());

    async function begin(data: string | null, ...more: Buffer[]): Promise<RawClient> {
      const client = await broker.raw();
      client.send(connect5({ clientId: unique('auth'), properties: asking(data) }), ...more);
      return client;
    }

    async function said(client: RawClient): Promise<unknown[]> {
      return summary(parseSaid(await client.readPacket()));
    }

    async function lastSaid(client: RawClient): Promise<unknown[]> {
      const last = await said(client);
      await client.expectClose();
      return last;
    }

    // [MQTT-4.12.0-2], [MQTT-4.12.0-3], [MQTT-4.12.0-5]
    test('goes on until the authenticator has decided', async () => {
      const client = await begin('ask');
      assert.deepEqual(await said(client), [15, CONTINUE, 'script', 'question']);
      client.send(auth(CONTINUE, 'ask'));
      assert.deepEqual(await said(client), [15, CONTINUE, 'script', 'question']);
      client.send(auth(CONTINUE, 'yes'), PINGREQ);
      assert.deepEqual(await said(client), [2, 0, 'script', 'welcome']);
      await client.expect(PINGRESP);
      const refused = await begin('ask');
      await said(refused);
      refused.send(auth(CONTINUE, 'no'));
      assert.deepEqual((await lastSaid(refused)).slice(0, 2), [2, 0x87]);
    });

    // [MQTT-4.12.0-1]
    test('by a method that there is not is refused', async () => {
      const client = await broker.raw();
      client.send(connect5({ clientId: 'x', properties: asking(null, 'none') }));
      assert.deepEqual((await lastSaid(client)).slice(0, 2), [2, 0x8c]);
    });

    // [MQTT-3.1.2-30]
    test('lets nothing but AUTH and DISCONNECT come before CONNACK', async () => {
      for (const packet of [PINGREQ, subscribe5(1, [['a', 0]]), connect5()]) {
        const client = await begin('ask', packet);
        assert.deepEqual((await said(client))[0], 15);
        assert.deepEqual((await lastSaid(client)).slice(0, 2), [2, 0x82]);
      }
      const leaving = await begin('ask', DISCONNECT);
      assert.deepEqual((await lastSaid(leaving)).slice(0, 2), [15, CONTINUE]);
    });

    // [MQTT-4.12.0-5], [MQTT-4.12.0-6]
    test('takes no AUTH that it has not asked for, or of another method', async () => {
      const other = await begin('ask');
      await said(other);
      other.send(auth(CONTINUE, 'yes', 'SCRAM-SHA-256'));
      assert.deepEqual((await lastSaid(other)).slice(0, 2), [2, 0x82]);
      const unasked = await begin('yes');
      await said(unasked);
      unasked.send(auth(CONTINUE, 'yes'));
      assert.deepEqual((await lastSaid(unasked)).slice(0, 2), [14, 0x82]);
      const plain = await broker.raw();
      plain.send(connect5({ clientId: unique('plain') }));
      assert.equal((await said(plain))[1], 0);
      plain.send(auth(AGAIN, null));
      assert.deepEqual((await lastSaid(plain)).slice(0, 2), [14, 0x82]);
    });

    test('is over when the authenticator fails, or nobody says more', async () => {
      for (const [data, code] of [
        ['throw', 0x88],
        ['odd', 0x88],
        ['never', 0x88],
        // It is the client's turn.
        ['ask', 0x87],
      ] as const) {
        const client = await begin(data);
        if (data === 'ask') await said(client);
        assert.deepEqual((await lastSaid(client)).slice(0, 2), [2, code], data);
      }
    });

    // [MQTT-4.12.1-1], [MQTT-4.12.1-2]
    test('may be wanted again, while all else goes on', async () => {
      const client = await begin('yes');
      await said(client);
      client.send(auth(AGAIN, 'ask'));
      assert.deepEqual(await said(client), [15, CONTINUE, 'script', 'question']);
      client.send(PINGREQ);
      await client.expect(PINGRESP);
      client.send(auth(CONTINUE, 'yes'));
      assert.deepEqual(await said(client), [15, 0, 'script', 'welcome']);
      client.send(auth(AGAIN, 'no'));
      assert.deepEqual((await lastSaid(client)).slice(0, 2), [14, 0x87]);
      assert.ok(broker.server.stats().closed['authentication-failed'] > 0);
    });

    test('by SCRAM-SHA-256 lets in who knows the password', async () => {
      const uri = `mqtt://${broker.host}:${broker.port}`;
      const options = { protocolVersion: 5, reconnect: { initial: false } } as const;
      const known = { username: 'ada', password: 'lovelace' };
      const client = await connectClient(uri, { ...options, authentication: scramSha256(known) });
      await client.reauthenticate();
      await client.disconnect();
      for (const unknown of [
        { username: 'ada', password: 'byron' },
        { username: 'nobody', password: 'lovelace' },
      ]) {
        await assert.rejects(
          connectClient(uri, { ...options, authentication: scramSha256(unknown) }),
          { reasonCode: 0x87 },
        );
      }
    });
  });
}
