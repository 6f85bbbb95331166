import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ADDRESS_PLACES } from '../../../src/base/limits.js';
import {
  AddressLimits,
  TOO_HIGH_RATE,
  TOO_HIGH_TOTAL_RATE,
  TOO_MANY_CONNECTIONS,
} from '../../../src/transport/address-limits.js';
import { AddressTable, NO_PLACE } from '../../../src/transport/address-table.js';
import { aheadOf, dueAfterOneMore } from '../../../src/transport/connect-rate.js';

const CLIENT = '198.51.100.7';
const SECOND = 1_000_000;

function makeLimits(
  values: { connections?: number; rate?: number; total?: number },
  { shardCount = 2, places = 1024 } = {},
) {
  const memory = AddressTable.createMemory(shardCount, places);
  const limits = {
    maxConnectionsPerAddress: values.connections ?? 0,
    connectRatePerAddress: values.rate ?? 0,
    connectRate: values.total ?? 0,
  };
  /** Each call another thread's. */
  return () => new AddressLimits(memory, shardCount, limits);
}

describe('AddressLimits', () => {
  it('counts the connections of an address over all threads', () => {
    const thread = makeLimits({ connections: 2 });
    const [primary, shard0, shard1] = [thread(), thread(), thread()];
    const first = primary.enter(CLIENT, 0);
    const second = shard1.enter(`::ffff:${CLIENT}`, 1);
    assert.ok(first >= 0 && first === second);
    assert.equal(primary.enter(CLIENT, 0), TOO_MANY_CONNECTIONS);
    assert.equal(shard0.enter(CLIENT, 0), TOO_MANY_CONNECTIONS);
    assert.ok(primary.enter('198.51.100.8', 0) >= 0, 'another address');
    shard0.leave(first, 0);
    assert.ok(primary.enter(CLIENT, 1) >= 0);
    assert.equal(primary.enter(CLIENT, 1), TOO_MANY_CONNECTIONS);
  });

  it('gives back what a dead shard had', () => {
    const limits = makeLimits({ connections: 3 })();
    for (const shard of [0, 1, 1]) assert.ok(limits.enter(CLIENT, shard) >= 0);
    limits.forgetShard(1);
    for (const shard of [0, 1]) assert.ok(limits.enter(CLIENT, shard) >= 0);
    assert.equal(limits.enter(CLIENT, 0), TOO_MANY_CONNECTIONS);
  });

  it('has no limits for this machine, nor where none is set', () => {
    const limits = makeLimits({ connections: 1, rate: 1 })();
    for (const address of ['127.0.0.1', '::1', '', 'no address']) {
      for (let times = 0; times < 3; times++) assert.equal(limits.enter(address, 0), NO_PLACE);
    }
    const none = makeLimits({})();
    for (let times = 0; times < 3; times++) assert.equal(none.enter(CLIENT, 0), NO_PLACE);
    none.leave(NO_PLACE, 0);
    assert.equal(none.areAny, false);
  });

  it('lets in so many a second, a whole second of them at once', () => {
    const thread = makeLimits({ rate: 4 });
    const [primary, shard] = [thread(), thread()];
    let now = 0x7fff_fff0 | 0;
    for (let times = 0; times < 2; times++) {
      assert.ok(primary.enter(CLIENT, 0, now) >= 0);
      assert.ok(shard.enter(CLIENT, 1, now) >= 0);
    }
    assert.equal(primary.enter(CLIENT, 0, now), TOO_HIGH_RATE);
    now = (now + SECOND / 4) | 0;
    assert.ok(primary.enter(CLIENT, 0, now) >= 0, 'a quarter of a second later, past the wrap');
    assert.equal(shard.enter(CLIENT, 0, now), TOO_HIGH_RATE);
    now = (now + 10 * SECOND) | 0;
    for (let times = 0; times < 4; times++) assert.ok(primary.enter(CLIENT, 0, now) >= 0);
    assert.equal(primary.enter(CLIENT, 0, now), TOO_HIGH_RATE, 'nothing is saved up');
  });

  it('lets in so many a second of all addresses, of which those refused take none', () => {
    const thread = makeLimits({ connections: 1, total: 3 });
    const [primary, shard] = [thread(), thread()];
    assert.ok(primary.enter('10.0.0.1', 0, 0) >= 0);
    for (let times = 0; times < 9; times++) {
      assert.equal(primary.enter('10.0.0.1', 0, 0), TOO_MANY_CONNECTIONS);
    }
    assert.equal(primary.enter('127.0.0.1', 0, 0), NO_PLACE, 'this machine is no part of it');
    assert.ok(shard.enter('10.0.0.2', 1, 0) >= 0);
    assert.ok(primary.enter('10.0.0.3', 0, 0) >= 0);
    assert.equal(shard.enter('10.0.0.4', 1, 0), TOO_HIGH_TOTAL_RATE);
    assert.ok(shard.enter('10.0.0.4', 1, SECOND / 3) >= 0, 'nor was it counted');
    const alone = makeLimits({ total: 1 })();
    assert.equal(alone.enter('10.0.0.1', 0, 0), NO_PLACE);
    assert.equal(alone.enter('10.0.0.2', 0, 0), TOO_HIGH_TOTAL_RATE);
  });

  it('counts no connection that it refuses', () => {
    const limits = makeLimits({ connections: 2, rate: 1 })();
    const place = limits.enter(CLIENT, 0, 0);
    for (let times = 0; times < 9; times++) {
      assert.equal(limits.enter(CLIENT, 0, 0), TOO_HIGH_RATE);
    }
    limits.leave(place, 0);
    assert.ok(limits.enter(CLIENT, 0, SECOND) >= 0);
    assert.ok(limits.enter(CLIENT, 0, 2 * SECOND) >= 0);
    assert.equal(limits.enter(CLIENT, 0, 3 * SECOND), TOO_MANY_CONNECTIONS);
  });

  it('lets in uncounted what finds the table full, and takes the places of those who left', () => {
    const limits = makeLimits({ connections: 1 }, { places: ADDRESS_PLACES })();
    const places = Array.from({ length: ADDRESS_PLACES }, (_, at) =>
      limits.enter(`10.0.0.${at}`, 0),
    );
    assert.equal(new Set(places).size, ADDRESS_PLACES);
    for (let times = 0; times < 3; times++) assert.equal(limits.enter('10.0.1.1', 0), NO_PLACE);
    assert.equal(limits.uncounted, 3);
    assert.equal(limits.enter('10.0.0.3', 1), TOO_MANY_CONNECTIONS, 'those inside are counted');
    limits.leave(places[5], 0);
    assert.equal(limits.enter('10.0.1.1', 0), places[5]);
    assert.equal(limits.enter('10.0.1.1', 0), TOO_MANY_CONNECTIONS);
  });

  it('keeps the place of an address whose rate is not over', () => {
    const limits = makeLimits({ rate: 1 }, { places: ADDRESS_PLACES })();
    for (let at = 0; at < ADDRESS_PLACES; at++) {
      limits.leave(limits.enter(`10.0.0.${at}`, 0, 0), 0);
    }
    assert.equal(limits.enter('10.0.1.1', 0, SECOND / 2), NO_PLACE);
    assert.ok(limits.enter('10.0.1.1', 0, SECOND) >= 0);
  });

  it('spreads addresses over its places', () => {
    const places = 4096;
    const limits = makeLimits({ connections: 1 }, { places })();
    for (let at = 0; at < places / 4; at++) limits.enter(`10.0.${at >> 8}.${at & 255}`, 0);
    for (let at = 0; at < places / 4; at++) limits.enter(`2001:db8:0:${at.toString(16)}::1`, 1);
    // Half full: 8 places of a group are too few for one in some hundred addresses.
    assert.ok(limits.uncounted < places / 50, `${limits.uncounted} are not counted`);
  });
});

describe('a connect rate', () => {
  it('takes what is further ahead than it can be for the past', () => {
    assert.equal(aheadOf(500, 100), 400);
    assert.equal(aheadOf(100, 500), 0);
    assert.equal(aheadOf(0x7fff_ffff, -0x8000_0000), 0, 'one microsecond past, over the wrap');
    assert.equal(aheadOf(-0x8000_0000, 0x7fff_ffff), 1);
    assert.equal(aheadOf(0x4000_0000, 0), 0);
    assert.equal(dueAfterOneMore(0, 1, 0), SECOND);
    assert.equal(dueAfterOneMore(SECOND, 1, 0), null);
  });

  it('lets in nobody more for a thread that has looked at the clock a moment before', () => {
    assert.equal(dueAfterOneMore(SECOND + 300, 1, 0), null);
    assert.equal(dueAfterOneMore(SECOND + 300, 2, 0), null);
  });
});
