import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Flag, flagsHelp, splitArgs } from '../../../src/cli/args.js';

const FLAGS: readonly Flag[] = [
  { name: 'host', short: 'h', placeholder: 'host', summary: 'Host.' },
  { name: 'topic', short: 't', placeholder: 'topic', isRepeatable: true, summary: 'Topic.' },
  { name: 'verbose', short: 'v', summary: 'Says more.' },
];

function valuesOf(...args: string[]): Record<string, readonly string[]> {
  const { values, faults } = splitArgs(FLAGS, args);
  assert.deepEqual(faults, []);
  return Object.fromEntries(values);
}

test('values stand behind a space, an equals sign or the letter itself', () => {
  for (const args of [['--host', 'a'], ['--host=a'], ['-h', 'a'], ['-ha']]) {
    assert.deepEqual(valuesOf(...args), { host: ['a'] });
  }
  assert.deepEqual(valuesOf('-vh', 'a'), { verbose: ['true'], host: ['a'] });
  assert.deepEqual(valuesOf('--verbose=false'), { verbose: ['false'] });
});

test('a repeatable flag keeps all its values in order, another its last', () => {
  assert.deepEqual(valuesOf('-t', 'a', '-h', 'x', '--topic=b', '-h', 'y'), {
    topic: ['a', 'b'],
    host: ['y'],
  });
});

test('a value may look like a flag, and words after -- are no flags', () => {
  assert.deepEqual(valuesOf('--topic', '-5'), { topic: ['-5'] });
  const { values, positionals } = splitArgs(FLAGS, ['-v', '--', '-h', 'a']);
  assert.deepEqual([...values.keys()], ['verbose']);
  assert.deepEqual(positionals, ['-h', 'a']);
});

test('all faults are reported, with the nearest flag', () => {
  const { faults } = splitArgs(FLAGS, ['--hots', 'a', '-z', '--topic']);
  assert.deepEqual(faults, [
    '--hots is no flag; did you mean --host?',
    '-z is no flag',
    '--topic needs a value: <topic>',
  ]);
});

test('a boolean flag is turned off by --no- or by a word behind it', () => {
  const flags = [...FLAGS, { name: 'quick', isBoolean: true, summary: 'Is quick.' }];
  const read = (...args: string[]) => {
    const { values, positionals, faults } = splitArgs(flags, args);
    return [values.get('quick'), positionals, faults];
  };
  for (const args of [['--no-quick'], ['--quick', 'false'], ['--quick=false']]) {
    assert.deepEqual(read(...args), [['false'], [], []]);
  }
  assert.deepEqual(read('--quick', 'TRUE'), [['TRUE'], [], []]);
  assert.deepEqual(read('--quick', 'word'), [['true'], ['word'], []]);
  assert.deepEqual(read('--', '--no-quick'), [undefined, ['--no-quick'], []]);
  // A switch that says what is to be done now has no other state.
  assert.deepEqual(read('--no-verbose'), [
    undefined,
    [],
    ['--no-verbose is no flag; did you mean --verbose?'],
  ]);
});

test('names of Object.prototype are no flags', () => {
  const { values, faults } = splitArgs(FLAGS, ['--constructor', '--__proto__=1']);
  assert.equal(values.size, 0);
  assert.equal(faults.length, 2);
});

test('the help text names letter, name and value, and fits a terminal', () => {
  const long = { name: 'long', summary: `${'word '.repeat(40)}end.` };
  const help = flagsHelp([...FLAGS, long]);
  assert.match(help, /^ {2}-h, --host <host>\n {6}Host\.\n/);
  assert.match(help, / {2}--long\n {6}word/);
  for (const line of help.split('\n')) assert.ok(line.length <= 100, line);
});
