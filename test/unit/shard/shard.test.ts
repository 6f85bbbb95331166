/** A whole shard in this thread, with a peer that is a bare link. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Connection } from '../../../src/connection/connection.js';
import { encodePublish } from '../../../src/protocol/publish-frame.js';
import { unpackInterestChange } from '../../../src/router/interest.js';
import { RecordKind } from '../../../src/router/records.js';
import { createRing } from '../../../src/router/ring.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { dropPeer, welcomePeer } from '../../../src/shard/peers.js';
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
    dropPeer(shard, 1);
    const session = new Session('c', 0, 4, 1, LIMITS, new AbsentQueues());
    shard.registry.subscribe(session, [['a/+', 1]], () => {});
    rings[1] = createRing(RING_BYTES);
    const successor = makePeer(whole);
    welcomePeer(shard, 1, rings[1], fds[1]);
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

describe('a filter that is subscribed to', () => {
  // A client may publish to it from another connection without waiting for the SUBACK.
  test('is announced behind the read, before the turn ends, and once a turn', async (context) => {
    const whole = await makeShard();
    context.after(() => whole.close());
    const { shard } = whole;
    const peer = makePeer(whole);
    const connection = {} as Connection;
    const session = new Session('c', 0, 4, 1, LIMITS, new AbsentQueues());
    const announced: string[] = [];
    const onRecord = (...[, kind, , , , , buffer, start, end]: RecordWords): void => {
      if (kind !== RecordKind.interest) return;
      announced.push(...unpackInterestChange(buffer, start, end).added);
    };
    const drain = () => peer.drain({ onRecord }, RING_BYTES);
    const read = (filterKey: string) => {
      shard.subscribe(session, [[filterKey, 0]], [], () => {});
      shard.afterRead(connection);
    };
    drain();
    read('a');
    assert.equal(peer.hasNews, true, 'a shard that reads something looks first');
    drain();
    assert.deepEqual(announced, ['a']);
    read('b');
    drain();
    assert.deepEqual(announced, ['a']);
    await eventually(() => drain() > 0 && announced.includes('b'), 'the end of the turn');
    read('c');
    drain();
    assert.deepEqual(announced, ['a', 'b', 'c']);
  });
});

describe('a shard whose peer has died', () => {
  // [MQTT-4.3.2-2]: the peer may have acknowledged it.
  test('hands over what the peer had shown, and nothing that it had not', async (context) => {
    const whole = await makeShard();
    context.after(() => whole.close());
    const { shard } = whole;
    const limits = { maxInflight: 1, maxQueuedMessages: 10_000, maxQueuedBytes: 10_000_000 };
    const session = new Session('c', Number.POSITIVE_INFINITY, 4, 1, limits, new AbsentQueues());
    shard.registry.subscribe(session, [['t', 1]], () => {});
    const peer = makePeer(whole);
    const frame = encodePublish('t', Buffer.alloc(1_000), 0x32, 1);
    const send = () => peer.send(RecordKind.run, 1, 7, 0x32, 1, 1, frame, 0, frame.length);
    const shown = 30;
    for (let n = 0; n < shown; n++) send();
    peer.flush();
    send();
    dropPeer(shard, 1);
    assert.equal(session.window?.queuedMessages, shown);
  });

  test('does not wait for one that writes on', async (context) => {
    const whole = await makeShard();
    context.after(() => whole.close());
    const { shard } = whole;
    const peer = makePeer(whole);
    const frame = encodePublish('t', Buffer.alloc(1_000), 0x32, 1);
    shard.topics.subscribe(
      't',
      new Session('c', Number.POSITIVE_INFINITY, 4, 1, LIMITS, new AbsentQueues()),
      1,
    );
    let written = 0;
    const write = () => {
      peer.send(RecordKind.run, 1, 7, 0x32, 1, 1, frame, 0, frame.length);
      peer.flush();
      written++;
    };
    write();
    const { onRunRecord } = shard.router;
    shard.router.onRunRecord = (...run) => {
      write();
      return onRunRecord.apply(shard.router, run);
    };
    dropPeer(shard, 1);
    assert.ok(written > 1);
    shard.router.onRunRecord = onRunRecord;
  });
});

type RecordWords = [number, number, number, number, number, number, Buffer, number, number];
