import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AccessSource, AccessTable } from '../../../src/access/access-table.js';
import { Decisions, type Rights } from '../../../src/access/rights.js';
import type { AccessAction, AccessRule } from '../../../src/base/access-rule.js';
import {
  ADMISSION_RULES_MAX,
  CLASSES_KEPT_MAX,
  DECISIONS_KEPT_MAX,
} from '../../../src/base/limits.js';
import { isValidTopicFilter, isValidTopicName, matches } from '../../../src/topics/topic.js';

const NOTHING: AccessSource = { aclFile: null, rules: [], users: [] };

function tableOf(source: Partial<AccessSource>): AccessTable {
  return new AccessTable({ ...NOTHING, ...source });
}

function rightsOf(table: AccessTable, username: string | null, clientId = 'c'): Rights {
  const rights = table.rightsOf(username, clientId, null);
  assert.ok(rights !== null);
  return rights;
}

function allow(filter: string, ...actions: AccessAction[]): AccessRule {
  return { effect: 'allow', actions, filter };
}

function deny(filter: string, ...actions: AccessAction[]): AccessRule {
  return { effect: 'deny', actions, filter };
}

test('without any rules nobody has rights to be asked for', () => {
  assert.equal(tableOf({}).rightsOf('ann', 'c', null), null);
  const users = [
    { name: 'ann', rules: null },
    { name: 'bob', rules: null },
  ];
  assert.equal(tableOf({ users }).rightsOf('ann', 'c', null), null);
});

test('an acl_file without rules allows nothing', () => {
  const rights = rightsOf(tableOf({ aclFile: '# nobody yet' }), 'ann');
  assert.ok(!rights.mayPublish('a') && !rights.mayRead('a') && !rights.maySubscribe('#'));
});

test('one that cannot be read allows nothing at all', () => {
  const rights = rightsOf(tableOf({ aclFile: 'topic a/#\nnonsense' }), null);
  assert.ok(!rights.mayPublish('a/b') && !rights.maySubscribe('a/b'));
});

test('rules for those without a name are not those of users, nor the other way around', () => {
  const table = tableOf({ aclFile: 'topic read open\nuser ann\ntopic read hers\n' });
  assert.ok(rightsOf(table, null).mayRead('open'));
  assert.ok(!rightsOf(table, 'ann').mayRead('open'));
  assert.ok(rightsOf(table, 'ann').mayRead('hers'));
  assert.ok(!rightsOf(table, null).mayRead('hers'));
  assert.ok(!rightsOf(table, '').mayRead('open'));
  assert.ok(!rightsOf(table, 'Ann').mayRead('hers'));
});

test('what is denied is denied wherever it stands, and before what all are allowed', () => {
  const aclFile = 'user ann\ntopic a/#\ntopic deny a/b\npattern a/b\npattern deny a/c\npattern d/#';
  const rights = rightsOf(tableOf({ aclFile }), 'ann');
  assert.ok(rights.mayPublish('a/x') && !rights.mayPublish('a/b') && !rights.mayRead('a/b'));
  // Allowed by the rules of the user, which come first, as in Mosquitto.
  assert.ok(rights.mayPublish('a/c'));
  assert.ok(rights.mayRead('d'));
});

test('a client has its own place by its names, and no other', () => {
  const table = tableOf({ aclFile: 'pattern devices/%u/%c/#\npattern write in/%c' });
  const rights = rightsOf(table, 'ann', 'one');
  assert.ok(rights.mayRead('devices/ann/one/x') && rights.mayPublish('in/one'));
  assert.ok(!rights.mayRead('devices/ann/two/x') && !rights.mayPublish('in/two'));
  assert.ok(!rightsOf(table, null, 'one').mayRead('devices//one/x'));
  assert.ok(rightsOf(table, null, 'one').mayPublish('in/one'));
  // Names are put in once, not looked through again.
  assert.ok(rightsOf(table, '%c', 'one').mayRead('devices/%c/one'));
  assert.ok(!rightsOf(table, '%c', 'one').mayRead('devices/one/one'));
});

// CVE-2017-7650
test('names with + # / match through no pattern, and slip past none that denies', () => {
  const table = tableOf({ aclFile: 'pattern deny all/%c\npattern all/#\npattern own/%u/#' });
  for (const name of ['+', '#', 'a/b', 'x+', '/']) {
    for (const rights of [rightsOf(table, name), rightsOf(table, 'ann', name)]) {
      assert.ok(!rights.mayRead('own/x/y') && !rights.mayRead('own/ann/y'), name);
      assert.ok(!rights.mayRead('all/x') && !rights.maySubscribe('all/x'), name);
      assert.ok(!rights.mayPublish(`own/${name}`), name);
    }
  }
  assert.ok(rightsOf(table, 'ann').mayRead('own/ann/y'));
});

test('a name in a rule of the configuration matters to those rules alone that name it', () => {
  const rules = [allow('all/#', 'read', 'subscribe'), allow('in/%u', 'publish')];
  const table = tableOf({ rules });
  assert.ok(rightsOf(table, 'ann', 'a/b').mayRead('all/x'));
  assert.ok(!rightsOf(table, 'a/b', 'c').mayRead('all/x'));
});

test('a name that begins with $ opens nothing that is the server’s', () => {
  const table = tableOf({ aclFile: 'pattern %u/#\npattern %c/#' });
  assert.ok(!rightsOf(table, '$SYS').mayRead('$SYS/broker/uptime'));
  assert.ok(!rightsOf(table, null, '$SYS').mayRead('$SYS/broker/uptime'));
  assert.ok(!rightsOf(table, null, '$share').maySubscribe('$share/#'));
});

test('an empty name is a level without characters, and never a filter of its own', () => {
  const rights = rightsOf(tableOf({ aclFile: 'pattern a/%u/#' }), '');
  assert.ok(rights.mayRead('a//x') && !rights.mayRead('a/x'));
  const bare = rightsOf(tableOf({ aclFile: 'pattern %u' }), '');
  assert.ok(!bare.mayRead('a') && !bare.maySubscribe('#') && !bare.maySubscribe('+'));
});

test('wildcards at the front of rules reach nothing below $', () => {
  const rights = rightsOf(tableOf({ aclFile: 'topic #\ntopic +/b/#' }), null);
  assert.ok(rights.mayRead('a') && !rights.mayRead('$SYS/b') && !rights.mayRead('$x'));
  assert.ok(!rights.maySubscribe('$SYS/#'));
});

test('a filter may be wider than the rules, but not apart from them', () => {
  const aclFile = 'topic read a/b\ntopic write w/#\ntopic read d/#\ntopic deny d/x/#';
  const rights = rightsOf(tableOf({ aclFile }), null);
  for (const filter of ['a/b', 'a/+', 'a/#', '#', '+/b', 'd/+', '$share/g/a/#', '$share/g/#']) {
    assert.ok(rights.maySubscribe(filter), filter);
  }
  for (const filter of [
    'a',
    'a/c',
    'b/#',
    'w/#',
    'd/x',
    'd/x/+',
    '+',
    '$share/g/w/#',
    '$share/g',
  ]) {
    assert.equal(rights.maySubscribe(filter), filter === '+', filter);
  }
});

test('subscribing is a right of its own, and worth nothing where nothing may be read', () => {
  const rules = [
    allow('a/#', 'read'),
    allow('b/#', 'subscribe'),
    allow('c/#', 'read', 'subscribe'),
    deny('c/x/#', 'subscribe'),
    allow('+/both', 'subscribe'),
  ];
  const rights = rightsOf(tableOf({ rules }), null);
  assert.ok(rights.mayRead('a/1') && !rights.maySubscribe('a/1') && !rights.maySubscribe('a/+/+'));
  assert.ok(rights.maySubscribe('a/both') && rights.maySubscribe('a/+'));
  assert.ok(!rights.maySubscribe('b/1') && !rights.mayRead('b/1'));
  assert.ok(rights.maySubscribe('c/#') && !rights.maySubscribe('c/x/+') && rights.mayRead('c/x/y'));
});

test('the rules of an admission stand in the place of those of its user', () => {
  const users = [{ name: 'ann', rules: [allow('hers', 'read')] }];
  const table = tableOf({ users, rules: [allow('all', 'read')] });
  const rights = table.rightsOf('ann', 'c', [allow('token/%u/%c', 'read')]);
  assert.ok(rights?.mayRead('token/ann/c') && rights.mayRead('all') && !rights.mayRead('hers'));
  assert.ok(rightsOf(table, 'ann').mayRead('hers'));
  const none = tableOf({}).rightsOf('ann', 'c', []);
  assert.equal(none?.mayRead('x'), false);
});

test('rules that cannot be read, or are too many to be looked through, allow nothing', () => {
  const table = tableOf({ rules: [allow('all', 'read')] });
  const unfit = table.rightsOf('ann', 'c', [allow('a', 'read'), deny('b#', 'read')]);
  assert.ok(!unfit?.mayRead('a') && !unfit?.mayRead('all'));
  const many = Array.from({ length: ADMISSION_RULES_MAX + 1 }, (_, at) => allow(`r/${at}`, 'read'));
  assert.equal(table.rightsOf('ann', 'c', many)?.mayRead('r/1'), false);
  assert.equal(table.rightsOf('ann', 'c', many.slice(1))?.mayRead('r/1'), true);
});

test('clients of one user share their rights, where no rule tells them apart', () => {
  const table = tableOf({ aclFile: 'user ann\ntopic a\npattern %u/#' });
  assert.equal(rightsOf(table, 'ann', 'one'), rightsOf(table, 'ann', 'two'));
  assert.notEqual(rightsOf(table, 'ann', 'one'), rightsOf(table, 'bob', 'one'));
  const apart = tableOf({ aclFile: 'pattern %c/#' });
  assert.notEqual(rightsOf(apart, 'ann', 'one'), rightsOf(apart, 'ann', 'two'));
  for (let at = 0; at < 2 * CLASSES_KEPT_MAX; at++) rightsOf(table, `user${at}`);
  assert.ok(rightsOf(table, 'ann').mayRead('a'));
});

test('what is decided is kept for so many topics, those of all classes together', () => {
  const decisions = new Decisions();
  const classes = Array.from({ length: 10 }, () => new Map<string, number>());
  for (let at = 0; at < 3 * DECISIONS_KEPT_MAX; at++) {
    const ofClass = classes[at % classes.length]!;
    decisions.note(ofClass);
    ofClass.set(`topic/${at}`, 0);
    if (at % 1_000 !== 0) continue;
    const kept = classes.reduce((sum, { size }) => sum + size, 0);
    assert.ok(kept > 0 && kept <= DECISIONS_KEPT_MAX, `${kept} after ${at}`);
  }
});

/** A rule of an acl_file, whole, and what it says as section 2 of mosquitto.conf(5) reads. */
interface FileRule {
  readonly kind: 'topic' | 'pattern';
  readonly access: 'read' | 'write' | 'readwrite' | 'deny';
  readonly filter: string;
}

const level = fc.constantFrom('a', 'b', '+', 'ann', 'id', '%u', '%c', 'x%u', '');
const fileFilter = fc
  .tuple(fc.array(level, { maxLength: 2 }), fc.constantFrom('a', '+', '#', '%u', '%c', 'b'))
  .map(([front, last]) => [...front, last].join('/'))
  .filter((filter) => isValidTopicFilter(filter));
const fileRule: fc.Arbitrary<FileRule> = fc.record({
  kind: fc.constantFrom('topic', 'pattern'),
  access: fc.constantFrom('read', 'write', 'readwrite', 'deny'),
  filter: fileFilter,
});
const topicLevel = fc.constantFrom('a', 'b', 'ann', 'id', '%u', 'xann', '', '$SYS');
const topic = fc
  .array(topicLevel, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((name) => isValidTopicName(name));

/** Written after the manual, with no thought of speed. */
function isAllowed(
  rules: readonly FileRule[],
  username: string | null,
  clientId: string,
  access: 'read' | 'write',
  name: string,
): boolean {
  const says = (kind: 'topic' | 'pattern', isDenied: boolean) =>
    rules.some((rule) => {
      if (rule.kind !== kind || (rule.access === 'deny') !== isDenied) return false;
      if (!isDenied && rule.access !== 'readwrite' && rule.access !== access) return false;
      let { filter } = rule;
      if (kind === 'pattern') {
        if (username === null && filter.includes('%u')) return false;
        const parts = filter.split(/(%u|%c)/);
        filter = parts
          .map((part) => (part === '%u' ? username : part === '%c' ? clientId : part))
          .join('');
      }
      return filter !== '' && matches(filter, name);
    });
  if (says('topic', true)) return false;
  if (says('topic', false)) return true;
  return !says('pattern', true) && says('pattern', false);
}

test('rights are what the manual of the acl_file says, whatever rules there are', () => {
  const names = fc.constantFrom(null, 'ann', 'id', '');
  const ids = fc.constantFrom('id', 'ann', 'other');
  fc.assert(
    fc.property(
      fc.array(fileRule, { maxLength: 20 }),
      names,
      ids,
      topic,
      (rules, user, id, name) => {
        const lines = rules.map(({ kind, access, filter }) => `${kind} ${access} ${filter}`);
        const section = user === null || user === '' ? '' : `user ${user}\n`;
        // An empty name has no section of its own.
        const ownRules = user === '' ? rules.filter(({ kind }) => kind === 'pattern') : rules;
        const rights = rightsOf(tableOf({ aclFile: section + lines.join('\n') }), user, id);
        assert.equal(rights.mayRead(name), isAllowed(ownRules, user, id, 'read', name));
        assert.equal(rights.mayPublish(name), isAllowed(ownRules, user, id, 'write', name));
        // Asked once more, it is the same.
        rights.mayRead('a');
        assert.equal(rights.mayRead(name), isAllowed(ownRules, user, id, 'read', name));
        if (rights.mayRead(name))
          assert.ok(rights.maySubscribe(name) && rights.maySubscribe(`${name}/#`));
      },
    ),
    { numRuns: 3_000 },
  );
});
