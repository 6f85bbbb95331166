/** What a shard tells the primary: when, in which order, and in how many pieces. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { ToPrimary } from '../../../src/shard/control.js';
import { PrimaryLine } from '../../../src/shard/primary-line.js';

const CLAIM = { claim: 1, clientId: 'c', discard: false, isKept: false, user: null };

describe('what a shard tells the primary', () => {
  let posted: string[][];
  let scheduled: number;
  let line: PrimaryLine;

  beforeEach(() => {
    posted = [];
    scheduled = 0;
    const postMessage = (messages: readonly ToPrimary[]) =>
      posted.push(messages.map(({ kind }) => kind));
    line = new PrimaryLine({ postMessage } as never, 'info', () => {
      scheduled++;
    });
  });

  // To wake the primary takes 30 us: a connection had it woken five times.
  test('goes in one piece at the end of the turn', () => {
    line.isWatched = true;
    line.settled(1);
    line.log('info', {}, 'client connected');
    line.event('connected', 'c');
    line.claim(CLAIM);
    line.dropped(2);
    assert.deepEqual(posted, []);
    assert.ok(scheduled > 0);
    assert.equal(line.hasCollected, true);
    line.flush();
    assert.deepEqual(posted, [['log', 'event', 'dropped', 'settled', 'claims']]);
    assert.equal(line.hasCollected, false);
    line.flush();
    assert.equal(posted.length, 1);
  });

  // It may be why the shard ends.
  test('goes at once where it is a warning, behind the lines before it', () => {
    line.log('info', {}, 'client connected');
    line.log('warn', {}, 'something is wrong');
    assert.deepEqual(posted, [['log', 'log']]);
  });

  // Who claims the client id next comes behind what was published: that is on the ring by then.
  test('does not say what belongs to the end of a turn before that', () => {
    line.claim(CLAIM);
    line.dropped(2);
    line.say({ kind: 'quiesced' });
    assert.deepEqual(posted, [['quiesced']]);
    line.flush();
    assert.deepEqual(posted, [['quiesced'], ['dropped', 'claims']]);
  });
});
