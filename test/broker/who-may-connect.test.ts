/** Safe by default, authenticators in a chain, and clients that are let in as somebody. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../src/base/config.js';
import type { ServerOptions } from '../../src/base/server-options.js';
import { ConfigError, Server } from '../../src/index.js';
import { BRIEF_MS } from '../support/admitting-authenticator.js';
import { startBroker, unique } from '../support/broker.js';
import { codesFor } from '../support/connack-codes.js';
import { connack, connect, PINGREQ, PINGRESP } from '../support/packets.js';
import { connect5, parseSaid } from '../support/packets5.js';
import { describeTheme } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

const ADMITTING = new URL('../support/admitting-authenticator.js', import.meta.url).href;
const [ACCEPTED, BAD_USER, NOT_AUTHORIZED] = [0, 4, 5];

describe('a server that nothing is configured for', () => {
  const anywhere = 'tcp://0.0.0.0:0';

  async function start(options: ServerOptions, uri: string): Promise<void> {
    const server = new Server(
      { workers: 1, ...options },
      loadConfig({ workers: 1, sessionsProvider: 'mem', ...options }, {}, {}),
    );
    try {
      await server.listenAndServe(uri);
    } finally {
      await server.close();
    }
  }

  test('does not listen where everybody comes, and says in one line what to do', async () => {
    await assert.rejects(start({}, anywhere), (error: ConfigError) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.faults.length, 1);
      assert.match(error.message, /^cannot listen on tcp:.*SURGEMQ_ALLOW_ANONYMOUS=true/);
      return true;
    });
  });

  test('listens there when everybody is to be let in, or somebody decides', async () => {
    await start({ allowAnonymous: true }, anywhere);
    await start({ authenticator: () => true }, anywhere);
  });

  test('is not opened to everybody by a reload', async () => {
    const uri = 'tcp://0.0.0.0:0';
    const own = { workers: 1, sessionsProvider: 'mem' } as const;
    const options = { ...own, authenticator: 'auto', listen: uri } as const;
    const server = new Server({ ...options, allowAnonymous: false });
    await server.listenAndServe();
    await assert.rejects(server.reload(options), /cannot listen on tcp:.*everybody could connect/);
    assert.equal(server.config.allowAnonymous, false);
    await server.reload({ ...options, allowAnonymous: true });
    assert.equal(server.config.allowAnonymous, true);
    await server.close();
  });

  test('closes who was let in as nobody when a reload ends that', async () => {
    await using broker = await startBroker({ workers: 2 });
    const clients = [];
    for (let n = 0; n < 4; n++) {
      const client = await broker.raw();
      client.send(connect5({ clientId: unique('nobody'), username: 'a', keepAlive: 60 }));
      assert.equal(parseSaid(await client.readPacket()).code, 0);
      clients.push(client);
    }
    await broker.server.reload({ workers: 2, allowAnonymous: false });
    for (const client of clients) {
      const said = parseSaid(await client.readPacket());
      assert.deepEqual([said.type, said.code], [14, 0x87]);
      await client.expectClose();
    }
  });

  // [MQTT-3.2.2-5]
  test('lets in everybody at the loopback interface', async () => {
    await using broker = await startBroker({ workers: 1 });
    assert.deepEqual(await codesFor(broker, {}), [ACCEPTED, 0]);
    assert.deepEqual(await codesFor(broker, { username: 'a', password: 'b' }), [ACCEPTED, 0]);
  });

  test('lets in nobody without credentials there when that is said', async () => {
    await using broker = await startBroker({ workers: 1, allowAnonymous: false });
    assert.deepEqual(await codesFor(broker, {}), [NOT_AUTHORIZED, 0x87]);
    assert.deepEqual(await codesFor(broker, { username: 'a', password: 'b' }), [BAD_USER, 0x86]);
  });
});

describeTheme(
  'authenticators in a list',
  (theme) => {
    test('are asked in turn, and refuse whom none knows', async () => {
      assert.deepEqual(await codesFor(theme.broker, { username: 'renamed' }), [ACCEPTED, 0]);
      assert.deepEqual(await codesFor(theme.broker, { username: 'wrong' }), [BAD_USER, 0x86]);
      assert.deepEqual(await codesFor(theme.broker, { username: 'second' }), [ACCEPTED, 0]);
      assert.deepEqual(await codesFor(theme.broker, { username: 'unknown' }), [BAD_USER, 0x86]);
      assert.deepEqual(await codesFor(theme.broker, {}), [NOT_AUTHORIZED, 0x87]);
    });

    test('count whom they refuse', async () => {
      const before = theme.broker.server.stats().authenticationRefusals;
      await codesFor(theme.broker, { username: 'unknown' });
      assert.equal(theme.broker.server.stats().authenticationRefusals, before + 2);
    });

    // The name is the authenticator's, not the client's; it is in one line whatever is in it.
    test('let a client in under the name that they have for it', async () => {
      const clientId = unique('renamed');
      await theme.broker.client({ clientId, username: 'renamed' });
      const isIt = (fields: Readonly<Record<string, unknown>>): boolean =>
        fields.clientId === clientId && String(fields.user).startsWith('somebody');
      await eventually(() => theme.broker.logs.some(({ fields }) => isIt(fields)), 'its line');
    });
  },
  { authenticator: [ADMITTING, ({ username }) => (username === 'second' ? true : null)] },
);

describeTheme(
  'a client that is let in for a time',
  (theme) => {
    // Reason code 0xA0 [MQTT 5.0, table 2-6]: maximum connect time.
    test('is closed when that is over, a 5.0 client with the reason', async () => {
      const client = await theme.broker.raw();
      const from = Date.now();
      client.send(
        connect5({ clientId: unique('brief'), username: 'brief', keepAlive: 60 }),
        PINGREQ,
      );
      assert.equal(parseSaid(await client.readPacket()).code, 0);
      await client.expect(PINGRESP);
      const said = parseSaid(await client.readPacket());
      assert.deepEqual([said.type, said.code], [14, 0xa0]);
      await client.expectClose();
      assert.ok(Date.now() - from >= BRIEF_MS);
      assert.equal(theme.broker.server.stats().closed['admission-ended'], 1);
    });

    test('is closed when that is over, a 3.1.1 client too', async () => {
      const client = await theme.broker.raw();
      client.send(connect({ clientId: unique('brief'), username: 'brief' }));
      await client.expect(connack(false, 0));
      await client.expectClose();
    });

    test('is refused when that is over already', async () => {
      assert.deepEqual(await codesFor(theme.broker, { username: 'over' }), [BAD_USER, 0x86]);
    });
  },
  { authenticator: ADMITTING },
);
