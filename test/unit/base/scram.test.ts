/** SCRAM-SHA-256 [RFC 5802, RFC 7677]. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saslPrepared } from '../../../src/base/sasl-prep.js';
import { ScramClient, ScramError, ScramServer, scramKeys } from '../../../src/base/scram.js';

// The example of RFC 7677, section 3.
const EXAMPLE = {
  username: 'user',
  password: 'pencil',
  clientNonce: 'rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  messages: [
    'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,' +
      'p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  ],
};

const { clientNonce, serverNonce, salt, messages } = EXAMPLE;

function exampleClient(): ScramClient {
  return new ScramClient(EXAMPLE.username, EXAMPLE.password, clientNonce);
}

/** An exchange of two sides that each make their own nonce. */
async function exchange(username: string, password: string, known: string, knownSalt = salt) {
  const client = new ScramClient(username, password);
  const server = new ScramServer();
  const name = server.readFirst(client.first());
  const final = server.final(
    await client.final(server.first(await scramKeys(known, knownSalt, 4_096))),
  );
  if (final !== null) client.verify(final);
  return { name, isAccepted: final !== null };
}

test('both sides say what the example of RFC 7677 has', async () => {
  const client = exampleClient();
  const server = new ScramServer(serverNonce);
  assert.equal(client.first().toString(), messages[0]);
  assert.equal(server.readFirst(client.first()), 'user');
  const keys = await scramKeys(EXAMPLE.password, salt, 4_096);
  const serverFirst = server.first(keys);
  assert.equal(serverFirst.toString(), messages[1]);
  const clientFinal = await client.final(serverFirst);
  assert.equal(clientFinal.toString(), messages[2]);
  const serverFinal = server.final(clientFinal);
  assert.equal(serverFinal?.toString(), messages[3]);
  client.verify(serverFinal);
});

test('a wrong password is not accepted, and a name of any characters is read', async () => {
  assert.deepEqual(await exchange('a=b,c', 'right', 'right'), { name: 'a=b,c', isAccepted: true });
  assert.deepEqual(await exchange('a', 'wrong', 'right'), { name: 'a', isAccepted: false });
});

test('names and passwords that look the same are the same', async () => {
  // RFC 4013, section 3, and a password with a ligature and a space that is not ASCII.
  const examples: readonly (readonly [string, string | null])[] = [
    ['I\u00adX', 'IX'],
    ['user', 'user'],
    ['USER', 'USER'],
    ['\u00aa', 'a'],
    ['\u2168', 'IX'],
    ['\u0007', null],
    ['', null],
    ['\ud800', null],
    ['\ue000', null],
  ];
  for (const [given, expected] of examples) assert.equal(saslPrepared(given), expected);
  assert.equal((await exchange('\u00aa', 'o\ufb03ce\u00a0x', 'office x')).isAccepted, true);
  assert.throws(() => new ScramClient('a\0', 'x'), ScramError);
  await assert.rejects(scramKeys('\u0007', salt, 4_096), ScramError);
});

test('a client gives nothing to a server that does not keep to the rules', async () => {
  const [, first] = messages;
  const wrong = [
    '',
    'r=x',
    first.replace('r=rOpr', 'r=xOpr'),
    `r=${clientNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
    first.replace('s=W22', 's=*22'),
    first.replace('i=4096', 'i=4095'),
    first.replace('i=4096', 'i=2000001'),
    first.replace('i=4096', 'i=0x1000'),
    first.replace('i=4096', 'i=99999999999'),
    `m=x,${first}`,
    `${first},r=twice`,
    `${first},${'x='.padEnd(4_096, 'x')}`,
  ];
  for (const message of wrong) {
    await assert.rejects(exampleClient().final(Buffer.from(message)), ScramError, message);
  }
});

test('a server that does not know the user is found out', async () => {
  const [, first, , final] = messages;
  const client = exampleClient();
  assert.throws(() => client.verify(Buffer.from(final)), ScramError);
  await client.final(Buffer.from(first));
  for (const message of ['v=AAAA', final.replace('v=6', 'v=7'), 'v=', '', 'x=1']) {
    assert.throws(() => client.verify(Buffer.from(message)), ScramError);
  }
  assert.throws(() => client.verify(Buffer.from('e=unknown-user')), /refuses: unknown-user/);
});

test('a server reads nothing but its own exchange', async () => {
  const keys = await scramKeys(EXAMPLE.password, salt, 4_096);
  const read = (text: string): string => new ScramServer(serverNonce).readFirst(Buffer.from(text));
  for (const text of ['', 'n=user', 'p=tls-unique,,n=u,r=a', 'n,,r=a', 'n,,n=u', 'n,,n=a=b,r=a']) {
    assert.throws(() => read(text), ScramError, text);
  }
  assert.equal(read('y,a=other,n=u=2Cv,r=a'), 'u,v');
  const final = (text: string): Buffer | null => {
    const server = new ScramServer(serverNonce);
    server.readFirst(Buffer.from(messages[0]));
    server.first(keys);
    return server.final(Buffer.from(text));
  };
  const good = messages[2];
  assert.notEqual(final(good), null);
  for (const text of [good.replace('c=biws', 'c=eSws'), good.replace('r=r', 'r=x'), 'c=biws', '']) {
    assert.throws(() => final(text), ScramError, text);
  }
  assert.equal(final(good.replace('p=d', 'p=e')), null);
  assert.equal(final(good.replace(/p=.*/, 'p=AAAA')), null);
  assert.throws(() => new ScramServer().final(Buffer.from(good)), ScramError);
});
