/** SCRAM-SHA-256 for authenticators. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scramSha256Exchange } from '../../../src/access/scram-exchange.js';
import { ScramClient } from '../../../src/base/scram.js';

async function firstAnswer(username: string, nonce: string): Promise<string> {
  const exchange = scramSha256Exchange(() => null);
  const { data } = await exchange.continue(new ScramClient(username, 'x', nonce).first());
  return Buffer.from(data!)
    .toString()
    .replace(/^r=[^,]*/, '');
}

test('a user that there is not has the same salt each time, and another than others', async () => {
  assert.equal(await firstAnswer('nobody', 'abc'), await firstAnswer('nobody', 'def'));
  assert.notEqual(await firstAnswer('nobody', 'abc'), await firstAnswer('somebody', 'abc'));
});

test('what is no SCRAM is refused', async () => {
  const exchange = scramSha256Exchange(() => null);
  assert.deepEqual(await exchange.continue(null), { result: 'refuse' });
  assert.deepEqual(await exchange.continue(Buffer.from('c=biws')), { result: 'refuse' });
});

test('a list of users that fails is no refusal', async () => {
  const exchange = scramSha256Exchange(() => Promise.reject(new Error('no directory')));
  await assert.rejects(
    async () => exchange.continue(new ScramClient('ada', 'x').first()),
    /no directory/,
  );
});
