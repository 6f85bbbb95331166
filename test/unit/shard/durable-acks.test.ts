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
  readonly protocolVersion: number;

  constructor(protocolVersion = 4) {
    this.protocolVersion = protocolVersion;
  }

  pause(reason: number): void {
    this.pauses |= reason;
  }

  unpause(reason: number): void {
    this.pauses &= ~reason;
  }
}

/** What holds them, of a shard whose disk is as the journal says. */
function acksWith(journal: object): DurableAcks {
  const takeover = { cutHolds: { areAny: false, mustHold: () => false } };
  const parts = { shardIndex: 0, shardCount: 1, rejects: true, journal, takeover };
  const share = { end() {} };
  const words = createStoreWords();
  return new DurableAcks({ ...parts, share, words } as unknown as DurableAcksParts);
}

// Devices that come, publish and leave again and again would fill the memory, as the store is full
// for as long as the operator lets it be.
test('who has left does not wait in memory for room on the disk', () => {
  const journal = { isFull: false, isFailing: true, appended: 0, durable: 0 };
  const acks = acksWith(journal);
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

// [MQTT 5.0, 3.4.2.1] has a reason code for it, MQTT 3.1.1 only silence.
test('who waits for the disk is told when it is full, if there is a way to', () => {
  const journal = { isFull: true, isFailing: false, appended: 0, durable: 0 };
  const acks = acksWith(journal);
  const [silent, told] = [new Publisher(), new Publisher(5)];
  for (const publisher of [silent, told]) acks.hold(publisher as unknown as Connection);
  acks.onTurn();
  assert.deepEqual([silent.pauses, told.pauses], [Pause.disk, Pause.disk]);
  journal.isFailing = true;
  acks.onTurn();
  assert.deepEqual([silent.pauses, told.pauses], [Pause.disk, 0]);
  assert.equal(acks.heldConnections, 1);
  Object.assign(journal, { isFull: false, isFailing: false });
  acks.onTurn();
  assert.deepEqual([silent.pauses, acks.heldConnections], [0, 0]);
});
