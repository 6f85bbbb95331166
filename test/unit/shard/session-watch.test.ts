/** Acks that are looked at when their time has come, on a clock that the test moves. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Counter, Counters } from '../../../src/base/counters.js';
import { Deadlines } from '../../../src/base/deadlines.js';
import { ACK_LOOK_MS, SWEEP_MS } from '../../../src/base/limits.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { DelayedWills } from '../../../src/sessions/delayed-wills.js';
import { stampBits } from '../../../src/sessions/inflight.js';
import { type Outlet, Session } from '../../../src/sessions/session.js';
import { prepareWill } from '../../../src/sessions/will.js';
import { SessionWatch } from '../../../src/shard/session-watch.js';
import { runOf } from '../sessions/frames.js';

const LIMITS = { maxInflight: 10, maxQueuedMessages: 10, maxQueuedBytes: 10_000 };
const DAY_MS = 86_400_000;
const EXPIRY_MS = 7 * DAY_MS;
const config = {
  ackTimeoutMs: 20_000,
  timeoutRetries: 1,
  closeUnresponsive: true,
};

describe('the watch over sessions', () => {
  const target = Buffer.alloc(1_000);
  let time: number;
  let counters: Counters;
  let deadlines: Deadlines<Session>;
  let watch: SessionWatch;
  let session: Session;
  let closedFor: string | null;
  let expired: string[];
  let published: string[];
  let isTooEarly: boolean;
  /** Wills that wait for room; null: there is some. */
  let stuck: (() => void)[] | null;
  let wills: DelayedWills;
  let outlet: Outlet;

  beforeEach(() => {
    time = 1_000;
    counters = new Counters();
    closedFor = null;
    expired = [];
    published = [];
    isTooEarly = false;
    stuck = null;
    wills = new DelayedWills((_, topicKey, _session, onPublished) => {
      published.push(topicKey);
      if (stuck === null) onPublished();
      else stuck.push(onPublished);
    });
    deadlines = new Deadlines(time, (due) => watch.onDue(due));
    watch = new SessionWatch({
      settings: () => config,
      counters,
      deadlines,
      wills,
      log: () => {},
      isTooEarly: () => isTooEarly,
      onExpired: ({ clientId }) => expired.push(clientId),
    });
    session = new Session('c', EXPIRY_MS, 4, 1, LIMITS, new AbsentQueues());
    outlet = {
      isStalled: false,
      wake() {},
      closeConnection(reason: string) {
        closedFor = reason;
        session.detach();
        watch.end(session);
      },
    } as unknown as Outlet;
    session.attach(outlet);
  });

  function leave(): void {
    session.detach();
    watch.end(session);
    watch.onAbsent(session);
  }

  function send(...payloads: string[]): void {
    session.enqueue(runOf(payloads), 1, false);
    session.window!.fill(target, 0, target.length, deadlines.now);
    if (!session.isDeadlineSet) watch.begin(session);
  }

  function pass(ms: number): void {
    for (const end = time + ms; time < end; ) {
      time += SWEEP_MS;
      deadlines.advance(time);
    }
  }

  test('counts what is on its way and waits, and lets go of who has nothing', () => {
    send('a', 'b', 'c');
    assert.equal(watch.inflightMessages, 3);
    session.window!.onPuback(1);
    pass(2 * ACK_LOOK_MS);
    assert.equal(watch.inflightMessages, 2);
    session.window!.onPuback(2);
    session.window!.onPuback(3);
    pass(2 * ACK_LOOK_MS);
    assert.equal(watch.inflightMessages, 0);
    assert.equal(deadlines.size, 0);
    send('d');
    assert.equal(watch.inflightMessages, 1);
    session.detach();
    watch.end(session);
    assert.equal(watch.inflightMessages, 0);
    assert.equal(deadlines.size, 0);
  });

  test('counts an ack that is late when it is, not before, and once', () => {
    send('a');
    pass(5_000);
    send('b');
    pass(config.ackTimeoutMs - 5_000);
    assert.equal(counters.get(Counter.ackTimeouts), 0);
    pass(2 * ACK_LOOK_MS);
    assert.equal(counters.get(Counter.ackTimeouts), 1);
    pass(5_000);
    assert.equal(counters.get(Counter.ackTimeouts), 2);
    assert.equal(closedFor, null);
  });

  test('gives a QoS 2 delivery the whole time again from PUBREC on', () => {
    session.enqueue(runOf(['a'], 2), 2, false);
    session.window!.fill(target, 0, target.length, deadlines.now);
    watch.begin(session);
    pass(config.ackTimeoutMs - 1_000);
    session.window!.lastStamp = stampBits(deadlines.now);
    session.window!.onPubrec(1);
    pass(config.ackTimeoutMs);
    assert.equal(counters.get(Counter.ackTimeouts), 0);
    pass(2 * ACK_LOOK_MS);
    assert.equal(counters.get(Counter.ackTimeouts), 1);
  });

  // [MQTT-3.1.2-5]: the end of its session is not that of its will.
  test('ends no session whose will waited for room when its client left', () => {
    const will = prepareWill({ topic: 'w', payload: Buffer.from('x'), qos: 1, retain: false });
    stuck = [];
    wills.send(session, will);
    leave();
    for (const onPublished of stuck.splice(0)) onPublished();
    pass(EXPIRY_MS - DAY_MS);
    assert.deepEqual([expired, published], [[], ['w']]);
    pass(2 * DAY_MS);
    assert.deepEqual([expired, published], [['c'], ['w']]);
  });

  test('tells of a session when its client has been away for so long, and not before', () => {
    send('a');
    leave();
    time += EXPIRY_MS - 10_000;
    deadlines.advance(time);
    pass(10_000);
    assert.deepEqual(expired, []);
    pass(10 * SWEEP_MS);
    assert.deepEqual(expired, ['c']);
    assert.equal(deadlines.size, 0);
  });

  test('a client that comes back has the whole time again', () => {
    leave();
    pass(60_000);
    session.attach(outlet);
    assert.equal(deadlines.size, 0);
    time += 8 * DAY_MS;
    deadlines.advance(time);
    leave();
    time += 6 * DAY_MS;
    deadlines.advance(time);
    assert.deepEqual(expired, []);
    time += DAY_MS + 10 * SWEEP_MS;
    deadlines.advance(time);
    assert.deepEqual(expired, ['c']);
  });

  test('a session that has ended, or that is never to, has no deadline', () => {
    leave();
    assert.equal(deadlines.size, 1);
    session.end();
    assert.equal(deadlines.size, 0);
    session.expiryMs = Number.POSITIVE_INFINITY;
    leave();
    assert.equal(deadlines.size, 0);
  });

  describe('of an absent client with a will', () => {
    const will = prepareWill({ topic: 'w', payload: Buffer.from('x'), qos: 1, retain: false });

    function leaveWith(delayMs: number): void {
      assert.equal(wills.keep(session, will, deadlines.now + delayMs), true);
      leave();
    }

    // [MQTT-3.1.3-9]
    test('publishes it when its delay is over, and ends the session in its time', () => {
      leaveWith(DAY_MS);
      time += DAY_MS - 10_000;
      deadlines.advance(time);
      assert.deepEqual(published, []);
      pass(10_000 + 10 * SWEEP_MS);
      assert.deepEqual(published, ['w']);
      assert.deepEqual(expired, []);
      assert.equal(wills.bytes, 0);
      time += EXPIRY_MS - DAY_MS;
      deadlines.advance(time);
      pass(10 * SWEEP_MS);
      assert.deepEqual([published, expired], [['w'], ['c']]);
    });

    // 3.1.3.2.2: whichever happens first.
    test('tells of the end of the session where that comes first', () => {
      leaveWith(EXPIRY_MS + DAY_MS);
      time += EXPIRY_MS;
      deadlines.advance(time);
      pass(10 * SWEEP_MS);
      assert.deepEqual(expired, ['c']);
    });

    // [MQTT-3.1.3-9]
    test('publishes none when the client is back in time', () => {
      leaveWith(DAY_MS);
      pass(60_000);
      wills.cancel(session);
      session.attach(outlet);
      time += DAY_MS;
      deadlines.advance(time);
      assert.deepEqual([published, expired, wills.bytes], [[], [], 0]);
    });

    // The session is on disk while it is here, and nothing else says that the will is to come.
    test('ends the session when its will is out', () => {
      stuck = [];
      leaveWith(EXPIRY_MS + DAY_MS);
      time += EXPIRY_MS;
      deadlines.advance(time);
      pass(10 * SWEEP_MS);
      assert.deepEqual([published, expired], [['w'], []]);
      for (const onPublished of stuck) onPublished();
      pass(10 * SWEEP_MS);
      assert.deepEqual([published, expired], [['w'], ['c']]);
    });

    test('ends the session when its client is back behind a will that had to wait', () => {
      stuck = [];
      leaveWith(EXPIRY_MS + DAY_MS);
      time += EXPIRY_MS;
      while (published.length === 0) pass(SWEEP_MS);
      for (const onPublished of stuck) onPublished();
      assert.deepEqual([published, expired], [['w'], []]);
      watch.onClaimed(session);
      assert.deepEqual(expired, ['c']);
      assert.equal(deadlines.size, 0);
    });

    // [MQTT-3.1.2-8]: it would miss the sessions that other shards are still to find.
    test('publishes it, and ends the session, when it is not too early', () => {
      isTooEarly = true;
      leaveWith(DAY_MS);
      time += DAY_MS;
      deadlines.advance(time);
      pass(10 * SWEEP_MS);
      assert.deepEqual(published, []);
      isTooEarly = false;
      watch.takeUp();
      watch.takeUp();
      assert.deepEqual(published, ['w']);
      time += EXPIRY_MS;
      deadlines.advance(time);
      pass(10 * SWEEP_MS);
      assert.deepEqual([published, expired], [['w'], ['c']]);
    });

    // [MQTT-3.1.3-9]: the delay was over before.
    test('publishes one that was due when the client is back', () => {
      isTooEarly = true;
      leaveWith(0);
      watch.onClaimed(session);
      assert.deepEqual(published, ['w']);
      assert.equal(deadlines.size, 0);
      watch.takeUp();
      assert.deepEqual([published, expired], [['w'], []]);
    });

    test('of a session that never ends still publishes it', () => {
      session.expiryMs = Number.POSITIVE_INFINITY;
      leaveWith(1_000);
      pass(2_000);
      assert.deepEqual(published, ['w']);
      assert.equal(deadlines.size, 0);
    });
  });

  test('closes a client that lets the retries go by', () => {
    send('a');
    pass(2 * config.ackTimeoutMs + 2 * ACK_LOOK_MS);
    assert.equal(closedFor, 'unresponsive');
    assert.equal(counters.get(Counter.unresponsiveClients), 1);
    assert.equal(watch.inflightMessages, 0);
    assert.equal(deadlines.size, 0);
  });
});
