/** Tokens: which are believed, which are not, and what is made of them. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, test } from 'node:test';
import { exportJWK, type JWTPayload, SignJWT } from 'jose';
import { FairQueue } from '../../../src/access/fair-queue.js';
import {
  isToken,
  JwtAuthenticator,
  type JwtConfig,
} from '../../../src/access/jwt-authenticator.js';
import { checkJwtKey, type JwtKey, readJwtKey } from '../../../src/access/jwt-key.js';
import type { Admission, Verdict } from '../../../src/base/credentials.js';
import { ADMISSION_RULES_MAX } from '../../../src/base/limits.js';
import { serveWeb as serve } from '../../support/web-service.js';

const SECRET = 'a secret of thirty-two bytes at least, as it must be';
const CONFIG: JwtConfig = {
  jwtAudience: null,
  jwtIssuer: null,
  jwtClockToleranceMs: 0,
  jwtUserClaim: 'sub',
  jwtUsername: null,
};
const RSA = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ED = generateKeyPairSync('ed25519');
const NOW = Math.floor(Date.now() / 1_000);

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

function keyOf(text: string): JwtKey {
  const key = readJwtKey(text);
  assert.ok(typeof key !== 'string', String(key));
  return key;
}

function queue(): FairQueue {
  return new FairQueue({ atOnce: 9, atOncePerAddress: 9, waitingMax: 9, waitingPerAddressMax: 9 });
}

function authenticatorOf(text: string, config: Partial<JwtConfig> = {}): JwtAuthenticator {
  return new JwtAuthenticator({ ...CONFIG, ...config }, keyOf(text), queue());
}

async function signed(
  key: KeyObject | Uint8Array,
  alg: string,
  claims: JWTPayload = { sub: 'ada' },
  header: { readonly kid?: string } = {},
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(key);
}

async function verdictOf(
  authenticator: JwtAuthenticator,
  token: string,
  username: string | null = null,
): Promise<Verdict> {
  const password = Buffer.from(token);
  const who = { clientId: 'c', username, password, remoteAddress: '127.0.0.1' };
  return authenticator.authenticate(who);
}

function encoded(part: unknown): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

const ADA: Admission = { username: 'ada', expiresAtMs: null, rules: null };

describe('a token', () => {
  test('is believed when its signature is that of the key, by each algorithm', async () => {
    const secret = Buffer.from(SECRET);
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      assert.deepEqual(await verdictOf(authenticatorOf(SECRET), await signed(secret, alg)), ADA);
    }
    for (const alg of ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']) {
      const token = await signed(RSA.privateKey, alg);
      assert.deepEqual(await verdictOf(authenticatorOf(pem(RSA.publicKey)), token), ADA, alg);
    }
    for (const [curve, alg] of [
      ['P-256', 'ES256'],
      ['P-384', 'ES384'],
      ['P-521', 'ES512'],
    ]) {
      const pair = generateKeyPairSync('ec', { namedCurve: curve });
      const token = await signed(pair.privateKey, alg);
      assert.deepEqual(await verdictOf(authenticatorOf(pem(pair.publicKey)), token), ADA, alg);
    }
    const token = await signed(ED.privateKey, 'EdDSA');
    assert.deepEqual(await verdictOf(authenticatorOf(pem(ED.publicKey)), token), ADA);
  });

  test('is not believed when one bit of it is another', async () => {
    const authenticator = authenticatorOf(SECRET);
    const token = await signed(Buffer.from(SECRET), 'HS256');
    const [header, payload, signature] = token.split('.');
    const other = encoded({ sub: 'root' });
    for (const wrong of [
      `${header}.${other}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -2)}AA`,
      `${header}.${payload}.`,
    ]) {
      assert.equal(await verdictOf(authenticator, wrong), false, wrong);
    }
    const elsewhere = await signed(Buffer.from(SECRET.toUpperCase()), 'HS256');
    assert.equal(await verdictOf(authenticator, elsewhere), false);
  });

  // RFC 8725, 2.1: who says that there is no signature is not believed.
  test('without a signature is not believed, however it says so', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null, ['none']]) {
      const token = `${encoded({ alg })}.${encoded({ sub: 'ada' })}.`;
      for (const key of [SECRET, pem(RSA.publicKey), pem(ED.publicKey)]) {
        assert.equal(await verdictOf(authenticatorOf(key), token), false, String(alg));
      }
    }
  });

  // RFC 8725, 2.1: a public key, which everybody has, taken for a secret.
  test('signed with the public key as a secret is not believed', async () => {
    for (const [pair, text] of [
      [RSA, pem(RSA.publicKey)],
      [EC, pem(EC.publicKey)],
    ] as const) {
      for (const secret of [text, text.trim(), `${text}\n`]) {
        const token = await signed(Buffer.from(secret), 'HS256');
        assert.equal(await verdictOf(authenticatorOf(text), token), false);
      }
      const set = JSON.stringify({ keys: [await exportJWK(pair.publicKey)] });
      const token = await signed(Buffer.from(set), 'HS256');
      assert.equal(await verdictOf(authenticatorOf(set), token), false);
    }
  });

  test('signed by an algorithm that is not the key’s is not believed', async () => {
    const token = await signed(EC.privateKey, 'ES256');
    assert.equal(await verdictOf(authenticatorOf(pem(RSA.publicKey)), token), false);
    assert.equal(await verdictOf(authenticatorOf(pem(ED.publicKey)), token), false);
    assert.equal(await verdictOf(authenticatorOf(SECRET), token), false);
  });

  test('is not believed before its time, or after, but for the tolerance', async () => {
    const secret = Buffer.from(SECRET);
    const strict = authenticatorOf(SECRET);
    const lenient = authenticatorOf(SECRET, { jwtClockToleranceMs: 60_000 });
    for (const times of [{ exp: NOW - 30 }, { nbf: NOW + 30 }]) {
      const token = await signed(secret, 'HS256', { sub: 'ada', ...times });
      assert.equal(await verdictOf(strict, token), false);
      assert.notEqual(await verdictOf(lenient, token), false);
    }
    const exp = NOW + 30;
    const token = await signed(secret, 'HS256', { sub: 'ada', exp });
    assert.deepEqual(await verdictOf(strict, token), { ...ADA, expiresAtMs: exp * 1_000 });
    const odd = await signed(secret, 'HS256', { sub: 'ada', exp: '9' as unknown as number });
    assert.equal(await verdictOf(strict, odd), false);
  });

  test('must be for whom and from whom the settings say', async () => {
    const authenticator = authenticatorOf(SECRET, { jwtAudience: 'mqtt', jwtIssuer: 'us' });
    const secret = Buffer.from(SECRET);
    const right = { sub: 'ada', aud: ['web', 'mqtt'], iss: 'us' };
    assert.deepEqual(await verdictOf(authenticator, await signed(secret, 'HS256', right)), ADA);
    for (const wrong of [
      { sub: 'ada', iss: 'us' },
      { ...right, aud: 'web' },
      { ...right, iss: 'them' },
      { sub: 'ada', aud: 'mqtt' },
    ]) {
      assert.equal(await verdictOf(authenticator, await signed(secret, 'HS256', wrong)), false);
    }
  });

  test('has its user name in the claim that the settings say, as a text', async () => {
    const secret = Buffer.from(SECRET);
    const authenticator = authenticatorOf(SECRET, { jwtUserClaim: 'name' });
    const right = await signed(secret, 'HS256', { sub: 'x', name: 'ada' });
    assert.deepEqual(await verdictOf(authenticator, right), ADA);
    for (const name of [undefined, '', 7, null, ['ada'], 'a'.repeat(65_536)]) {
      const token = await signed(secret, 'HS256', name === undefined ? {} : { name });
      const verdict = await verdictOf(authenticator, token);
      assert.ok(verdict === false || verdict === null, String(name).slice(0, 9));
    }
    const inherited = authenticatorOf(SECRET, { jwtUserClaim: 'constructor' });
    assert.equal(await verdictOf(inherited, await signed(secret, 'HS256')), false);
  });

  test('may bring rules, and is not believed when they are none', async () => {
    const secret = Buffer.from(SECRET);
    const authenticator = authenticatorOf(SECRET);
    const acl = [
      { allow: ['publish', 'subscribe'], filter: 'a/%c/#' },
      { deny: ['read'], filter: 'a/+/secret' },
    ];
    assert.deepEqual(
      await verdictOf(authenticator, await signed(secret, 'HS256', { sub: 'ada', acl })),
      {
        ...ADA,
        rules: [
          { effect: 'allow', actions: ['publish', 'subscribe'], filter: 'a/%c/#' },
          { effect: 'deny', actions: ['read'], filter: 'a/+/secret' },
        ],
      },
    );
    const [rule] = acl;
    for (const wrong of [
      'all',
      [7],
      [{ filter: 'a' }],
      [{ ...rule, deny: ['read'] }],
      [{ ...rule, allow: [] }],
      [{ ...rule, allow: 'publish' }],
      [{ ...rule, allow: ['write'] }],
      [{ ...rule, filter: 'a/#/b' }],
      [{ ...rule, filter: 'a'.repeat(1_025) }],
      [{ ...rule, user: 'b' }],
      Array.from({ length: ADMISSION_RULES_MAX + 1 }, () => ({ allow: ['read'], filter: 'a' })),
    ]) {
      const token = await signed(secret, 'HS256', { sub: 'ada', acl: wrong });
      assert.equal(
        await verdictOf(authenticator, token),
        false,
        JSON.stringify(wrong).slice(0, 60),
      );
    }
  });

  test('is left to others when it has not the form of one, or another user name', async () => {
    const authenticator = authenticatorOf(SECRET, { jwtUsername: 'jwt' });
    const token = await signed(Buffer.from(SECRET), 'HS256');
    assert.deepEqual(await verdictOf(authenticator, token, 'jwt'), ADA);
    assert.equal(await verdictOf(authenticator, token, 'ada'), null);
    assert.equal(await verdictOf(authenticator, 'secret', 'jwt'), null);
    for (const none of ['', 'a.b.c', 'eyJ', 'eyJ.a', `eyJ${'a'.repeat(16_384)}.a.a`, 'eyJ.\0.a']) {
      assert.equal(isToken(Buffer.from(none)), false, none.slice(0, 9));
    }
  });
});

describe('a set of keys', () => {
  test('has its keys told by their ids, and may be changed', async () => {
    const [old, fresh] = [1, 2].map(() => generateKeyPairSync('ed25519'));
    const jwk = async (pair: typeof old, kid: string) => ({
      ...(await exportJWK(pair.publicKey)),
      kid,
      alg: 'EdDSA',
    });
    const both = JSON.stringify({ keys: [await jwk(old, 'old'), await jwk(fresh, 'new')] });
    const one = JSON.stringify({ keys: [await jwk(fresh, 'new')] });
    const byOld = await signed(old.privateKey, 'EdDSA', undefined, { kid: 'old' });
    const byNew = await signed(fresh.privateKey, 'EdDSA', undefined, { kid: 'new' });
    const asNew = await signed(old.privateKey, 'EdDSA', undefined, { kid: 'new' });
    assert.deepEqual(await verdictOf(authenticatorOf(both), byOld), ADA);
    assert.deepEqual(await verdictOf(authenticatorOf(both), byNew), ADA);
    assert.equal(await verdictOf(authenticatorOf(both), asNew), false);
    assert.equal(await verdictOf(authenticatorOf(one), byOld), false);
  });

  test('of a web service is fetched once for many tokens, and not for each wrong one', async () => {
    const pair = generateKeyPairSync('ed25519');
    const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'a', alg: 'EdDSA' }];
    let asked = 0;
    await using service = await serve((_, respond) => {
      asked++;
      respond(200, JSON.stringify({ keys }));
    });
    const authenticator = new JwtAuthenticator(
      CONFIG,
      { url: service.url, timeoutMs: 5_000 },
      queue(),
    );
    const token = await signed(pair.privateKey, 'EdDSA', undefined, { kid: 'a' });
    const verdicts = await Promise.all([1, 2, 3].map(() => verdictOf(authenticator, token)));
    assert.deepEqual(verdicts, [ADA, ADA, ADA]);
    const unknown = await signed(pair.privateKey, 'EdDSA', undefined, { kid: 'b' });
    assert.equal(await verdictOf(authenticator, unknown), false);
    assert.equal(await verdictOf(authenticator, unknown), false);
    assert.equal(asked, 1);
  });

  test('that cannot be had lets in nobody, and is not asked for at each token', async () => {
    let asked = 0;
    const answers = ['{"keys":[]', '{"keys":"none"}', `{"a":"${'a'.repeat(300_000)}"}`];
    for (const answer of [...answers, null]) {
      asked = 0;
      await using service = await serve((_, respond) => {
        asked++;
        if (answer === null) respond(302, '', { location: 'http://127.0.0.1:1/' });
        else respond(200, answer);
      });
      const authenticator = new JwtAuthenticator(
        CONFIG,
        { url: service.url, timeoutMs: 5_000 },
        queue(),
      );
      const token = await signed(ED.privateKey, 'EdDSA');
      for (let n = 0; n < 3; n++) {
        const verdict = await verdictOf(authenticator, token).catch(() => 'failed');
        assert.ok(verdict === 'failed' || verdict === false, answer?.slice(0, 20));
      }
    }
    assert.equal(asked, 1);
  });
});

describe('a key file', () => {
  test('must be a public key, a set of them, or a secret that is long enough', async () => {
    const privateKey = RSA.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 });
    const other = generateKeyPairSync('x25519');
    const secretSet = { keys: [{ kty: 'oct', k: 'AAAA' }] };
    const privateSet = { keys: [await exportJWK(ED.privateKey)] };
    const wrong = [
      '',
      'too short',
      privateKey,
      pem(weak.publicKey),
      pem(other.publicKey),
      '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n',
      '{',
      '{}',
      '{"keys":[]}',
      JSON.stringify(secretSet),
      JSON.stringify(privateSet),
    ];
    for (const text of wrong) assert.equal(checkJwtKey(text).length, 1, text.slice(0, 40));
    for (const text of [SECRET, pem(RSA.publicKey)]) assert.deepEqual(checkJwtKey(text), []);
  });
});
