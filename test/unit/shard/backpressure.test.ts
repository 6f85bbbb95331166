import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';
import { NO_PUBLISHER } from '../../../src/router/router.js';
import { Lag, type Slowdown } from '../../../src/router/slowdown.js';
import { Backpressure } from '../../../src/shard/backpressure.js';
import type { Patience } from '../../../src/shard/patience.js';
import { makeOutlet, type TestOutlet } from '../../support/outlet.js';

const HERE = 1;

function outlet(): TestOutlet {
  return makeOutlet({ isBlocked: true, isHeavy: true, keepsUp: false });
}

describe('back-pressure', () => {
  let pressure: Backpressure;
  /** What publishers of this shard were told: `on|off id how`. */
  let told: string[];
  /** What was sent to other shards: `on|off shard id how`. */
  let sent: string[];

  beforeEach(() => {
    told = [];
    sent = [];
    const send = (kind: number, mask: number, id: number, how: number) => {
      const word = kind === RecordKind.slowDown ? 'on' : 'off';
      sent.push(`${word} ${31 - Math.clz32(mask)} ${id} ${how}`);
    };
    const patience = {
      impatient: new Map(),
      slowDown(from: number, id: number, how: Slowdown, lag: Lag, isOn: boolean) {
        assert.equal(from, HERE);
        told.push(`${isOn ? 'on' : 'off'} ${id} ${how}${lag === Lag.none ? '' : ` lag ${lag}`}`);
      },
    };
    const link = { send } as unknown as PeerLink;
    pressure = new Backpressure(HERE, link, patience as unknown as Patience);
  });

  test('stops reading from publishers of QoS 0 and withholds acks of the others', () => {
    const reader = outlet();
    pressure.onFed(reader, HERE, 5, 0);
    pressure.onFed(reader, HERE, 6, 1);
    pressure.onFed(reader, HERE, 7, 2);
    assert.deepEqual(told, ['on 5 2', 'on 6 1', 'on 7 1']);
    pressure.relieve(reader);
    assert.deepEqual(told.slice(3), ['off 5 2', 'off 6 1', 'off 7 1']);
    assert.equal(reader.feeders, null);
  });

  // What a publisher is known by has its id and how often its shard has died: all in a double.
  test('holds back the publisher with the last id there is, however often its shard dies', () => {
    const last = 2 ** 32 - 1;
    for (let deaths = 0; deaths < 20_000; deaths++) {
      const reader = outlet();
      pressure.onFed(reader, 31, last, 0);
      pressure.onFed(reader, 31, last - 1, 0);
      pressure.relieve(reader);
      assert.deepEqual(sent.splice(0), [
        `on 31 ${last} 2`,
        `on 31 ${last - 1} 2`,
        `off 31 ${last} 2`,
        `off 31 ${last - 1} 2`,
      ]);
      pressure.dropPeer(31);
    }
  });

  test('also stops reading from publishers of QoS 1 that feed an overfull outlet', () => {
    const reader = outlet();
    pressure.onFed(reader, HERE, 6, 1);
    reader.isOverfull = true;
    pressure.onFed(reader, HERE, 6, 1);
    assert.deepEqual(told, ['on 6 1', 'on 6 2']);
    pressure.relieve(reader);
    assert.deepEqual(told.slice(2), ['off 6 1', 'off 6 2']);
  });

  test('says of a reader whether it lags', () => {
    const reader = outlet();
    reader.isLagging = true;
    pressure.onFed(reader, HERE, 5, 0);
    pressure.onFed(reader, 31, 6, 1);
    assert.deepEqual([told, sent], [['on 5 2 lag 2'], ['on 31 6 5']]);
  });

  test('publishers do not go on when a reader that they wait for comes to lag', () => {
    const reader = outlet();
    pressure.onFed(reader, HERE, 5, 0);
    pressure.onFed(reader, 31, 6, 1);
    pressure.lag(reader);
    assert.deepEqual(told, ['on 5 2', 'on 5 2 lag 1', 'off 5 2']);
    assert.deepEqual(sent, ['on 31 6 1', 'on 31 6 13', 'off 31 6 1']);
    reader.isLagging = true;
    pressure.onFed(reader, HERE, 5, 0);
    pressure.relieve(reader);
    assert.deepEqual([told[3], sent[3]], ['off 5 2 lag 2', 'off 31 6 5']);
  });

  test('says it once a reader, whatever is published', () => {
    const reader = outlet();
    for (let run = 0; run < 3; run++) pressure.onFed(reader, HERE, 5, 0);
    assert.deepEqual(told, ['on 5 2']);
    pressure.relieve(reader);
    pressure.relieve(reader);
    assert.deepEqual(told, ['on 5 2', 'off 5 2']);
  });

  test('lets a publisher go on when the last of its readers is relieved', () => {
    const readers = [outlet(), outlet(), outlet()];
    for (const reader of readers) pressure.onFed(reader, HERE, 5, 0);
    pressure.relieve(readers[1]);
    pressure.relieve(readers[0]);
    assert.deepEqual(told, ['on 5 2']);
    pressure.relieve(readers[2]);
    assert.deepEqual(told, ['on 5 2', 'off 5 2']);
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
