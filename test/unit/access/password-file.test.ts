/** Password files: those of Mosquitto, and the hashes of our own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkPasswordFile, parsePasswordFile } from '../../../src/access/password-file.js';
import {
  costOf,
  formatPasswordHash,
  HASH_KINDS,
  hashOfNobody,
  hashPassword,
  type PasswordHash,
  parsePasswordHash,
  verifyPassword,
} from '../../../src/access/password-hash.js';
import { Users, userFaults } from '../../../src/access/users.js';

/** Lines that mosquitto_passwd 2.0.11 has written, and their passwords. */
const MOSQUITTO = [
  [
    'ada:$7$101$Dk2TfPtstpUV414e$6m865CE464rGiYj3VciNM2c23b0Z5gMG60ETKMkV9N9lTSgRyjNx' +
      'Yq0+az4biMtYC7F8km/fTzeF66s/CIWDgg==',
    'lovelace',
  ],
  [
    'bob:$6$i6tP8cq9XCmCgQTc$BRzVvIotame+UoczfQ8qvWq65gUAllGhRJlMpeu34f1KR9MW4jWQcnd' +
      'Z5TsR0PDKT5vf7wTL4SUmusiGZIEVHA==',
    'builder',
  ],
  [
    'us er:$7$101$+WuvAXlPoxG8ulR2$Tb7w0XsCKo+BJHxNZjD/gKSFkA6aVAUrBwqcoK1w8HBon/h+Os' +
      'SR6ttblyvglPVMANUwR113UkPOT/d4b4mG6w==',
    'p:w$ä',
  ],
] as const;

function parsed(text: string): PasswordHash {
  const hash = parsePasswordHash(text);
  assert.ok(typeof hash !== 'string', String(hash));
  return hash;
}

describe('hashed passwords', () => {
  test('of mosquitto_passwd are verified, and no other passwords', async () => {
    const { users, faults } = parsePasswordFile(MOSQUITTO.map(([line]) => line).join('\n'));
    assert.deepEqual(faults, []);
    for (const [line, password] of MOSQUITTO) {
      const hash = users.get(line.slice(0, line.indexOf(':')));
      assert.ok(hash !== undefined);
      assert.equal(await verifyPassword(hash, Buffer.from(password)), true);
      for (const wrong of ['', `${password} `, password.slice(1), password.toUpperCase()]) {
        assert.equal(await verifyPassword(hash, Buffer.from(wrong)), false, wrong);
      }
    }
  });

  // RFC 7914, section 12, with 32 bytes of the 64.
  test('of scrypt are those of RFC 7914', async () => {
    const hash = Buffer.from(
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162',
      'hex',
    ).toString('base64');
    const salt = Buffer.from('NaCl').toString('base64');
    const rfc = parsed(`$scrypt$ln=10,r=8,p=16$${salt}$${hash.replace('=', '')}`);
    assert.equal(await verifyPassword(rfc, Buffer.from('password')), true);
    assert.equal(await verifyPassword(rfc, Buffer.from('Password')), false);
  });

  // RFC 7677, section 3: keys of user `user`, password `pencil`.
  test('of SCRAM verify the password too', async () => {
    const keys =
      'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';
    const rfc = parsed(`$scram-sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$${keys}`);
    assert.equal(await verifyPassword(rfc, Buffer.from('pencil')), true);
    assert.equal(await verifyPassword(rfc, Buffer.from('Pencil')), false);
    assert.equal(await verifyPassword(rfc, Buffer.from('pen\0cil')), false);
  });

  test('of each kind are written as they are read, and verified', async () => {
    for (const kind of HASH_KINDS) {
      const hash = await hashPassword(kind, 'pässwörd');
      const text = formatPasswordHash(hash);
      assert.deepEqual(parsed(text), hash);
      assert.equal(await verifyPassword(parsed(text), Buffer.from('pässwörd')), true, kind);
      assert.equal(await verifyPassword(parsed(text), Buffer.from('passwörd')), false, kind);
      assert.notEqual(formatPasswordHash(await hashPassword(kind, 'pässwörd')), text);
    }
  });

  test('of nobody cost what their likes cost, and are no password’s', async () => {
    for (const kind of HASH_KINDS) {
      const hash = await hashPassword(kind, 'a', kind === 'sha512-pbkdf2' ? 7 : undefined);
      const nobody = hashOfNobody(hash);
      assert.equal(costOf(nobody), costOf(hash));
      assert.equal(await verifyPassword(nobody, Buffer.from('a')), false);
    }
  });

  test('that are none are faults, whatever is in them', () => {
    const salt = 'W22ZaJ0SNY7soEsUEjb6gQ==';
    const [h64, h32] = [64, 32].map((length) => Buffer.alloc(length).toString('base64'));
    const wrong = [
      '',
      'secret',
      '$',
      '$1$a$b',
      '$6$',
      `$6$${salt}`,
      `$6$${salt}$${h32}`,
      `$6$${salt}$${h64}$`,
      `$6$!$${h64}`,
      `$7$0$${salt}$${h64}`,
      `$7$-1$${salt}$${h64}`,
      `$7$1e3$${salt}$${h64}`,
      `$7$10000001$${salt}$${h64}`,
      `$7$101$$${h64}`,
      `$scrypt$ln=30,r=8,p=1$${salt}$${h32}`,
      `$scrypt$ln=14,r=0,p=1$${salt}$${h32}`,
      `$scrypt$ln=14,r=8$${salt}$${h32}`,
      `$scram-sha-256$4095$${salt}$${h32}$${h32}`,
      `$scram-sha-256$4096$${salt}$${h32}`,
      `$argon2id$v=19$m=1$${salt}$${h32}`,
    ];
    for (const text of wrong) assert.equal(typeof parsePasswordHash(text), 'string', text);
  });
});

describe('a password file', () => {
  const [line] = MOSQUITTO[0];

  test('may have comments, empty lines, blanks and the line ends of Windows', () => {
    const { users, faults } = parsePasswordFile(`# users\r\n\r\n ${line} \r\n\n`);
    assert.deepEqual([[...users.keys()], faults], [['ada'], []]);
    assert.equal(parsePasswordFile('').users.size, 0);
  });

  test('has its faults told with their lines, and no password in them', () => {
    const text = ['eve:secret', line, 'nonsense', ':x', line, 'tom:', 'a\u001b[31m:x'].join('\n');
    const faults = checkPasswordFile(text);
    assert.deepEqual(
      faults.map((fault) => /^line (\d+): /.exec(fault)?.[1]),
      ['1', '3', '4', '5', '6', '7'],
    );
    assert.match(faults[0], /surgemq passwd -U/);
    assert.match(faults[3], /stands in line 2 already/);
    assert.ok(!/secret|\p{Cc}/u.test(faults.join('')));
  });
});

describe('users', () => {
  const [line, password] = MOSQUITTO[0];
  const nothing = { rules: null, maxConnections: null, ownSettings: {} };
  const none = { ...nothing, passwordHash: null, password: null };

  test('are those of the file and those of the configuration', async () => {
    const hash = formatPasswordHash(await hashPassword('sha512', 'x'));
    const users = new Users(line, [
      { ...none, name: 'eve', password: 'clear' },
      { ...none, name: 'bob', passwordHash: hash },
      { ...none, name: 'rules-only' },
    ]);
    assert.equal(users.size, 3);
    const all = [
      ['ada', password],
      ['eve', 'clear'],
      ['bob', 'x'],
    ];
    for (const [name, right] of all) {
      const user = users.find(name);
      assert.ok(user !== undefined);
      assert.equal(await verifyPassword(await user.hash(), Buffer.from(right)), true);
      assert.equal(await verifyPassword(await user.hash(), Buffer.from('no')), false);
    }
    assert.equal(users.find('rules-only'), undefined);
    assert.equal(users.find('__proto__'), undefined);
  });

  test('have another stamp when their password is another, and the same otherwise', async () => {
    const stampOf = (secret: string) =>
      new Users('', [{ ...none, name: 'a', password: secret }]).find('a')?.stamp;
    assert.equal(stampOf('x'), stampOf('x'));
    assert.notEqual(stampOf('x'), stampOf('y'));
    assert.equal(new Users(line, []).find('ada')?.stamp, new Users(line, []).find('ada')?.stamp);
  });

  test('have keys for SCRAM where their password is known, or hashed for it', async () => {
    const scram = formatPasswordHash(await hashPassword('scram', 'x'));
    const configured = [{ ...none, name: 'eve', password: 'clear' }];
    const users = new Users(`${line}\nbob:${scram}\n`, configured);
    assert.equal(await users.scramKeysOf('ada'), null);
    assert.equal(await users.scramKeysOf('nobody'), null);
    assert.equal((await users.scramKeysOf('eve'))?.iterations, 4_096);
    assert.equal((await users.scramKeysOf('bob'))?.iterations, 4_096);
    assert.equal(users.hasScram, true);
    assert.equal(new Users(line, []).hasScram, false);
  });

  test('that there are not cost what most of them cost', () => {
    const lines = MOSQUITTO.map(([each]) => each).join('\n');
    assert.equal(costOf(new Users(lines, []).nobody), 'sha512-pbkdf2 101');
    assert.equal(
      costOf(new Users('', [{ ...none, name: 'a', password: 'b' }]).nobody),
      'scram 4096',
    );
  });

  test('have one password, which is a fault otherwise', () => {
    const faults = userFaults(
      [
        { ...none, name: 'ada', password: 'x' },
        { ...none, name: 'eve', passwordHash: 'x' },
      ],
      line,
    );
    assert.equal(faults.length, 2);
  });
});
