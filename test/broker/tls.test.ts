/** Clients behind TLS: versions, certificates of both sides, tickets, and files that change. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { Authority } from '../../bench/support/certificates.js';
import { ConfigError } from '../../src/base/errors.js';
import type { Broker } from '../support/broker.js';
import { connect, PINGREQ, PINGRESP } from '../support/packets.js';
import { TestClient } from '../support/test-client.js';
import { TlsFiles } from '../support/tls-broker.js';
import { eventually, within } from '../support/waiting.js';

/** Opens TLS. @throws Error that the handshake ends with. */
async function open(broker: Broker, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { host, port, tls } = broker;
  const socket = connectTls({ host, port, ...tls, ...options });
  await within(once(socket, 'secureConnect'), 'a handshake');
  return socket;
}

/** What the broker gives to resume a session with. */
async function ticket(broker: Broker, options: ConnectionOptions): Promise<Buffer> {
  const { host, port, tls } = broker;
  const socket = connectTls({ host, port, ...tls, ...options });
  socket.resume();
  const [session] = (await within(once(socket, 'session'), 'a ticket')) as [Buffer];
  socket.destroy();
  return session;
}

/** Opens TLS and connects as a client; what the broker answers. */
async function answer(broker: Broker, options: ConnectionOptions = {}): Promise<Buffer> {
  const socket = await open(broker, options);
  socket.on('error', () => {});
  socket.write(Buffer.concat([connect({ clientId: 't' }), PINGREQ]));
  const got: Buffer[] = [];
  await within(
    new Promise<void>((resolve) => {
      socket.on('close', () => resolve());
      socket.on('data', (bytes: Buffer) => {
        got.push(bytes);
        if (Buffer.concat(got).length >= 6) resolve();
      });
    }),
    'an answer',
  );
  socket.destroy();
  return Buffer.concat(got);
}

const SERVED = Buffer.concat([Buffer.of(0x20, 2, 0, 0), PINGRESP]);

/** A handshake must fail, on either side. */
async function isRefused(broker: Broker, options: ConnectionOptions): Promise<void> {
  try {
    assert.equal((await answer(broker, options)).length, 0);
  } catch (error) {
    assert.ok(error instanceof Error && !(error instanceof assert.AssertionError), String(error));
  }
}

/** Waits for the line about handshakes that failed for a reason. */
async function logged(broker: Broker, reason: string, detail: RegExp): Promise<void> {
  const isIt = ({ fields, message }: Broker['logs'][number]): boolean =>
    message === 'handshakes failed' &&
    fields.reason === reason &&
    detail.test(String(fields.detail));
  await eventually(() => broker.logs.some(isIt), `a line of ${reason} like ${detail}`);
}

describe('TLS', () => {
  let files: TlsFiles;
  before(() => {
    files = new TlsFiles();
  });
  after(() => files[Symbol.dispose]());

  describe('with one certificate', () => {
    let broker: Broker;
    before(async () => {
      broker = await files.start({ workers: 2 });
    });
    after(() => broker.close());

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      test(`serves ${version}, with and without ALPN mqtt`, async () => {
        const only = { minVersion: version, maxVersion: version };
        assert.deepEqual(await answer(broker, only), SERVED);
        const socket = await open(broker, { ...only, ALPNProtocols: ['x', 'mqtt'] });
        assert.deepEqual([socket.getProtocol(), socket.alpnProtocol], [version, 'mqtt']);
        socket.destroy();
      });

      test(`resumes sessions of ${version} on any shard`, async () => {
        const only = { minVersion: version, maxVersion: version };
        const session = await ticket(broker, only);
        // As many as there are shards, and more: each has its turn.
        for (let again = 0; again < 4; again++) {
          const socket = await open(broker, { ...only, session });
          assert.equal(socket.isSessionReused(), true, `connection ${again}`);
          socket.destroy();
        }
      });
    }

    test('delivers what is published, in one piece and in many', async () => {
      const [reader, writer] = [await broker.client(), await broker.client()];
      await reader.subscribe(['t', 1]);
      const payload = Buffer.alloc(300_000, 'x').toString();
      for (let n = 0; n < 20; n++) await writer.publish('t', `${n}${payload}`, { qos: 1 });
      for (let n = 0; n < 20; n++) {
        const { payload: got } = await reader.nextMessage();
        assert.equal(String(got), `${n}${payload}`);
      }
    });

    test('refuses versions before 1.2, and says so', async () => {
      const { handshakesFailed } = broker.server.stats();
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } as const;
      await isRefused(broker, { ...old, ciphers: 'DEFAULT:@SECLEVEL=0' });
      await logged(broker, 'protocol', /no version of TLS from tlsMinVersion on/);
      assert.ok(broker.server.stats().handshakesFailed > handshakesFailed);
    });

    test('refuses who asks for another protocol by ALPN', async () => {
      await isRefused(broker, { ALPNProtocols: ['http/1.1'] });
    });

    test('sends a last reply before it closes', async () => {
      const client = await broker.raw();
      client.send(connect({ clientId: 'x', level: 9 }));
      await client.expect('20 02 00 01');
      await client.expectClose();
    });
  });

  test('takes the least version from the settings', async () => {
    await using broker = await files.start({ tlsMinVersion: 'TLSv1.3' });
    await isRefused(broker, { maxVersion: 'TLSv1.2' });
    assert.deepEqual(await answer(broker), SERVED);
  });

  test('shows the certificate that has the name asked for by SNI, or the first', async () => {
    const other = files.authority.issue({ name: 'b', hosts: ['b.example', '*.c.example'] });
    files.write('other.pem', other.cert);
    files.write('other.key', other.key);
    await using broker = await files.start({
      tlsCert: [files.path('server.pem'), files.path('other.pem')],
      tlsKey: [files.path('server.key'), files.path('other.key')],
    });
    for (const [servername, name] of [
      ['b.example', 'b'],
      ['B.Example', 'b'],
      ['x.c.example', 'b'],
      ['a.example', 'localhost'],
      ['unknown.example', 'localhost'],
      ['', 'localhost'],
    ] as const) {
      const socket = await open(broker, { servername, checkServerIdentity: () => undefined });
      assert.equal(socket.getPeerCertificate().subject.CN, name, servername);
      socket.destroy();
    }
  });

  describe('with client certificates', () => {
    const stranger = new Authority('Somebody else');
    const named = { name: 'device 1', hosts: ['device-1.example', 'urn:device:1'] };

    function options() {
      const known = files.authority.issue(named);
      const revoked = files.authority.issue({ name: 'device 2' });
      files.write('crl.pem', files.authority.revoke(revoked.cert));
      return { known, revoked, foreign: stranger.issue(named) };
    }
    const settings = (choice: 'optional' | 'required') => ({
      tlsClientCert: choice,
      tlsCa: files.path('ca.pem'),
      tlsCrl: files.path('crl.pem'),
    });

    test('lets in who shows a valid one, and nobody else where it is required', async () => {
      const { known, revoked, foreign } = options();
      await using broker = await files.start(settings('required'));
      assert.deepEqual(await answer(broker, known), SERVED);
      await isRefused(broker, {});
      await isRefused(broker, revoked);
      await isRefused(broker, foreign);
      await isRefused(broker, { maxVersion: 'TLSv1.2' });
      await isRefused(broker, { ...revoked, maxVersion: 'TLSv1.2' });
      await logged(broker, 'certificate', /CERT_REVOKED|shows no certificate|UNABLE|SELF/);
      await eventually(() => broker.server.stats().certificatesRefused >= 5, 'all counted');
      assert.deepEqual(await answer(broker, known), SERVED);
    });

    test('lets in who shows none where it is optional, and nobody with one not valid', async () => {
      const { known, revoked, foreign } = options();
      await using broker = await files.start(settings('optional'));
      assert.deepEqual(await answer(broker, known), SERVED);
      assert.deepEqual(await answer(broker), SERVED);
      await isRefused(broker, revoked);
      await isRefused(broker, foreign);
    });

    test('knows the names of one, also when its session is resumed', async () => {
      const { known } = options();
      const asked: unknown[] = [];
      await using broker = await files.start({
        ...settings('required'),
        workers: 2,
        authenticator: ({ certificate }) => {
          asked.push(certificate);
          return true;
        },
      });
      const names = {
        commonName: 'device 1',
        alternativeNames: ['device-1.example', 'urn:device:1'],
      };
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        asked.length = 0;
        const session = await ticket(broker, { ...known, maxVersion });
        assert.deepEqual(await answer(broker, { ...known, maxVersion, session }), SERVED);
        assert.deepEqual(asked, [names], maxVersion);
      }
      assert.ok(broker.server.stats().handshakesResumed >= 2);
    });

    test('resumes no session of before, when lists of revoked ones have changed', async () => {
      const { known } = options();
      await using broker = await files.start(settings('required'), { fileLookMs: 20 });
      const session = await ticket(broker, known);
      files.write('crl.pem', files.authority.revoke(known.cert));
      await eventually(
        () => broker.logs.some(({ message }) => /changed files are used/.test(message)),
        'the new list to be used',
      );
      await isRefused(broker, { ...known, session });
    });
  });

  test('takes new files without losing a client, and refuses bad ones', async () => {
    using own = new TlsFiles();
    await using broker = await own.start({ workers: 2 }, { fileLookMs: 20 });
    const client = await TestClient.connect(broker);
    const issue = (name: string) => own.authority.issue({ name, hosts: ['localhost'] });
    const next = issue('next');
    own.write('server.key', next.key);
    const told = (message: RegExp) =>
      eventually(() => broker.logs.some((line) => message.test(line.message)), String(message));
    // The certificate is still that of before.
    await told(/changed files are not used/);
    const { fields } = broker.logs.find(({ message }) => /not used/.test(message))!;
    assert.match(
      String(fields.faults),
      /^tlsKey .*server\.key: it is not the key of .*server\.pem$/,
    );
    assert.deepEqual(await answer(broker), SERVED);
    own.write('server.pem', next.cert);
    await told(/changed files are used/);
    const socket = await open(broker);
    assert.equal(socket.getPeerCertificate().subject.CN, 'next');
    socket.destroy();
    const last = issue('last');
    own.write('server.pem', last.cert);
    own.write('server.key', last.key);
    await broker.server.reload();
    await client.ping();
    await client.raw.cut();
  });

  test('starts with no file that is missing, or not what it should be: a line each', async () => {
    const faultsOf = async (changes: object): Promise<readonly string[]> => {
      try {
        await using broker = await files.start(changes);
        return [broker.host];
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        return error.faults;
      }
    };
    const stranger = new Authority().issue({ name: 'x' });
    const foreignKey = files.write('foreign.key', stranger.key);
    const nothing = files.write('nothing.pem', 'nothing');
    const missing = files.path('missing.pem');
    const [fault, ...others] = await faultsOf({ tlsCert: missing });
    assert.equal(fault, `tlsCert ${missing}: cannot be read: there is no such file`);
    assert.deepEqual(others, []);
    assert.match((await faultsOf({ tlsKey: foreignKey }))[0], /^tlsKey .*foreign\.key: it is not/);
    assert.match((await faultsOf({ tlsCert: nothing }))[0], /^tlsCert .*nothing\.pem: it has no/);
    assert.match((await faultsOf({ tlsKey: nothing }))[0], /^tlsKey .*: it has no private key/);
    const crl = { tlsCrl: nothing, tlsCa: files.path('ca.pem'), tlsClientCert: 'required' };
    assert.match((await faultsOf(crl))[0], /^tlsCrl .*: it has no list/);
  });

  test('warns of a certificate that has expired, and of one that soon will', async () => {
    using own = new TlsFiles();
    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
    const expired = {
      name: 'old',
      hosts: ['localhost'],
      notBefore: inDays(-9),
      notAfter: inDays(-2),
    };
    own.write('server.pem', own.authority.issue(expired, own.server.key).cert);
    await using broker = await own.start();
    const warnings = broker.logs.filter(({ level }) => level === 'warn');
    assert.match(warnings[0].message, /^tlsCert .*server\.pem: the certificate has expired, on /);
  });
});
