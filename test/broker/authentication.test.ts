/**
 * Authentication: refusals have their CONNACK code and the close, and a slow decision holds up
 * nobody else.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Credentials } from '../../src/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { MISBEHAVIOURS, ODD_ANSWERS } from '../support/odd-authenticator.js';
import {
  type ConnectFields,
  connack,
  connect,
  DISCONNECT,
  PINGREQ,
  PINGRESP,
  publish,
} from '../support/packets.js';
import type { RawClient } from '../support/raw-client.js';
import { describeTheme } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

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

describeTheme(
  'an authenticator that is at fault',
  (theme) => {
    // [MQTT-3.2.2-6]: who decides nothing has accepted nobody.
    test('accepts nobody with what is no verdict', async () => {
      for (const answer of Object.keys(ODD_ANSWERS)) {
        await expectRefusal(theme.broker, { clientId: 'a', username: answer }, UNAVAILABLE);
        const later = { clientId: 'a', username: `later-${answer}` };
        await expectRefusal(theme.broker, later, UNAVAILABLE);
      }
      assert.equal(theme.broker.server.stats().shardDeaths, 0);
    });

    test('costs its clients their connection and no shard its life', async () => {
      for (const username of MISBEHAVIOURS) {
        await expectRefusal(theme.broker, { clientId: 'a', username }, UNAVAILABLE);
      }
      const client = await theme.broker.client({ clientId: 'a', username: 'anybody' });
      await client.ping();
      assert.equal(theme.broker.server.stats().shardDeaths, 0);
    });
  },
  { authenticator: new URL('../support/odd-authenticator.js', import.meta.url).href },
);

describeTheme(
  'a client that waits for its authenticator',
  (theme) => {
    const waiting = () => theme.broker.server.stats().authenticationsWaiting;

    async function startWaiting(...behind: Buffer[]): Promise<RawClient> {
      const client = await theme.broker.raw();
      client.send(connect({ clientId: unique('waiting'), username: 'never' }), ...behind);
      await eventually(() => waiting() === 1, 'the client to wait');
      return client;
    }

    test('and leaves is gone at once', async () => {
      const client = await startWaiting();
      await client.end();
      await eventually(() => waiting() === 0, 'nobody to wait');
      await eventually(() => theme.broker.server.stats().connectionsOpen === 0, 'the close');
    });

    test('and is reset is gone at once, whatever it has sent behind its CONNECT', async () => {
      const client = await startWaiting(PINGREQ, PINGREQ);
      await client.cut();
      await eventually(() => waiting() === 0, 'nobody to wait');
      await eventually(() => theme.broker.server.stats().connectionsOpen === 0, 'the close');
    });
  },
  { authenticator: new URL('../support/odd-authenticator.js', import.meta.url).href },
);

describeTheme(
  'an authenticator that never answers',
  (theme) => {
    test('has its clients told to come again', async () => {
      await expectRefusal(theme.broker, { clientId: 'a', username: 'never' }, UNAVAILABLE);
      const { authenticationsWaiting, authenticationFailures } = theme.broker.server.stats();
      assert.equal(authenticationsWaiting, 0);
      assert.equal(authenticationFailures, 1);
    });
  },
  {
    authenticator: new URL('../support/odd-authenticator.js', import.meta.url).href,
    authTimeout: '200ms',
  },
);

describeTheme(
  'a client that does not wait for CONNACK',
  (theme) => {
    // Section 3.1.4, non-normative: packets may be sent before CONNACK has come.
    test('has what it sent handled, though it has closed its side', async () => {
      const topic = unique('left');
      const watcher = await theme.broker.client({ clientId: unique('watcher') });
      await watcher.subscribe([topic, 0]);
      for (const username of ['late', 'anybody']) {
        const client = await theme.broker.raw();
        const packets = [publish({ topic, payload: username }), DISCONNECT];
        client.send(connect({ clientId: unique('brief'), username }), ...packets);
        const ended = client.end();
        assert.equal((await watcher.nextMessage()).payload, username);
        await ended;
      }
    });

    test('and closes without DISCONNECT has its will published', async () => {
      const topic = unique('will');
      const watcher = await theme.broker.client({ clientId: unique('watcher') });
      await watcher.subscribe([topic, 0]);
      const client = await theme.broker.raw();
      const will = { topic, payload: 'gone' };
      const fields = { clientId: unique('brief'), username: 'late', will };
      client.send(connect(fields), publish({ topic, payload: 'here' }));
      const ended = client.end();
      assert.equal((await watcher.nextMessage()).payload, 'here');
      assert.equal((await watcher.nextMessage()).payload, 'gone');
      await ended;
    });
  },
  { authenticator: new URL('../support/picky-authenticator.js', import.meta.url).href },
);

/** What a program was asked. */
const asked: Credentials[] = [];

function decide(credentials: Credentials): boolean | Promise<boolean> {
  asked.push(credentials);
  switch (credentials.username) {
    case 'wrong':
      return false;
    case 'later':
      return new Promise((resolve) => setImmediate(resolve, true));
    case 'odd':
      return Symbol('yes') as unknown as boolean;
    case 'fails':
      return Promise.reject(new Error('no directory'));
    case 'throws':
      throw new Error('no directory');
    case 'never':
      return new Promise(() => {});
    default:
      return true;
  }
}

describeTheme(
  'a function of the program as authenticator',
  (theme) => {
    test('is shown who wants to connect, and decides', async () => {
      const password = Buffer.from('00ff', 'hex');
      asked.length = 0;
      const client = await theme.broker.client({ clientId: 'a', username: 'later', password });
      await client.ping();
      const remoteAddress = theme.broker.host;
      const { clientId, username, password: shown, remoteAddress: address } = asked[0];
      const expected = ['a', 'later', password, remoteAddress];
      assert.deepEqual([clientId, username, shown, address], expected);
      await expectRefusal(theme.broker, { clientId: 'b', username: 'wrong' }, BAD_USER);
      await (await theme.broker.client({ clientId: 'c' })).ping();
      assert.deepEqual([asked[2].username, asked[2].password], [null, null]);
    });

    test('accepts nobody when it fails, or does not answer', async () => {
      for (const username of ['odd', 'fails', 'throws', 'never']) {
        await expectRefusal(theme.broker, { clientId: 'a', username }, UNAVAILABLE);
      }
      assert.equal(theme.broker.server.stats().authenticationsWaiting, 0);
    });

    test('is asked for each of many, and each has the answer to its own', async () => {
      const clients = [];
      for (let n = 0; n < 60; n++) {
        const client = await theme.broker.raw();
        const username = n % 3 === 0 ? 'wrong' : n % 3 === 1 ? 'later' : 'right';
        client.send(connect({ clientId: unique('many'), username }));
        clients.push({ client, code: username === 'wrong' ? BAD_USER : 0 });
      }
      for (const { client, code } of clients) await client.expect(connack(false, code));
    });
  },
  { authenticator: decide, authTimeout: '1s' },
);
