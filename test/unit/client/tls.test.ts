/** The client over TLS: certificates of both sides, what is said of faults, sessions resumed. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TLSSocket, TlsOptions as TlsServerOptions } from 'node:tls';
import { Authority, type CertificateFields } from '../../../bench/support/certificates.js';
import {
  Client,
  type ClientOptions,
  ConfigError,
  type TlsOptions,
} from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { FakeServer } from './fake-server.js';
import { exchangeMessages, QUICK, refusal, runOut } from './harness.js';

const authority = new Authority();
const HOST = '127.0.0.1';
const identity = authority.issue({ name: 'server', hosts: [HOST] });
const YEAR_MS = 365 * 86_400_000;

/** A TLS server, and a client that trusts the authority. */
async function start(
  t: TestContext,
  tls: TlsOptions = {},
  serverOptions: TlsServerOptions = {},
  options: ClientOptions = {},
): Promise<{ server: FakeServer; client: Client }> {
  const server = await FakeServer.startTls({ ...identity, ...serverOptions });
  const client = new Client(server.uri, {
    ...QUICK,
    ...options,
    tls: { ca: authority.cert, ...tls },
  });
  t.after(async () => {
    await server.stop();
    await client.disconnect({ drain: false });
  });
  return { server, client };
}

test('messages go and come by TLS, and DISCONNECT is sent before it is closed', async (t) => {
  const { server, client } = await start(t);
  const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
  await exchangeMessages(client, connection);
  await Promise.all([client.disconnect(), connection.expect(packets.DISCONNECT)]);
  await connection.untilClosed();
});

test('reading stops for a slow reader, and what had come by then is not lost', async (t) => {
  const { server, client } = await start(t);
  const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
  const stream = client.messages('a', { highWaterMark: 1 });
  const iterator = stream[Symbol.asyncIterator]();
  const first = iterator.next();
  const subscribe = await connection.readPacket('SUBSCRIBE');
  connection.send(packets.suback(subscribe.readUInt16BE(2), 0));
  const count = 2_000;
  const sent = Array.from({ length: count }, (_, at) => `${at}`.padEnd(1_000));
  connection.send(...sent.map((payload) => packets.publish({ topic: 'a', payload })));
  const payloads = [(await first).value?.payload.toString()];
  while (payloads.length < count) payloads.push((await iterator.next()).value?.payload.toString());
  assert.deepEqual(payloads, sent);
});

test('a certificate that is not to be trusted is said in one line, with what to do', async (t) => {
  const other = new Authority('Other CA');
  const past = {
    notBefore: new Date(Date.now() - YEAR_MS),
    notAfter: new Date(Date.now() - 1_000),
  };
  const future = { notBefore: new Date(Date.now() + YEAR_MS), notAfter: new Date(2049, 0) };
  const fields = (more: Partial<CertificateFields>) => ({ name: 's', hosts: [HOST], ...more });
  const rows = [
    [
      other.issue(fields({})),
      /leads to no root that is trusted here \(.+\): give its root as tls.ca/,
    ],
    [authority.issue(fields(past)), /has expired/],
    [authority.issue(fields(future)), /is not valid yet/],
    [
      authority.issue(fields({ hosts: ['other.example'] })),
      /is for DNS:other\.example, and not for 127\.0\.0\.1: connect by/,
    ],
  ] as const;
  for (const [wrong, expected] of rows) {
    // Not tried again by `initial` either: the next attempt would end in the same way.
    const options = { reconnect: { ...(QUICK.reconnect as object), initial: true } };
    const { server, client } = await start(t, {}, wrong, options);
    const message = await refusal(client);
    assert.match(message, expected);
    assert.ok(message.startsWith(`cannot connect to ${server.uri}: `), message);
  }
});

test('another host in the certificate passes where that is said, no other root does', async (t) => {
  const elsewhere = authority.issue({ name: 's', hosts: ['elsewhere.example'] });
  const foreign = new Authority('Other CA').issue({ name: 's', hosts: [HOST] });
  const rows: [typeof foreign, TlsOptions, boolean][] = [
    [elsewhere, { checkHost: false }, true],
    [elsewhere, { servername: 'elsewhere.example' }, true],
    [foreign, { checkHost: false }, false],
    [foreign, { rejectUnauthorized: false }, true],
  ];
  for (const [cert, tls, isTaken] of rows) {
    const { server, client } = await start(t, tls, cert);
    if (isTaken) await Promise.all([server.acceptClient(), client.connect()]);
    else assert.match(await refusal(client), /leads to no root/);
  }
});

test('the server is asked for by name, and the protocol is agreed on', async (t) => {
  const { server, client } = await start(
    t,
    { servername: 'broker.example', alpn: 'mqtt', checkHost: false },
    { ALPNProtocols: ['other', 'mqtt'] },
  );
  const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
  const socket = connection.socket as TLSSocket & { servername?: string };
  assert.equal(socket.servername, 'broker.example');
  assert.equal(socket.alpnProtocol, 'mqtt');
});

test('a client certificate is shown; without one the server ends the connection', async (t) => {
  const asking = { ca: authority.cert, requestCert: true };
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const own = authority.issue({ name: 'client' });
    const { server, client } = await start(t, own, { ...asking, maxVersion });
    const [connection] = await Promise.all([server.acceptClient(), client.connect()]);
    assert.equal((connection.socket as TLSSocket).getPeerCertificate().subject.CN, 'client');

    const stranger = await start(t, {}, { ...asking, maxVersion });
    assert.match(await refusal(stranger.client), /certificate|--cert/);
  }
});

test('a lost connection is made again with the TLS session of the last one', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { server, client } = await start(t, {}, { maxVersion });
    const [first] = await Promise.all([server.acceptClient(), client.connect()]);
    assert.equal((first.socket as TLSSocket).isSessionReused(), false);
    // The ticket of TLS 1.3 comes behind the handshake: before this answer.
    await Promise.all([client.ping(), first.expect(packets.PINGREQ), first.send(packets.PINGRESP)]);
    first.cut();
    const second = await server.acceptClient();
    assert.equal((second.socket as TLSSocket).isSessionReused(), true);
  }
});

test('a port without TLS is told apart from a fault of TLS', async (t) => {
  const plain = await FakeServer.start();
  t.after(() => plain.stop());
  const tls = new Client(plain.uri.replace('mqtt:', 'mqtts:'), QUICK);
  const answered = plain
    .accept()
    .then(async (connection) => connection.send(Buffer.from('a word of another protocol')));
  assert.match(await refusal(tls), /does not speak TLS there/);
  await answered;
  const closed = plain.accept().then((connection) => connection.cut());
  assert.match(await refusal(tls), /closed during the TLS handshake|TLS|ECONNRESET/);
  await closed;
});

test('a server that is silent in the handshake is named so', async (t) => {
  const plain = await FakeServer.start();
  t.after(() => plain.stop());
  const client = new Client(plain.uri.replace('mqtt:', 'mqtts:'), {
    ...QUICK,
    connectTimeout: '50ms',
  });
  await runOut(t, plain, 50, async () => {
    assert.match(await refusal(client), /no TLS handshake within 50 ms/);
  });
});

test('an old version of TLS is not spoken where a newer one is asked for', async (t) => {
  const { client } = await start(t, { minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' });
  assert.match(await refusal(client), /no version of TLS in common/);
});

test('every fault of the option tls is said before anything is connected', () => {
  const faultsOf = (uri: string, tls: unknown): readonly string[] => {
    try {
      new Client(uri, { tls } as ClientOptions);
    } catch (error) {
      if (error instanceof ConfigError) return error.faults;
    }
    return [];
  };
  const { cert, key } = identity;
  const rows: [unknown, RegExp][] = [
    [{ ca: 'no' }, /^option tls\.ca is not a certificate in PEM/],
    [{ ca: [authority.cert, 7] }, /^option tls\.ca must be PEM/],
    [{ cert }, /^options tls\.cert and tls\.key belong together/],
    [{ cert: 'no', key }, /^option tls\.cert is not a certificate in PEM: /],
    [{ cert, key: 'no' }, /^option tls\.key is not a private key in PEM/],
    [{ cert, key: authority.key }, /^options tls\.cert and tls\.key do not fit together: /],
    [{ alpn: [''] }, /^option tls\.alpn must be text/],
    [{ minVersion: 'SSLv3' }, /^option tls\.minVersion is SSLv3; allowed: TLSv1\.2, TLSv1\.3/],
    [{ checkHost: 1 }, /^option tls\.checkHost must be true or false/],
    [{ servername: '1.2.3.4' }, /^option tls\.servername must be a host name/],
    [{ ciphers: 'none' }, /^option tls\.ciphers is not cipher suites/],
    [{ servernam: 'h' }, /^there is no option tls\.servernam; did you mean servername\?/],
    ['yes', /^option tls must be an object/],
  ];
  for (const [tls, expected] of rows) {
    const faults = faultsOf('mqtts://h', tls);
    assert.equal(faults.length, 1, faults.join('\n'));
    assert.match(faults[0], expected);
  }
  assert.match(faultsOf('mqtt://h', {})[0], /^option tls is for mqtts:/);
  assert.deepEqual(faultsOf('mqtts://h', { ca: [Buffer.from(authority.cert)], cert, key }), []);
});
