/** Tokens, web services and certificates as they decide about clients of a whole broker. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SignJWT } from 'jose';
import { formatPasswordHash, hashPassword } from '../../src/access/password-hash.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect, PINGREQ, PINGRESP } from '../support/packets.js';
import { connect5, parseSaid } from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import { eventually } from '../support/waiting.js';
import { serveWeb } from '../support/web-service.js';

const SECRET = 'a secret of thirty-two bytes at least, as it must be';

interface Who {
  readonly username?: string;
  readonly password?: string;
}

function tokenOf(claims: Record<string, unknown>): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(SECRET));
}

async function come(broker: Broker, who: Who): Promise<{ client: RawClient; code: number }> {
  const client = await broker.raw();
  client.send(connect5({ clientId: unique('come'), keepAlive: 60, ...who }));
  return { client, code: parseSaid(await client.readPacket()).code };
}

for (const workers of [1, 3]) {
  describe(`a chain of what is configured, ${workers} workers`, () => {
    let folder: string;
    let jwtKey: string;
    let passwordFile: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'surgemq-tokens-'));
      jwtKey = join(folder, 'key');
      passwordFile = join(folder, 'users');
      await writeFile(jwtKey, `${SECRET}\n`);
      const hash = formatPasswordHash(await hashPassword('sha512', 'lovelace'));
      await writeFile(passwordFile, `ada:${hash}\n`);
    });
    after(() => rm(folder, { recursive: true }));

    test('lets in by passwords and by tokens, and neither by the other', async () => {
      await using broker = await startBroker({ workers, jwtKey, passwordFile });
      const token = await tokenOf({ sub: 'bob' });
      assert.equal((await come(broker, { username: 'ada', password: 'lovelace' })).code, 0);
      assert.equal((await come(broker, { username: 'jwt', password: token })).code, 0);
      assert.equal((await come(broker, { password: token })).code, 0);
      assert.equal((await come(broker, { username: 'ada', password: 'byron' })).code, 0x86);
      assert.equal((await come(broker, { username: 'ada', password: `${token}a` })).code, 0x86);
      assert.equal((await come(broker, {})).code, 0x87);
      const old = connect({ clientId: unique('old'), username: 'jwt', password: token });
      const client = await broker.raw();
      client.send(old, PINGREQ);
      assert.equal((await client.readPacket())[3], 0);
      await client.expect(PINGRESP);
      const isBob = (fields: Readonly<Record<string, unknown>>): boolean => fields.user === 'bob';
      await eventually(() => broker.logs.some(({ fields }) => isBob(fields)), 'its name logged');
      assert.ok(!JSON.stringify(broker.logs).includes(token), 'a token in the log');
    });

    // 0xA0: maximum connect time [MQTT 5.0, table 2-6].
    test('closes who has a token when that ends', async () => {
      const jwtClockTolerance = '0s';
      await using broker = await startBroker({ workers, jwtKey, jwtClockTolerance });
      // A busy machine has to let it in before that.
      const exp = Math.ceil(Date.now() / 1_000) + 2;
      const password = await tokenOf({ sub: 'bob', exp });
      const { client, code } = await come(broker, { password });
      assert.equal(code, 0);
      const said = parseSaid(await client.readPacket());
      assert.deepEqual([said.type, said.code], [14, 0xa0]);
      await client.expectClose();
      assert.ok(Date.now() >= exp * 1_000);
      assert.equal((await come(broker, { password })).code, 0x86);
    });

    test('asks a web service about whom nobody else knows, and keeps nobody waiting', async () => {
      const asked: string[] = [];
      await using service = await serveWeb((body, respond) => {
        const { username } = JSON.parse(body) as { username: string };
        asked.push(username);
        if (username === 'late') return;
        respond(200, JSON.stringify({ allow: username === 'eve' }));
      });
      const options = { authHttp: service.url, authHttpTimeout: '500ms' };
      await using broker = await startBroker({ workers, passwordFile, ...options });
      const late = Array.from({ length: 20 }, () =>
        come(broker, { username: 'late', password: 'x' }),
      );
      await eventually(() => asked.includes('late'), 'a question');
      assert.equal((await come(broker, { username: 'ada', password: 'lovelace' })).code, 0);
      assert.ok(!asked.includes('ada'));
      // Nobody is let in by a service that does not answer.
      for (const { code } of await Promise.all(late)) assert.equal(code, 0x88);
      assert.equal((await come(broker, { username: 'eve', password: 'secret' })).code, 0);
      assert.equal((await come(broker, { username: 'tom', password: 'secret' })).code, 0x86);
      const { authenticationFailures, authenticationsWaiting } = broker.server.stats();
      assert.deepEqual([authenticationFailures, authenticationsWaiting], [20, 0]);
      assert.ok(!/secret/.test(JSON.stringify(broker.logs)), 'a password in the log');
    });

    test('has its key changed by a reload, a wrong one left out', async () => {
      const own = join(folder, `own-${workers}`);
      await writeFile(own, SECRET);
      await using broker = await startBroker({ workers, jwtKey: own });
      const password = await tokenOf({ sub: 'bob' });
      assert.equal((await come(broker, { password })).code, 0);
      await writeFile(own, 'short');
      await assert.rejects(broker.server.reload(), /jwtKey .*a secret must have 32 bytes/);
      assert.equal((await come(broker, { password })).code, 0);
      await writeFile(own, SECRET.toUpperCase());
      await broker.server.reload();
      assert.equal((await come(broker, { password })).code, 0x86);
    });
  });
}
