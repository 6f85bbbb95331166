import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  PENDING_ACKS_MAX,
  type PendingAck,
  PendingAcks,
} from '../../../src/client/pending-acks.js';

const item = (): PendingAck => ({ packetId: 0, sequence: 0 });

test('packet ids are given out from 1 upwards and 0 is never used', () => {
  // [MQTT-2.3.1-1]
  const acks = new PendingAcks<PendingAck>();
  const ids: number[] = [];
  for (let i = 0; i < 65_540; i++) {
    const one = item();
    acks.add(one);
    ids.push(one.packetId);
    acks.remove(one);
  }
  assert.deepEqual(ids.slice(0, 3), [1, 2, 3]);
  assert.deepEqual(ids.slice(65_533), [65_534, 65_535, 1, 2, 3, 4, 5]);
});

test('an id that is in use is not given out again', () => {
  // [MQTT-2.3.1-2]
  const acks = new PendingAcks<PendingAck>();
  const stuck = [item(), item(), item()];
  for (const one of stuck) acks.add(one);
  for (let i = 0; i < 200_000; i++) {
    const one = item();
    acks.add(one);
    assert(one.packetId < 1 || one.packetId > 3, `id ${one.packetId} is in use`);
    acks.remove(one);
  }
  for (const one of stuck) assert.equal(acks.get(one.packetId), one);
});

test('as many can wait as the table allows, all under different ids', () => {
  const acks = new PendingAcks<PendingAck>();
  const ids = new Set<number>();
  for (let i = 0; i < PENDING_ACKS_MAX; i++) {
    const one = item();
    acks.add(one);
    ids.add(one.packetId);
    assert.equal(acks.get(one.packetId), one);
  }
  assert.equal(ids.size, PENDING_ACKS_MAX);
  assert(!ids.has(0));
  assert.throws(() => acks.add(item()), /invariant/);
});

test('nothing is found under an id that shares its low bits with one in use', () => {
  const acks = new PendingAcks<PendingAck>();
  const one = item();
  acks.add(one);
  assert.equal(acks.get(one.packetId + 16), null);
  assert.equal(acks.get(one.packetId), one);
  acks.remove(one);
  assert.equal(acks.get(one.packetId), null);
});

test('what waits is listed in the order it was added, also when ids have wrapped', () => {
  const acks = new PendingAcks<PendingAck>();
  acks.startAt(65_530);
  const stuck = item();
  acks.add(stuck);
  const added = [stuck];
  for (let i = 0; i < 40; i++) {
    const one = item();
    acks.add(one);
    if (i % 3 === 0) acks.remove(one);
    else added.push(one);
  }
  assert.deepEqual(acks.inOrder(), added);
  assert(added[1].packetId > added.at(-1)!.packetId, 'ids have wrapped');
});
