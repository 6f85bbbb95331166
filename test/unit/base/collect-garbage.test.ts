import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { collectGarbage } from '../../../src/base/collect-garbage.js';
import { trimMemory } from '../../../src/base/libc.js';

test('garbage is collected when asked for, and nobody else finds a way to ask', async () => {
  const forgotten = new WeakRef({});
  // What was made in this turn is kept until its end.
  await nextTurn();
  assert.equal(collectGarbage(), true);
  assert.equal(forgotten.deref(), undefined);
  assert.equal('gc' in globalThis, false);
});

test('what is free can be returned to the system at any time', () => {
  trimMemory();
  trimMemory();
});
