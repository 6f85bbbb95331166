/** Shares of a turn by a clock that the test moves. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  busyMsPerTurn,
  POLLED_MS_MIN,
  POLLED_ONLY_MS_MIN,
  POLLED_ONLY_PARTS,
  WORK_PER_LOOK,
} from '../../../src/base/turn-limits.js';
import { BusyConnections, type Servable } from '../../../src/connection/busy-connections.js';
import { TurnShare, workOfRun } from '../../../src/connection/turn-share.js';

const BUSY_MS = busyMsPerTurn(1);

let now: number;
let looks: number;

beforeEach(() => {
  now = 100;
  looks = 0;
});

function clock(): number {
  looks++;
  return now;
}

describe('a share of a turn', () => {
  test('is spent when its time is over, by whatever work', () => {
    const share = new TurnShare(BUSY_MS, clock);
    share.begin({}, 2);
    now += 1.9;
    assert.equal(share.spend(WORK_PER_LOOK), false);
    now += 0.1;
    assert.equal(share.spend(WORK_PER_LOOK), true);
    assert.equal(share.isSpent, true);
  });

  test('looks at the clock once for much small work', () => {
    const share = new TurnShare(BUSY_MS, clock);
    share.begin({}, 2);
    looks = 0;
    for (let n = 0; n < 10 * WORK_PER_LOOK; n++) share.spend(1);
    assert.equal(looks, 10);
  });

  test('of one that is polled is half of what the turn has left, and never nothing', () => {
    const share = new TurnShare(BUSY_MS, clock);
    const shares: number[] = [];
    for (let n = 0; n < 6; n++) {
      share.beginPolled({}, false);
      const begun = now;
      while (!share.spend(WORK_PER_LOOK)) now += POLLED_MS_MIN / 16;
      shares.push(now - begun);
    }
    assert.ok(shares[0] <= BUSY_MS / 2 && shares[1] < shares[0]);
    assert.ok(shares.every((ms) => ms >= POLLED_MS_MIN));
    assert.equal(shares.at(-1), POLLED_MS_MIN);
  });

  test('of many that are polled in one turn does not add up to a long one', () => {
    const share = new TurnShare(BUSY_MS, clock);
    const begun = now;
    for (let n = 0; n < 16; n++) {
      share.beginPolled({}, false);
      while (!share.spend(WORK_PER_LOOK)) now += POLLED_MS_MIN / 16;
    }
    assert.ok(now - begun <= 3 * BUSY_MS, `${now - begun} ms`);
  });

  // What OpenSSL decrypts by then is not undone.
  test('is shorter for one that the event loop alone can read', () => {
    const share = new TurnShare(BUSY_MS, clock);
    share.beginPolled({}, true);
    assert.equal(share.left, BUSY_MS / POLLED_ONLY_PARTS);
    now += 2 * BUSY_MS;
    share.beginPolled({}, true);
    assert.ok(Math.abs(share.left - POLLED_ONLY_MS_MIN) < 1e-9);
  });

  test('goes on for a socket that is read again, and begins anew in the next turn', () => {
    const share = new TurnShare(BUSY_MS, clock);
    const owner = {};
    share.beginPolled(owner, false);
    now += BUSY_MS;
    share.beginPolled(owner, false);
    assert.equal(share.spend(WORK_PER_LOOK), true);
    share.endTurn();
    share.beginPolled(owner, false);
    assert.equal(share.spend(WORK_PER_LOOK), false);
  });

  test('a run counts by its messages and its subscribers', () => {
    assert.equal(workOfRun(1, 0), 1);
    assert.equal(workOfRun(160, 9), 110);
  });
});

describe('busy connections', () => {
  /** Serves by taking `ms`; `rounds` times there is more to do. */
  function one(name: string, served: string[], ms: number, rounds: number): Servable {
    return {
      polledMs: 0,
      serve: () => {
        served.push(name);
        now += ms;
        return --rounds > 0;
      },
    };
  }

  test('are served in turn, each once a turn, until none has more to do', () => {
    const busy = new BusyConnections(BUSY_MS, () => {}, clock);
    const served: string[] = [];
    busy.add(one('a', served, 0.1, 2));
    busy.add(one('b', served, 0.1, 1));
    assert.equal(busy.serve(), true);
    assert.equal(busy.serve(), false);
    assert.deepEqual(served, ['a', 'b', 'a']);
  });

  test('take no more of a turn than is theirs, and the next turn begins behind the last', () => {
    const busy = new BusyConnections(BUSY_MS, () => {}, clock);
    const served: string[] = [];
    for (const name of 'abcd') busy.add(one(name, served, BUSY_MS / 2, 9));
    const begun = now;
    busy.serve();
    assert.ok(now - begun <= BUSY_MS);
    busy.serve();
    busy.serve();
    assert.deepEqual(served, ['a', 'b', 'c', 'd', 'a', 'b']);
  });

  test('one that has much to do has all of a turn, what it leaves is for the next', () => {
    const busy = new BusyConnections(BUSY_MS, () => {}, clock);
    const shares: number[] = [];
    const of = (duration: number): Servable => ({
      polledMs: 0,
      serve: (milliseconds) => {
        shares.push(milliseconds);
        now += duration;
        return false;
      },
    });
    busy.add(of(BUSY_MS / 4));
    busy.add(of(BUSY_MS));
    busy.serve();
    assert.deepEqual(shares, [BUSY_MS, (BUSY_MS * 3) / 4]);
  });

  // Twenty TLS clients that flood had turns of 6 ms.
  test('those that the event loop alone reads get as much of a turn in all as others', () => {
    const busy = new BusyConnections(BUSY_MS, () => {}, clock);
    const served: string[] = [];
    const polledMs = BUSY_MS / 4;
    for (const name of 'abcdef') busy.add({ ...one(name, served, 0, 1), polledMs });
    assert.equal(busy.serve(), true);
    assert.deepEqual(served, ['a', 'b', 'c', 'd']);
    assert.equal(busy.serve(), false);
    assert.deepEqual(served, ['a', 'b', 'c', 'd', 'e', 'f']);
  });

  test('one that comes while others are served has its turn in the next', () => {
    const busy = new BusyConnections(BUSY_MS, () => {}, clock);
    const served: string[] = [];
    const late = one('late', served, 0, 1);
    busy.add({
      polledMs: 0,
      serve: () => {
        busy.add(late);
        return false;
      },
    });
    assert.equal(busy.serve(), true);
    assert.deepEqual(served, []);
    busy.serve();
    assert.deepEqual(served, ['late']);
  });
});
