import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSessionStore } from '../../../src/sessions/session-store.js';

test('the shipped provider keeps sessions by client id', async () => {
  const store = await createSessionStore<object>('mem');
  const [one, two] = [{}, {}];
  store.set('one', one);
  store.set('two', {});
  store.set('two', two);
  assert.equal(store.count, 2);
  assert.equal(store.get('one'), one);
  assert.equal(store.get('two'), two);
  assert.equal(store.get('three'), undefined);
  assert.deepEqual(
    [...store.entries()],
    [
      ['one', one],
      ['two', two],
    ],
  );
  assert.equal(store.delete('one'), true);
  assert.equal(store.delete('one'), false);
  assert.equal(store.get('one'), undefined);
  await store.close();
});

test('very long client ids of one length are told apart, and come back whole', async () => {
  const store = await createSessionStore<number>('mem');
  const ids = ['a', 'b', 'c'].map((last) => `${'x'.repeat(65_534)}${last}`);
  for (const [at, id] of ids.entries()) store.set(id, at);
  assert.equal(store.count, 3);
  assert.deepEqual(
    ids.map((id) => store.get(id)),
    [0, 1, 2],
  );
  assert.equal(store.delete(ids[1]), true);
  assert.equal(store.get(ids[1]), undefined);
  const left = [...store.entries()];
  assert.ok(left[0][0] === ids[0] && left[1][0] === ids[2] && left.length === 2);
});

test('each store is its own', async () => {
  const [first, second] = [
    await createSessionStore<number>('mem'),
    await createSessionStore<number>('mem'),
  ];
  first.set('a', 1);
  assert.equal(second.count, 0);
});

test('client ids that are names of object members are ordinary', async () => {
  const store = await createSessionStore<number>('mem');
  assert.equal(store.get('__proto__'), undefined);
  store.set('__proto__', 1);
  store.set('constructor', 2);
  assert.deepEqual([store.get('__proto__'), store.get('constructor'), store.count], [1, 2, 2]);
});

test('a session may be deleted while all are walked', async () => {
  const store = await createSessionStore<number>('mem');
  for (let n = 0; n < 10; n++) store.set(`c${n}`, n);
  const seen: number[] = [];
  for (const [clientId, n] of store.entries()) {
    seen.push(n);
    store.delete(clientId);
  }
  assert.equal(seen.length, 10);
  assert.equal(store.count, 0);
});
