/**
 * Authentication: refusals have their CONNACK code and the close, and a slow decision holds up
 * nobody else.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { type ConnectFields, connack, connect, PINGREQ, PINGRESP } from '../support/packets.js';
import { describeTheme } from '../support/suite.js';

/** Not authorized; bad user name or password. Table 3.1. */
const NOT_AUTHORIZED = 5;
const BAD_USER = 4;
const UNAVAILABLE = 3;

async function expectRefusal(broker: Broker, fields: ConnectFields, code: number): Promise<void> {
  const client = await broker.raw();
  // Nothing behind a refused CONNECT is answered [MQTT-3.1.4-5].
  client.send(connect(fields), PINGREQ);
  await client.expect(connack(false, code));
  await client.expectClose();
}

describe('mockFailure', () => {
  // [MQTT-3.2.2-5] [MQTT-3.2.2-4]
  test('refuses everybody with 5, or 4 when there is a user name', async () => {
    await using broker = await startBroker({ workers: 1, authenticator: 'mockFailure' });
    await expectRefusal(broker, { clientId: 'a' }, NOT_AUTHORIZED);
    await expectRefusal(broker, { clientId: 'a', cleanSession: false }, NOT_AUTHORIZED);
    await expectRefusal(broker, { clientId: 'a', username: 'u', password: 'p' }, BAD_USER);
    assert.equal(broker.server.stats().connectRefused, 3);
    assert.equal(broker.server.stats().sessions, 0);
  });
});

describeTheme(
  'an authenticator of the user’s own',
  (theme) => {
    test('sees user name, password bytes and client id', async () => {
      await expectRefusal(theme.broker, { clientId: 'a', username: 'wrong' }, BAD_USER);
      await expectRefusal(theme.broker, { clientId: 'banned-1' }, NOT_AUTHORIZED);
      const password = Buffer.from('00ff', 'hex');
      const client = await theme.broker.client({ clientId: 'a', username: 'secretive', password });
      await client.ping();
      const other = Buffer.from('00fe', 'hex');
      const fields = { clientId: 'b', username: 'secretive', password: other };
      await expectRefusal(theme.broker, fields, BAD_USER);
    });

    // [MQTT-3.2.2-6]: server unavailable is a code that fits.
    test('that fails is answered with server unavailable, and the next is served', async () => {
      await expectRefusal(theme.broker, { clientId: 'a', username: 'broken' }, UNAVAILABLE);
      const client = await theme.broker.client({ clientId: 'a', username: 'anybody' });
      await client.ping();
    });

    // [MQTT-3.1.4-5]
    test('may take its time: what is pipelined waits for CONNACK, others do not wait', async () => {
      const late = [];
      for (let n = 0; n < theme.workers; n++) {
        const client = await theme.broker.raw();
        client.send(connect({ clientId: unique('late'), username: 'late' }), PINGREQ);
        late.push(client);
      }
      const quick = await theme.broker.client({ clientId: unique('quick') });
      await quick.ping();
      for (const client of late) {
        await client.expect(connack(false, 0));
        await client.expect(PINGRESP);
      }
    });

    // [MQTT-3.1.4-2]: who is refused takes nobody's place.
    test('a refused client does not take over the client id', async () => {
      const clientId = unique('holder');
      const holder = await theme.broker.client({ clientId });
      await expectRefusal(theme.broker, { clientId, username: 'wrong' }, BAD_USER);
      await holder.ping();
    });
  },
  { authenticator: new URL('../support/picky-authenticator.js', import.meta.url).href },
);
