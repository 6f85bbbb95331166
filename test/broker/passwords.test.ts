/** Users with passwords: CONNACK codes, SCRAM over the same users, reloads, and who floods. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { formatPasswordHash, type HashKind, hashPassword } from '../../src/access/password-hash.js';
import { PROMPT_REFUSALS } from '../../src/base/limits.js';
import { connect as connectClient, scramSha256 } from '../../src/client/index.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { codesFor } from '../support/connack-codes.js';
import { connack, connect, PINGREQ, PINGRESP } from '../support/packets.js';
import { connect5, parseSaid, prop } from '../support/packets5.js';
import { eventually } from '../support/waiting.js';

const [ACCEPTED, BAD_USER, NOT_AUTHORIZED] = [0, 4, 5];
const METHOD = 0x15;

async function lineOf(name: string, password: string, kind: HashKind): Promise<string> {
  return `${name}:${formatPasswordHash(await hashPassword(kind, password))}\n`;
}

for (const workers of [1, 3]) {
  describe(`a password file, ${workers} workers`, () => {
    let folder: string;
    let passwordFile: string;
    let broker: Broker;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'surgemq-users-'));
      passwordFile = join(folder, 'users');
    });
    after(() => rm(folder, { recursive: true }));

    async function start(lines: readonly string[]): Promise<Broker> {
      await writeFile(passwordFile, lines.join(''));
      broker = await startBroker({ workers, passwordFile });
      return broker;
    }

    // [MQTT-3.2.2-5], table 3.1; [MQTT 5.0, 3.2.2.2].
    test('lets in its users by their passwords, and nobody else', async () => {
      const kinds = ['sha512-pbkdf2', 'sha512', 'scrypt', 'scram'] as const;
      const lines = await Promise.all(kinds.map((kind) => lineOf(kind, `${kind}!`, kind)));
      await using running = await start(lines);
      for (const username of kinds) {
        const right = { username, password: `${username}!` };
        // Twice: who has been verified is not hashed again.
        assert.deepEqual(await codesFor(running, right), [ACCEPTED, 0], username);
        assert.deepEqual(await codesFor(running, right), [ACCEPTED, 0], username);
        const wrong = { username, password: `${username}?` };
        assert.deepEqual(await codesFor(running, wrong), [BAD_USER, 0x86], username);
      }
      const unknown = { username: 'eve', password: 'sha512!' };
      assert.deepEqual(await codesFor(running, unknown), [BAD_USER, 0x86]);
      assert.deepEqual(await codesFor(running, { username: 'sha512' }), [BAD_USER, 0x86]);
      assert.deepEqual(await codesFor(running, {}), [NOT_AUTHORIZED, 0x87]);
      assert.equal(running.server.stats().authenticationRefusals, 14);
      assert.equal(running.server.stats().authenticationFailures, 0);
    });

    // [MQTT-4.12.0-1]; 0x8C: a method that there is not.
    test('lets in by SCRAM whose password is hashed for it, and nobody else', async () => {
      await using running = await start([
        await lineOf('eve', 'both', 'scram'),
        await lineOf('ada', 'lovelace', 'sha512-pbkdf2'),
      ]);
      const { host, port } = running;
      const come = async (username: string, password: string): Promise<string> => {
        const authentication = scramSha256({ username, password });
        const options = { clientId: unique('scram'), authentication, reconnect: false };
        const client = await connectClient(`tcp://${host}:${port}`, options);
        await client.reauthenticate();
        await client.disconnect();
        return 'in';
      };
      assert.equal(await come('eve', 'both'), 'in');
      for (const [username, password] of [
        ['eve', 'wrong'],
        ['ada', 'lovelace'],
        ['nobody', 'both'],
      ]) {
        await assert.rejects(come(username, password), { reasonCode: 0x87 });
      }
      const other = await running.raw();
      const properties = prop.text(METHOD, 'GS2-KRB5');
      other.send(connect5({ clientId: unique('other'), properties }));
      assert.equal(parseSaid(await other.readPacket()).code, 0x8c);
      await other.expectClose();
    });

    test('offers no SCRAM where no user has keys for it', async () => {
      await using running = await start([await lineOf('ada', 'lovelace', 'sha512')]);
      const client = await running.raw();
      const properties = prop.text(METHOD, 'SCRAM-SHA-256');
      client.send(connect5({ clientId: unique('scram'), properties }));
      assert.equal(parseSaid(await client.readPacket()).code, 0x8c);
    });

    // A user that is removed must not go on, and nobody else may notice.
    test('that is reloaded closes users who are gone or have another password', async () => {
      const stays = await lineOf('stays', 'a', 'sha512-pbkdf2');
      const changed = ['goes', 'changes'].map((name) => lineOf(name, 'a', 'sha512-pbkdf2'));
      await using running = await start([stays, ...(await Promise.all(changed))]);
      const clients = new Map<string, Awaited<ReturnType<Broker['raw']>>[]>();
      for (const username of ['stays', 'goes', 'changes']) {
        const all = [];
        for (let n = 0; n < 6; n++) {
          const client = await running.raw();
          const packet = n % 2 === 0 ? connect5 : connect;
          client.send(packet({ clientId: unique(username), username, password: 'a' }));
          assert.equal((await client.readPacket())[3], 0);
          all.push(client);
        }
        clients.set(username, all);
      }
      await writeFile(passwordFile, [stays, await lineOf('changes', 'b', 'scram')].join(''));
      await running.server.reload();
      for (const username of ['goes', 'changes']) {
        for (const [n, client] of clients.get(username)!.entries()) {
          if (n % 2 === 0) {
            const said = parseSaid(await client.readPacket());
            assert.deepEqual([said.type, said.code], [14, 0x87]);
          }
          await client.expectClose();
        }
      }
      for (const client of clients.get('stays')!) {
        client.send(PINGREQ);
        await client.expect(PINGRESP);
      }
      const { closed } = running.server.stats();
      assert.equal(closed['not-authorized'], 12);
      assert.deepEqual(await codesFor(running, { username: 'goes', password: 'a' }), [4, 0x86]);
      assert.deepEqual(await codesFor(running, { username: 'changes', password: 'b' }), [0, 0]);
    });

    test('that is wrong leaves the old one in force', async () => {
      await using running = await start([await lineOf('ada', 'lovelace', 'sha512')]);
      await writeFile(passwordFile, 'ada:clear text\n');
      await assert.rejects(running.server.reload(), /passwordFile .*line 1: .*surgemq passwd -U/);
      const right = { username: 'ada', password: 'lovelace' };
      assert.deepEqual(await codesFor(running, right), [ACCEPTED, 0]);
    });

    test('has a user name in one line of the log, whatever is in it', async () => {
      await using running = await start([await lineOf('ada', 'lovelace', 'sha512')]);
      const username = 'eve\u001b[2J\r\n{"level":30}';
      await codesFor(running, { username, password: 'x' });
      await eventually(() => running.logs.some(({ message }) => message === 'client refused'), '');
      const lines = running.logs.filter(({ message }) => message === 'client refused');
      for (const { fields } of lines) {
        assert.ok(!/\p{Cc}/u.test(JSON.stringify(fields)), JSON.stringify(fields));
        assert.ok(!JSON.stringify(fields).includes('"x"'), 'the password');
      }
    });

    test('has an address that fails again and again wait for its refusal', async () => {
      await using running = await start([await lineOf('ada', 'lovelace', 'sha512')]);
      const wrong = connect({ clientId: 'a', username: 'ada', password: 'wrong' });
      const clients = [];
      for (let n = 0; n < (PROMPT_REFUSALS + 1) * workers + 1; n++) {
        const client = await running.raw();
        client.send(wrong);
        clients.push(client);
      }
      await eventually(() => running.server.stats().refusalsDelayed > 0, 'one to wait');
      // Who is right does not wait.
      const right = { username: 'ada', password: 'lovelace' };
      assert.deepEqual(await codesFor(running, right), [ACCEPTED, 0]);
      for (const client of clients) await client.expect(connack(false, BAD_USER));
      await eventually(() => running.server.stats().refusalsDelayed === 0, 'nobody to wait');
    });
  });
}
