import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAclFile, parseAclFile } from '../../../src/access/acl-file.js';

/** Who may publish, read and subscribe, and whether that is denied. */
const READ = 6;
const WRITE = 1;
const DENY = 7 << 3;

test('an acl_file has rules of those without a name, of users, and for all', () => {
  const { users, patterns, faults } = parseAclFile(`# a comment

topic read public/#
topic  a b
user ann lee
topic write out/+
  topic deny  out/secret\r
topic home/#
pattern readwrite devices/%u/%c
user bob
user ann lee
topic read  with blanks
`);
  assert.deepEqual(faults, [
    { line: 4, message: 'unknown access "a", not one of read, write, readwrite, deny' },
  ]);
  assert.deepEqual(
    [...users],
    [
      [null, [{ filterKey: 'public/#', bits: READ }]],
      [
        'ann lee',
        [
          { filterKey: 'out/+', bits: WRITE },
          { filterKey: 'out/secret', bits: DENY },
          { filterKey: 'home/#', bits: READ | WRITE },
          { filterKey: 'with blanks', bits: READ },
        ],
      ],
      ['bob', []],
    ],
  );
  assert.deepEqual(patterns, [{ filterKey: 'devices/%u/%c', bits: READ | WRITE }]);
});

test('a word that could be an access is a filter when nothing follows it', () => {
  const { users, faults } = parseAclFile('topic read\ntopic readwrite \ntopic deny');
  assert.deepEqual(faults, []);
  assert.deepEqual(
    users.get(null)?.map(({ filterKey }) => filterKey),
    ['read', 'readwrite', 'deny'],
  );
});

test('the filters of an acl_file are kept as the bytes of topics are', () => {
  const { users } = parseAclFile('topic read a/é');
  assert.equal(users.get(null)?.[0]?.filterKey, 'a/\u00c3\u00a9');
});

test('all faults of an acl_file are told at once, with their lines and what was meant', () => {
  assert.deepEqual(
    checkAclFile(`topic
user
topc read a
topic raed a
topic read a/#/b
pattern write a+
\t# no comment
topic read ok`),
    [
      'line 1: it needs a topic filter: topic readwrite FILTER',
      'line 2: a user needs a name: user NAME',
      'line 3: unknown word "topc"; did you mean topic?',
      'line 4: unknown access "raed", not one of read, write, readwrite, deny; did you mean read?',
      'line 5: "a/#/b" is no topic filter: + and # stand for whole levels',
      'line 6: "a+" is no topic filter: + and # stand for whole levels',
      'line 7: unknown word "\\t#"',
    ],
  );
  assert.deepEqual(checkAclFile(''), []);
});
