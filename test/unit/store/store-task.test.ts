/** What the store thread tells the primary. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { Environment, type TableName } from '../../../src/store/environment.js';
import {
  BitKind,
  bitsKey,
  endedKey,
  entryKey,
  owedKey,
  sentKey,
  sessionStart,
  subscriptionKey,
} from '../../../src/store/keys.js';
import type { FromStore } from '../../../src/store/store-messages.js';
import { runStore } from '../../../src/store/store-task.js';
import { createStoreWords } from '../../../src/store/store-words.js';
import { within } from '../../support/waiting.js';
import { temporaryFolder } from './temporary-store.js';

/** Of a session that has ended. */
const NUMBER = 1_000;
/** Of one that has the rows before it, and one behind in another kind of the same table. */
const FORMER = 7;

/** By what is left of a session: the table, and the key. */
const LEAVINGS: readonly (readonly [string, TableName, (session: number) => Buffer])[] = [
  ['a subscription', 'subscriptions', (session) => subscriptionKey(session, 'a/b')],
  ['a message', 'queue', (session) => entryKey(session, 5)],
  ['a queue that goes bit by bit', 'doomed', sessionStart],
  ['packet ids of QoS 2', 'bits', (session) => bitsKey(BitKind.incoming, session, 0)],
  ['messages received', 'bits', (session) => bitsKey(BitKind.received, session, 3)],
  ['messages given to others', 'bits', (session) => bitsKey(BitKind.given, session, 0)],
  ['a filter of a replay', 'replays', (session) => owedKey(session, 'a/#')],
  ['a topic of a replay', 'replays', (session) => sentKey(session, 2, 'a/b')],
  ['a replay that goes bit by bit', 'replays', (session) => endedKey(session, null)],
];

/** The first number that a shard gives when the store is opened. */
async function firstNumber(context: TestContext, folder: string): Promise<number> {
  const { port1: primary, port2 } = new MessageChannel();
  const { port1: shard, port2: journal } = new MessageChannel();
  context.after(() => shard.close());
  const messages: FromStore[] = [];
  const next = async () => {
    if (messages.length === 0) await within(once(primary, 'message'), 'the store');
    return messages.shift()!;
  };
  primary.on('message', (message: FromStore) => messages.push(message));
  runStore({ folder, durability: 'none', words: createStoreWords(), bytesMax: 0 }, port2);
  assert.deepEqual(await next(), { kind: 'ready' });
  primary.postMessage({ kind: 'attach', shardIndex: 0, port: journal }, [journal]);
  const attached = await next();
  assert.equal(attached.kind, 'attached');
  primary.postMessage({ kind: 'close' });
  assert.deepEqual(await next(), { kind: 'closed' });
  return (attached as Extract<FromStore, { kind: 'attached' }>).base;
}

// Else that would be another session's.
describe('the number of an ended session is not given again while this is left of it', () => {
  for (const [what, table, keyOf] of LEAVINGS) {
    test(what, async (context) => {
      const folder = temporaryFolder(context);
      const environment = new Environment(folder, 'none');
      environment.transaction(() => {
        for (const [, other, otherKeyOf] of LEAVINGS) {
          environment.tables[other].putSync(otherKeyOf(FORMER), Buffer.from([0]));
        }
        environment.tables[table].putSync(keyOf(NUMBER), Buffer.from([0]));
      });
      await environment.close();
      assert.ok((await firstNumber(context, folder)) > NUMBER);
    });
  }
});
