import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';
import { NO_PUBLISHER } from '../../../src/router/router.js';
import { Slowdown } from '../../../src/router/slowdown.js';
import type { Outlet } from '../../../src/sessions/session.js';
import { Backpressure } from '../../../src/shard/backpressure.js';

const HERE = 1;

/** Outlet flags that a test may set. */
interface TestOutlet extends Outlet {
  isStalled: boolean;
  isOverfull: boolean;
}

function outlet(): TestOutlet {
  return {
    isStalled: false,
    isBlocked: true,
    isHeavy: true,
    isOverfull: false,
    feeders: null,
    append() {},
    wake() {},
    closeConnection() {},
  };
}

describe('back-pressure', () => {
  let pressure: Backpressure;
  /** What publishers of this shard were told: `id how shards`. */
  let told: string[];
  /** What was sent to other shards: `on|off shard id how`. */
  let sent: string[];
  let isGone: boolean;

  beforeEach(() => {
    told = [];
    sent = [];
    isGone = false;
    const send = (kind: number, mask: number, id: number, how: number) => {
      const word = kind === RecordKind.slowDown ? 'on' : 'off';
      sent.push(`${word} ${31 - Math.clz32(mask)} ${id} ${how}`);
    };
    const publisher = (id: number) => ({
      slowDown: (how: Slowdown, shards: number) => void told.push(`${id} ${how} ${shards}`),
    });
    const find = (id: number) => (isGone ? undefined : publisher(id));
    pressure = new Backpressure(HERE, { send } as unknown as PeerLink, find);
  });

  test('stops reading from publishers of QoS 0 and withholds acks of the others', () => {
    const reader = outlet();
    pressure.onFed(reader, HERE, 5, 0);
    pressure.onFed(reader, HERE, 6, 1);
    pressure.onFed(reader, HERE, 7, 2);
    assert.deepEqual(told, ['5 2 2', '6 1 2', '7 1 2']);
    pressure.relieve(reader);
    assert.deepEqual(told.slice(3), ['5 2 0', '6 1 0', '7 1 0']);
    assert.equal(reader.feeders, null);
  });

  test('also stops reading from publishers of QoS 1 that feed an overfull outlet', () => {
    const reader = outlet();
    pressure.onFed(reader, HERE, 6, 1);
    reader.isOverfull = true;
    pressure.onFed(reader, HERE, 6, 1);
    assert.deepEqual(told, ['6 1 2', '6 2 2']);
    pressure.relieve(reader);
    assert.deepEqual(told.slice(2), ['6 1 0', '6 2 0']);
  });

  test('says it once a reader, whatever is published', () => {
    const reader = outlet();
    for (let run = 0; run < 3; run++) pressure.onFed(reader, HERE, 5, 0);
    assert.deepEqual(told, ['5 2 2']);
    pressure.relieve(reader);
    pressure.relieve(reader);
    assert.deepEqual(told, ['5 2 2', '5 2 0']);
  });

  test('lets a publisher go on when the last of its readers is relieved', () => {
    const readers = [outlet(), outlet(), outlet()];
    for (const reader of readers) pressure.onFed(reader, HERE, 5, 0);
    pressure.relieve(readers[1]);
    pressure.relieve(readers[0]);
    assert.deepEqual(told, ['5 2 2']);
    pressure.relieve(readers[2]);
    assert.deepEqual(told, ['5 2 2', '5 2 0']);
  });

  test('nobody waits for a stalled reader, and nobody can wait in the name of a will', () => {
    const reader = outlet();
    pressure.onFed(reader, HERE, NO_PUBLISHER, 0);
    reader.isStalled = true;
    pressure.onFed(reader, HERE, 5, 0);
    assert.deepEqual(told, []);
    assert.equal(reader.feeders, null);
  });

  test('tells the shard of a publisher that is elsewhere', () => {
    const reader = outlet();
    const id = 0xffff_fff0;
    pressure.onFed(reader, 31, id, 0);
    pressure.onFed(reader, 0, id, 1);
    assert.deepEqual(sent, [`on 31 ${id} 2`, `on 0 ${id} 1`]);
    pressure.relieve(reader);
    assert.deepEqual(sent.slice(2), [`off 31 ${id} 2`, `off 0 ${id} 1`]);
    assert.deepEqual(told, []);
  });

  test('a publisher held back by several shards goes on when the last lets it', () => {
    pressure.slowDown(0, 5, Slowdown.stopReading, true);
    pressure.slowDown(31, 5, Slowdown.stopReading, true);
    pressure.slowDown(0, 5, Slowdown.stopReading, false);
    pressure.slowDown(31, 5, Slowdown.stopReading, false);
    const both = (1 << 31) | 1;
    assert.deepEqual(told, ['5 2 1', `5 2 ${both}`, `5 2 ${1 << 31}`, '5 2 0']);
  });

  test('a publisher that was forgotten begins anew', () => {
    pressure.slowDown(0, 5, Slowdown.holdAcks, true);
    pressure.forget(5);
    pressure.slowDown(2, 5, Slowdown.holdAcks, true);
    assert.deepEqual(told, ['5 1 1', '5 1 4']);
    isGone = true;
    pressure.slowDown(2, 5, Slowdown.holdAcks, false);
    assert.equal(told.length, 2);
  });

  test('publishers here do not wait for a shard that died', () => {
    pressure.slowDown(0, 5, Slowdown.stopReading, true);
    pressure.slowDown(2, 5, Slowdown.stopReading, true);
    pressure.slowDown(2, 6, Slowdown.holdAcks, true);
    told.length = 0;
    pressure.dropPeer(2);
    assert.deepEqual(told.sort(), ['5 2 1', '6 1 0']);
  });

  test('a reader holds nobody back in the name of a shard that died', () => {
    const reader = outlet();
    pressure.onFed(reader, 2, 5, 0);
    pressure.dropPeer(2);
    pressure.relieve(reader);
    assert.deepEqual(sent, ['on 2 5 2']);
  });

  // Connections are numbered from 1 by every shard: the successor's have the same ids.
  test('a publisher of the successor is another one than that of the dead shard', () => {
    const older = outlet();
    const newer = outlet();
    pressure.onFed(older, 2, 5, 0);
    pressure.dropPeer(2);
    pressure.onFed(newer, 2, 5, 0);
    pressure.onFed(older, 2, 5, 0);
    assert.deepEqual(sent, ['on 2 5 2', 'on 2 5 2']);
    pressure.relieve(older);
    assert.equal(sent.length, 2, 'the newer reader still needs it to wait');
    pressure.relieve(newer);
    assert.deepEqual(sent.slice(2), ['off 2 5 2']);
  });
});
