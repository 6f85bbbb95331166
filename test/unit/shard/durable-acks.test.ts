/** Whoever publishes what cannot be kept on disk waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Connection, Pause } from '../../../src/connection/connection.js';
import { DurableAcks, type DurableAcksParts } from '../../../src/shard/durable-acks.js';
import { createStoreWords } from '../../../src/store/store-words.js';

/** A connection, as far as it is held. */
class Publisher {
  pauses = 0;
  isClosed = false;

  pause(reason: number): void {
    this.pauses |= reason;
  }

  unpause(reason: number): void {
    this.pauses &= ~reason;
  }
}

// Devices that come, publish and leave again and again would fill the memory, as the store is full
// for as long as the operator lets it be.
test('who has left does not wait in memory for room on the disk', () => {
  const journal = { isFull: false, isFailing: true, appended: 0, durable: 0 };
  const takeover = { cutHolds: { areAny: false, mustHold: () => false } };
  const parts = { shardIndex: 0, shardCount: 1, rejects: true, journal, takeover };
  const share = { end() {} };
  const acks = new DurableAcks({
    ...parts,
    share,
    words: createStoreWords(),
  } as unknown as DurableAcksParts);
  const [left, stays] = [new Publisher(), new Publisher()];
  for (const publisher of [left, stays]) acks.hold(publisher as unknown as Connection);
  left.isClosed = true;
  acks.forget(left as unknown as Connection);
  assert.equal(acks.heldConnections, 1);
  acks.onTurn();
  assert.equal(stays.pauses, Pause.disk);
  journal.isFailing = false;
  acks.onTurn();
  assert.equal(stays.pauses, 0);
  assert.equal(acks.heldConnections, 0);
});
