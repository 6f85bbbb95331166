/** The function of a program, asked for shards that may die meanwhile. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ProgramAuthentication } from '../../../src/primary/program-authentication.js';
import type { AuthenticationAnswer, AuthenticationQuestion } from '../../../src/shard/control.js';
import { ProgramAuthenticator } from '../../../src/shard/program-authenticator.js';

const WHO = {
  ...{ username: null, password: null },
  ...{ remoteAddress: '', listener: '', certificate: null },
};

describe('the function of a program', () => {
  const question = (id: number): AuthenticationQuestion => ({ id, clientId: `c${id}`, ...WHO });

  test('has what it answers in a turn sent together', async () => {
    const posts: [number, readonly AuthenticationAnswer[]][] = [];
    const authentication = new ProgramAuthentication(
      ({ clientId }) => (clientId === 'c1' ? true : Promise.resolve(clientId === 'c2')),
      (...post) => posts.push(post),
    );
    authentication.ask(0, [question(1), question(2)]);
    authentication.ask(1, [question(3)]);
    await nextTurn();
    await nextTurn();
    assert.deepEqual(posts, [
      [
        0,
        [
          { id: 1, verdict: true },
          { id: 2, verdict: true },
        ],
      ],
      [1, [{ id: 3, verdict: false }]],
    ]);
  });

  test('has no answer sent to the successor of the shard that asked', async () => {
    const posts: number[] = [];
    let answer = (_: boolean): void => {};
    const authentication = new ProgramAuthentication(
      () => new Promise((resolve) => (answer = resolve)),
      (shardIndex) => posts.push(shardIndex),
    );
    authentication.ask(1, [question(1)]);
    authentication.shardDied(1);
    answer(true);
    await nextTurn();
    await nextTurn();
    assert.deepEqual(posts, []);
    authentication.ask(1, [question(1)]);
    answer(true);
    await nextTurn();
    await nextTurn();
    assert.deepEqual(posts, [1]);
  });
});

describe("a shard's questions to the program", () => {
  const credentials = { clientId: 'c', ...WHO };

  test('are settled by their answers, and those that nobody answers are forgotten', async () => {
    const clock = { now: 0 };
    const ids: number[] = [];
    const ask = ({ id }: AuthenticationQuestion): void => void ids.push(id);
    const authenticator = new ProgramAuthenticator({ ask }, clock, 1_000);
    const first = authenticator.authenticate(credentials);
    const second = authenticator.authenticate(credentials);
    authenticator.onAnswers([
      { id: ids[1], fault: 'no directory' },
      { id: ids[0], verdict: true },
      { id: 77, verdict: true },
    ]);
    assert.equal(await first, true);
    await assert.rejects(second, /no directory/);
    for (let n = 0; n < 100; n++) {
      void authenticator.authenticate(credentials);
      clock.now += 100;
    }
    assert.ok(authenticator.waiting <= 22, `${authenticator.waiting} are kept`);
  });
});
