import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../../src/base/errors.js';
import { Registry } from '../../../src/base/registry.js';

type Factory = (size: number) => { readonly size: number };

function registry(): Registry<Factory> {
  const made = new Registry<Factory>('box provider');
  made.register('plain', (size) => ({ size }));
  return made;
}

/** A module whose text is its own specifier. */
function moduleOf(text: string): string {
  return `data:text/javascript,${encodeURIComponent(text)}`;
}

/** One ConfigError with one line that fits. */
function isOneLine(pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.faults.length, 1);
    assert.match(error.message, pattern);
    assert.ok(!error.message.includes('\n'), error.message);
    return true;
  };
}

test('a registered factory is found by its name', async () => {
  const boxes = registry();
  assert.deepEqual(boxes.names, ['plain']);
  assert.deepEqual(await boxes.create('plain', (factory) => factory(3)), { size: 3 });
});

test('a name is registered once, and only for a function', () => {
  const boxes = registry();
  assert.throws(
    () => boxes.register('plain', (size) => ({ size })),
    /"plain" is already registered/,
  );
  assert.throws(() => boxes.register('', (size) => ({ size })), /needs a name/);
  for (const factory of [null, undefined, {}, 'plain']) {
    assert.throws(() => boxes.register('other', factory as never), /"other" is no function/);
  }
  assert.deepEqual(boxes.names, ['plain']);
});

test('what is no name is a module, and its default export the factory', async () => {
  const boxes = registry();
  const specifier = moduleOf('export default async (size) => ({ size: size + 1 });');
  assert.deepEqual(await boxes.create(specifier, (factory) => factory(3)), { size: 4 });
});

test('no module, no default export and a factory that fails are one line each', async () => {
  const boxes = registry();
  const make = (factory: Factory) => factory(3);
  const missing = [
    ['plane', /^box provider "plane" is neither plain nor a module: Cannot find package 'plane'/],
    ['./no-such.js', /^box provider "\.\/no-such\.js" is neither plain nor a module: Cannot find/],
    [moduleOf('throw new Error("one\\ntwo")'), / nor a module: one$/],
    [moduleOf('export const other = 1;'), /: its default export is no function$/],
    [moduleOf('export default () => { throw new Error("no room\\nat all"); };'), /: no room$/],
    [moduleOf('export default async () => { throw "no room"; };'), / failed to start: no room$/],
  ] as const;
  for (const [specifier, pattern] of missing) {
    await assert.rejects(boxes.create(specifier, make), isOneLine(pattern));
  }
});
