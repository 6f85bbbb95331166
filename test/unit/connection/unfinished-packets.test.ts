import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/base/config.js';
import { UNFINISHED_SMALL_BYTES } from '../../../src/base/limits.js';
import {
  type UnfinishedHolder,
  UnfinishedPackets,
  unfinishedShare,
} from '../../../src/connection/unfinished-packets.js';

const KIB = 1024;
const MIB = KIB * KIB;

class Holder implements UnfinishedHolder {
  unfinishedBytes = 0;
  unfinishedMark = 0;
  isClosed = false;
  closeUnfinished(): void {
    this.isClosed = true;
  }
}

describe('unfinished packets', () => {
  test('beyond the total take away the one that has not grown for longest', () => {
    const packets = new UnfinishedPackets(300 * KIB);
    const [early, quiet, dripping, late] = Array.from({ length: 4 }, () => new Holder());
    packets.note(early, 64 * KIB, 64 * KIB);
    packets.note(dripping, 60 * KIB, 80 * KIB);
    packets.note(quiet, 50 * KIB, 64 * KIB);
    packets.note(early, 100 * KIB, 128 * KIB);
    for (let more = 1; more < KIB; more++) packets.note(dripping, 60 * KIB + more, 80 * KIB);
    const closed = () => [early, quiet, dripping, late].map(({ isClosed }) => isClosed);
    packets.note(late, 28 * KIB, 28 * KIB);
    assert.deepEqual(closed(), [false, false, false, false]);
    packets.note(late, 50 * KIB, 56 * KIB);
    assert.deepEqual(closed(), [false, false, true, false]);
    assert.equal(packets.bytes, (128 + 64 + 56) * KIB);
    packets.note(late, 110 * KIB, 112 * KIB);
    assert.deepEqual(closed(), [false, true, true, false]);
    for (const each of [early, early, late]) packets.letGo(each);
    assert.equal(packets.bytes, 0);
  });

  test('may be as large as one of them is when there is no other', () => {
    const packets = new UnfinishedPackets(100 * KIB);
    const [one, other] = [new Holder(), new Holder()];
    packets.note(one, 200 * KIB, 200 * KIB);
    assert.equal(one.isClosed, false);
    packets.note(other, 50 * KIB, 50 * KIB);
    assert.deepEqual([one.isClosed, other.isClosed], [true, false]);
    assert.equal(packets.bytes, 50 * KIB);
  });

  test('do not count while they are small', () => {
    const packets = new UnfinishedPackets(0);
    for (let n = 0; n < 1_000; n++) packets.note(new Holder(), n, UNFINISHED_SMALL_BYTES);
    assert.equal(packets.bytes, 0);
  });

  test('may take a share of what may be queued, but at least one packet a shard', () => {
    const shareOf = (maxQueuedTotalBytes: number, maxPacketBytes: number, workers: number) =>
      unfinishedShare(loadConfig({ maxQueuedTotalBytes, maxPacketBytes }, {}, {}).config, workers);
    assert.equal(shareOf(1024 * MIB, MIB, 2), 128 * MIB);
    assert.equal(shareOf(0, MIB, 2), MIB);
    assert.equal(shareOf(1024 * MIB, 200 * MIB, 4), 200 * MIB);
  });
});
