/** A whole shard in this thread, with a peer that is a bare link. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { unpackInterestChange } from '../../../src/router/interest.js';
import { RecordKind } from '../../../src/router/records.js';
import { createRing } from '../../../src/router/ring.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { eventually } from '../../support/waiting.js';
import { makePeer, makeShard, RING_BYTES } from './whole-shard.js';

const LIMITS = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1 };

describe('a shard', () => {
  // The primary sends the successor clients then: what they publish must find this shard's
  // subscribers.
  test('has welcomed a successor when that has confirmed all filters', async (context) => {
    const whole = await makeShard();
    context.after(() => whole.close());
    const { shard, rings, fds } = whole;
    const told = () => whole.said.splice(0).map(({ kind }) => kind);
    shard.dropPeer(1);
    const session = new Session('c', true, 4, 1, LIMITS, new AbsentQueues());
    shard.registry.subscribe(session, [['a/+', 1]], () => {});
    rings[1] = createRing(RING_BYTES);
    const successor = makePeer(whole);
    shard.welcomePeer(1, rings[1], fds[1]);
    const announced: string[] = [];
    const changes: number[] = [];
    const onRecord = (...[, kind, number, , , , buffer, start, end]: RecordWords): void => {
      if (kind !== RecordKind.interest) return;
      announced.push(...unpackInterestChange(buffer, start, end).added);
      changes.push(number);
    };
    await eventually(() => successor.drain({ onRecord }, RING_BYTES) > 0, 'filters');
    assert.deepEqual(announced, ['a/+']);
    assert.ok(!told().includes('peer-welcomed'));
    for (const number of changes) {
      const none = Buffer.alloc(0);
      successor.send(RecordKind.interestConfirmed, 1, number, 0, 0, 0, none, 0, 0);
    }
    successor.flush();
    shard.turn.schedule();
    await eventually(() => told().includes('peer-welcomed'), 'the welcome to be told');
  });
});

type RecordWords = [number, number, number, number, number, number, Buffer, number, number];
