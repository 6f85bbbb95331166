/** When a connection is closed because nothing comes: on a clock that the test moves. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Counter } from '../../../src/base/counters.js';
import { CloseReason } from '../../../src/base/errors.js';
import {
  LEFT_LOOK_MS,
  LINGER_MS,
  STAMP_SLACK_MS,
  SWEEP_MS,
  UNFINISHED_BYTES_PER_SECOND,
} from '../../../src/base/limits.js';
import { Pause } from '../../../src/connection/connection.js';
import { connack, connect, PINGREQ, publish } from '../../support/packets.js';
import { config, LoneConnection } from './lone-connection.js';

/** How late a time-out may be: what its stamps are unsure of, and the tick it falls into. */
const LATE_MS = STAMP_SLACK_MS + 2 * SWEEP_MS;
const MIB = 1_048_576;

/** Closed in time: not before, which the coarse stamp of what came last must not hide. */
function assertTime(ms: number, least: number): void {
  assert.ok(ms >= least + SWEEP_MS, `closed after ${ms} ms, ${least} are allowed`);
  assert.ok(ms <= least + LATE_MS, `closed after ${ms} ms only, ${least} are allowed`);
}

describe('a connection without CONNECT', () => {
  test('is closed after the connect time-out, and not before', () => {
    const lone = new LoneConnection();
    const ms = lone.untilClosed(2 * config.connectTimeoutMs);
    assertTime(ms, config.connectTimeoutMs);
    assert.equal(lone.closedFor, CloseReason.connectTimeout);
  });

  test('is closed though the bytes of one come all the time', () => {
    const lone = new LoneConnection();
    const bytes = connect({ clientId: 'x'.repeat(50_000) });
    for (let at = 0; lone.closedFor === null; at += 100) {
      lone.read(bytes.subarray(at, at + 100));
      lone.pass(100);
      assert.ok(lone.now < 1_000 + config.connectTimeoutMs + LATE_MS);
    }
    assert.equal(lone.closedFor, CloseReason.connectTimeout);
  });
});

// [MQTT-3.1.2-24]: one and a half times the keep alive; within that the client is not closed, and
// behind it it is.
describe('a connection with keep alive', () => {
  for (const keepAlive of [1, 10, 60]) {
    const limit = keepAlive * 1_500;

    test(`of ${keepAlive} s is closed after one and a half times that in silence`, () => {
      const lone = new LoneConnection();
      lone.open(keepAlive);
      assertTime(lone.untilClosed(3 * limit), limit);
      assert.equal(lone.closedFor, CloseReason.keepAliveTimeout);
    });

    test(`of ${keepAlive} s counts from the last packet`, () => {
      const lone = new LoneConnection();
      lone.open(keepAlive);
      for (let n = 0; n < 20; n++) {
        lone.pass(limit * 0.97);
        assert.equal(lone.closedFor, null);
        lone.read(n % 2 === 0 ? PINGREQ : Buffer.concat([PINGREQ, PINGREQ.subarray(0, 1)]));
        if (n % 2 === 1) lone.read(PINGREQ.subarray(1));
      }
      assertTime(lone.untilClosed(3 * limit), limit);
    });
  }

  test('lasts for ever when that is 0', () => {
    const lone = new LoneConnection();
    lone.open(0);
    lone.pass(1_000_000);
    assert.equal(lone.closedFor, null);
    assert.equal(lone.deadlines.size, 0);
  });
});

describe('a client that is not read from', () => {
  const limit = 60_000 * 1.5;

  /** It is read from until it is paused. */
  function paused(reason: number): LoneConnection {
    const lone = new LoneConnection();
    lone.open(60);
    lone.read(PINGREQ);
    lone.connection.pause(reason);
    return lone;
  }

  test('is not taken for silent', () => {
    for (const reason of [Pause.slowReader, Pause.disk]) {
      const lone = paused(reason);
      lone.pass(10 * limit);
      assert.equal(lone.closedFor, null);
    }
  });

  test('is closed when it has left and was not read from for as long as it may be silent', () => {
    const lone = paused(Pause.slowReader);
    lone.socket.hasLeft = true;
    const from = lone.now;
    lone.pass(10 * limit);
    assert.equal(lone.closedFor, CloseReason.connectionLost);
    assert.ok(lone.now - from >= limit, `${lone.now - from} ms`);
    assert.ok(lone.now - from <= 2 * (limit + LATE_MS), `${lone.now - from} ms`);
  });

  test('that has left is read to its end where it is read from again', () => {
    const lone = paused(Pause.slowReader);
    lone.socket.hasLeft = true;
    lone.pass(limit / 2);
    lone.connection.unpause(Pause.slowReader);
    lone.read(PINGREQ);
    lone.connection.pause(Pause.slowReader);
    lone.pass(limit * 0.9);
    assert.equal(lone.closedFor, null);
  });
});

// Such a pause lasts until an operator makes room, and clients may ask for no keep alive.
describe('a client that waits for the disk', () => {
  for (const [what, reason] of [
    ['with what it publishes', Pause.disk],
    ['with so many replies that it is not read', Pause.subackOwed],
  ] as const) {
    /** It is read from until it waits. */
    function held(): LoneConnection {
      const lone = new LoneConnection();
      lone.open();
      lone.connection.pause(reason);
      return lone;
    }

    test(`${what}, and has left is closed within seconds`, () => {
      const lone = held();
      lone.pass(10 * LEFT_LOOK_MS);
      assert.equal(lone.closedFor, null);
      lone.socket.hasLeft = true;
      const from = lone.now;
      lone.pass(10 * LEFT_LOOK_MS);
      assert.equal(lone.closedFor, CloseReason.connectionLost);
      assert.ok(lone.now - from <= LEFT_LOOK_MS + LATE_MS, `${lone.now - from} ms`);
    });

    test(`${what}, and has left is read to its end where it need not wait for long`, () => {
      const lone = held();
      lone.socket.hasLeft = true;
      for (let n = 0; n < 3; n++) {
        lone.pass(LEFT_LOOK_MS * 0.8);
        lone.connection.unpause(reason);
        lone.connection.pause(reason);
      }
      lone.connection.unpause(reason);
      lone.pass(2 * LEFT_LOOK_MS);
      assert.equal(lone.closedFor, null);
    });
  }
});

describe('an unfinished packet', () => {
  const keepAlive = 60;
  const limit = keepAlive * 1_500;
  const large = publish({ topic: 't', payload: Buffer.alloc(MIB) });

  /** Sends `from` to `to` of the large packet, so many bytes a second. */
  function send(lone: LoneConnection, from: number, to: number, bytesPerSecond: number): void {
    for (let at = from; at < to && lone.closedFor === null; at += bytesPerSecond) {
      lone.read(large.subarray(at, Math.min(at + bytesPerSecond, to)));
      lone.pass(1_000);
    }
  }

  test('that drips is no sign of life', () => {
    const lone = new LoneConnection();
    lone.open(keepAlive);
    const from = lone.now;
    send(lone, 0, 1_000, 1);
    assertTime(lone.now - from, limit);
    assert.equal(lone.closedFor, CloseReason.keepAliveTimeout);
  });

  test('of 1 MiB that comes as slowly as a bad mobile network carries it is', () => {
    const lone = new LoneConnection();
    lone.open(keepAlive);
    send(lone, 0, MIB, UNFINISHED_BYTES_PER_SECOND + 50);
    assert.equal(lone.closedFor, null);
    assert.ok(lone.now > 20 * limit);
  });

  test('that was begun at the last moment is looked at from there on', () => {
    const lone = new LoneConnection();
    lone.open(keepAlive);
    lone.pass(limit - 2_000);
    send(lone, 0, 200_000, UNFINISHED_BYTES_PER_SECOND + 50);
    assert.equal(lone.closedFor, null);
  });

  test('that stops is silence from its last byte on', () => {
    const lone = new LoneConnection();
    lone.open(keepAlive);
    send(lone, 0, 300_000, 1_000);
    const sent = lone.now - 1_000;
    lone.pass(3 * limit);
    assertTime(lone.now - sent, limit);
    assert.equal(lone.closedFor, CloseReason.keepAliveTimeout);
  });

  test('cannot drip for long because most of it came at once', () => {
    const lone = new LoneConnection();
    lone.open(keepAlive);
    lone.read(large.subarray(0, 200_000));
    const from = lone.now;
    send(lone, 200_000, 201_000, 1);
    assert.equal(lone.closedFor, CloseReason.keepAliveTimeout);
    assert.ok(lone.now - from <= 2 * (limit + LATE_MS), `${lone.now - from} ms`);
  });
});

describe('a closed connection', () => {
  test('has its socket destroyed when the client does not close it', () => {
    const lone = new LoneConnection();
    lone.open(0);
    lone.connection.close(CloseReason.kicked);
    lone.pass(LINGER_MS);
    assert.equal(lone.socket.isDestroyed, false);
    lone.pass(LATE_MS);
    assert.equal(lone.socket.isDestroyed, true);
    lone.connection.onTransportClosed();
    assert.equal(lone.deadlines.size, 0);
  });
});

describe('a connection whose authenticator takes its time', () => {
  test('is told to come again after the time-out, and no answer is heard then', async () => {
    let answer = (_: boolean): void => {};
    const lone = new LoneConnection({
      authenticator: { authenticate: () => new Promise((resolve) => (answer = resolve)) },
    });
    lone.read(connect({ clientId: 'c' }));
    await nextTurn();
    assert.equal(lone.counters.get(Counter.authenticationsWaiting), 1);
    const ms = lone.untilClosed(3 * config.authTimeoutMs);
    assertTime(ms, config.authTimeoutMs);
    assert.equal(lone.closedFor, CloseReason.connectRefused);
    assert.deepEqual(lone.socket.written, connack(false, 3));
    assert.equal(lone.counters.get(Counter.authenticationsWaiting), 0);
    assert.equal(lone.connection.authentication, null);
    answer(true);
    await nextTurn();
    assert.equal(lone.claimed, null);
  });

  test('is told to come again at once when too many wait', async () => {
    const lone = new LoneConnection({
      authenticator: { authenticate: () => Promise.reject(new Error('nobody hears this')) },
    });
    lone.mayWait = false;
    lone.read(connect({ clientId: 'c' }));
    assert.deepEqual(lone.socket.written, connack(false, 3));
    await nextTurn();
    assert.equal(lone.counters.get(Counter.authenticationsWaiting), 0);
  });

  test('may have used most of the connect time-out for its CONNECT', async () => {
    let answer = (_: boolean): void => {};
    const lone = new LoneConnection({
      authenticator: { authenticate: () => new Promise((resolve) => (answer = resolve)) },
    });
    lone.pass(config.connectTimeoutMs - 1_000);
    lone.read(connect({ clientId: 'c' }));
    lone.pass(config.authTimeoutMs - 1_000);
    assert.equal(lone.closedFor, null);
    answer(true);
    await nextTurn();
    assert.ok(lone.claimed);
    // Whatever time the claim takes.
    lone.pass(10 * config.connectTimeoutMs);
    assert.equal(lone.closedFor, null);
  });
});
