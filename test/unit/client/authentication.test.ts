/** Enhanced authentication of the client [MQTT 5.0, 4.12]. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScramServer, scramKeys } from '../../../src/base/scram.js';
import {
  ArgumentError,
  AuthenticationError,
  Client,
  ConfigError,
  ConnectionLostError,
  ConnectRefusedError,
  ProtocolError,
  ServerDisconnectedError,
  scramSha256,
} from '../../../src/client/index.js';
import {
  type AuthPacket5,
  type ConnectPacket5,
  type ControlPacket5,
  encodePacket5,
  type Properties,
  parsePacket5,
  Sender,
} from '../../../src/protocol/v5/index.js';
import { connack } from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import type { FakeConnection } from './fake-server.js';
import { outcome, start } from './harness.js';
import { connack5, connected5 } from './harness5.js';

const VERSION = { protocolVersion: 5, reconnect: false } as const;
const USER = { username: 'ada', password: 'lovelace' };
const SALT = Buffer.from('salt of the tests');

async function read(connection: FakeConnection): Promise<ControlPacket5> {
  const packet = await connection.readPacket();
  return parsePacket5(packet, 0, packet.length, Sender.client);
}

function auth(reasonCode: number, method: string, data?: string | Buffer): Buffer {
  const authenticationData = data === undefined ? undefined : Buffer.from(data);
  const properties = { authenticationMethod: method, authenticationData };
  return encodePacket5({ type: 'auth', reasonCode, properties }, Sender.server);
}

function accepted(properties: Properties): Buffer {
  const packet = { type: 'connack', sessionPresent: false, reasonCode: 0, properties } as const;
  return encodePacket5(packet, Sender.server);
}

/** Method and data of a packet, the data as text. */
function said(packet: ControlPacket5): (string | undefined)[] {
  const { properties } = packet as AuthPacket5 | ConnectPacket5;
  return [properties.authenticationMethod, properties.authenticationData?.toString()];
}

/** The data of SCRAM that the server answers with, step by step. */
async function scramServer(password: string) {
  const server = new ScramServer();
  const keys = await scramKeys(password, SALT, 4_096);
  return {
    first(data: Buffer | undefined): Buffer {
      assert.equal(server.readFirst(data ?? Buffer.alloc(0)), USER.username);
      return server.first(keys);
    },
    final: (data: Buffer | undefined) => server.final(data ?? Buffer.alloc(0)),
  };
}

const METHOD = 'SCRAM-SHA-256';

test('SCRAM-SHA-256 connects, and again while the connection stands', async (t) => {
  const { server, client } = await start(t, { ...VERSION, authentication: scramSha256(USER) });
  const done = client.connect();
  const connection = await server.accept();
  const scram = await scramServer(USER.password);
  const connect = (await read(connection)) as ConnectPacket5;
  assert.equal(connect.properties.authenticationMethod, METHOD);
  connection.send(auth(0x18, METHOD, scram.first(connect.properties.authenticationData)));
  const answer = (await read(connection)) as AuthPacket5;
  assert.equal(answer.reasonCode, 0x18);
  const final = scram.final(answer.properties.authenticationData);
  assert(final !== null);
  connection.send(accepted({ authenticationMethod: METHOD, authenticationData: final }));
  await done;
  // [MQTT-4.12.1-1]: with the same method; messages go on meanwhile.
  const again = client.reauthenticate();
  await assert.rejects(client.reauthenticate(), AuthenticationError);
  const second = await scramServer(USER.password);
  const begin = (await read(connection)) as AuthPacket5;
  assert.equal(begin.reasonCode, 0x19);
  connection.send(auth(0x18, METHOD, second.first(begin.properties.authenticationData)));
  const last = (await read(connection)) as AuthPacket5;
  connection.send(auth(0, METHOD, second.final(last.properties.authenticationData) ?? ''));
  await again;
});

test('a server that does not know the password is left', async (t) => {
  const { server, client } = await start(t, { ...VERSION, authentication: scramSha256(USER) });
  const done = outcome(client.connect());
  const connection = await server.accept();
  const scram = await scramServer(USER.password);
  const connect = (await read(connection)) as ConnectPacket5;
  connection.send(auth(0x18, METHOD, scram.first(connect.properties.authenticationData)));
  await read(connection);
  // Whoever has heard the exchange, but has not the keys.
  const forged = Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`);
  connection.send(accepted({ authenticationMethod: METHOD, authenticationData: forged }));
  await connection.untilClosed();
  assert(done.state instanceof AuthenticationError);
  assert.match(done.state.message, /does not prove that it knows the user/);
});

test('a method with data alone has them in CONNECT, and in each new one', async (t) => {
  const authentication = { method: 'TOKEN', data: 'secret' };
  const options = { ...VERSION, authentication, reconnect: { minDelay: 0.002 } };
  const { server, client } = await start(t, options);
  const done = client.connect();
  for (let n = 0; n < 2; n++) {
    const connection = await server.accept();
    assert.deepEqual(said(await read(connection)), ['TOKEN', 'secret']);
    connection.send(accepted({ authenticationMethod: 'TOKEN' }));
    await done;
    if (n === 0) connection.cut();
  }
});

test('a hook may take its time, is given what the server sends, and answers nothing', async (t) => {
  const heard: (string | undefined)[] = [];
  const authentication = {
    method: 'M',
    begin: async () => ({
      data: null,
      continue: async (data: Buffer | null) => {
        heard.push(data?.toString());
        return heard.length === 1 ? 'answer' : null;
      },
      end: (data: Buffer | null) => void heard.push(`end ${data}`),
    }),
  };
  const { server, client } = await start(t, { ...VERSION, authentication });
  const done = client.connect();
  const connection = await server.accept();
  assert.deepEqual(said(await read(connection)), ['M', undefined]);
  connection.send(auth(0x18, 'M', 'first'));
  assert.deepEqual(said(await read(connection)), ['M', 'answer']);
  connection.send(auth(0x18, 'M'));
  assert.deepEqual(said(await read(connection)), ['M', undefined]);
  connection.send(accepted({ authenticationMethod: 'M', authenticationData: Buffer.from('x') }));
  await done;
  assert.deepEqual(heard, ['first', undefined, 'end x']);
});

test('what a hook throws is why the connection fails', async (t) => {
  const failing = [
    { begin: () => Promise.reject(new Error('no token')) },
    { data: 'only this' },
    { begin: () => ({ continue: () => Promise.reject(new Error('no token')) }) },
  ];
  for (const given of failing) {
    const authentication = { method: 'M', ...given };
    const { server, client } = await start(t, { ...VERSION, authentication });
    const done = outcome(client.connect());
    const connection = await server.accept();
    if (given !== failing[0]) {
      await read(connection);
      connection.send(auth(0x18, 'M', 'more'));
    }
    await connection.untilClosed();
    await eventually(() => done.state !== 'pending', 'the call to fail');
    assert(done.state instanceof AuthenticationError);
    assert.match(done.state.message, /no token|more than the data of M/);
  }
});

test('a server that does not keep to its part of an exchange is left', async (t) => {
  // [MQTT-4.12.0-5], and AUTH that answers nothing.
  const wrong = [
    [accepted({})],
    [accepted({ authenticationMethod: 'OTHER' })],
    [auth(0x18, 'OTHER')],
    [auth(0, 'M')],
    [auth(0x18, 'M'), auth(0x18, 'M')],
    [accepted({ authenticationMethod: 'M' }), auth(0x18, 'M')],
    [accepted({ authenticationMethod: 'M' }), auth(0, 'M')],
  ];
  for (const packets of wrong) {
    const continues = { continue: () => new Promise<null>(() => {}) };
    const authentication = { method: 'M', begin: () => continues };
    const { server, client } = await start(t, { ...VERSION, authentication });
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    client.connect().catch(() => {});
    const connection = await server.accept();
    await read(connection);
    connection.send(...packets);
    await connection.untilClosed();
    await eventually(() => errors.length > 0, 'the error');
    assert(errors[0] instanceof ProtocolError);
  }
});

test('AUTH to a client without authentication is a fault of the server', async (t) => {
  // [MQTT-4.12.0-6]
  const { client, connection } = await connected5(t, VERSION);
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  await assert.rejects(client.reauthenticate(), ArgumentError);
  connection.send(auth(0x18, 'M'));
  await connection.untilClosed();
  await eventually(() => errors.length > 0, 'the error');
  assert(errors[0] instanceof ProtocolError);
});

test('a re-authentication that the server refuses ends with the connection', async (t) => {
  const authentication = { method: 'M', data: 'x' };
  const { server, client } = await start(t, { ...VERSION, authentication });
  await assert.rejects(client.reauthenticate(), ConnectionLostError);
  client.on('error', () => {});
  const done = client.connect();
  const connection = await server.accept();
  await read(connection);
  connection.send(accepted({ authenticationMethod: 'M' }));
  await done;
  const again = outcome(client.reauthenticate());
  await read(connection);
  const packet = { type: 'disconnect', reasonCode: 0x87, properties: {} } as const;
  connection.send(encodePacket5(packet, Sender.server));
  await connection.untilClosed();
  await eventually(() => again.state !== 'pending', 'the call to fail');
  assert(again.state instanceof ServerDisconnectedError);
  assert.equal(again.state.reasonCode, 0x87);
});

test('a server that refuses the method, or 5.0, is not asked in another way', async (t) => {
  const authentication = { method: 'M', data: 'x' };
  for (const refusal of [connack5('', { code: 0x8c }), connack(false, 1)]) {
    const { server, client } = await start(t, { ...VERSION, authentication });
    const done = outcome(client.connect());
    const connection = await server.accept();
    await read(connection);
    connection.send(refusal);
    await connection.untilClosed();
    await eventually(() => done.state !== 'pending', 'the call to fail');
    assert(done.state instanceof ConnectRefusedError);
  }
});

test('wrong options of authentication are told as such', () => {
  const make = (options: object): Client => new Client('mqtt://h', options);
  assert.throws(() => make({ protocolVersion: 5, authentication: {} }), ConfigError);
  assert.throws(() => make({ protocolVersion: 5, authentication: { method: 1 } }), ConfigError);
  const authentication = { method: 'M', data: 1 };
  assert.throws(() => make({ protocolVersion: 5, authentication }), ConfigError);
  const needs = { protocolVersion: 4, authentication: { method: 'M' } } as const;
  assert.throws(() => make(needs), /needs protocolVersion 5/);
});
