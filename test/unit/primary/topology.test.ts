import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Counter, Counters, sumCounters } from '../../../src/base/counters.js';
import { type PipeSystem, Topology } from '../../../src/primary/topology.js';
import { ringIdOf } from '../../../src/router/ring.js';
import { RING_HEADER_BYTES } from '../../../src/router/ring-layout.js';

/**
 * Descriptors as the system gives them: always the lowest free number, and closing one twice is
 * seen.
 */
class FakeSystem implements PipeSystem {
  readonly open = new Map<number, number>();
  pipesLeft = Number.POSITIVE_INFINITY;
  #pipes = 0;

  take(identity: number): number {
    let fd = 10;
    while (this.open.has(fd)) fd++;
    this.open.set(fd, identity);
    return fd;
  }
  createPipe() {
    if (this.pipesLeft-- <= 0) throw new Error('pipe2 failed: EMFILE');
    const identity = ++this.#pipes;
    return { readFd: this.take(identity), writeFd: this.take(identity) };
  }
  identityOf(fd: number) {
    return this.open.get(fd);
  }
  close(fd: number) {
    assert.ok(this.open.delete(fd), `descriptor ${fd} is open when it is closed`);
  }
}

describe('topology', () => {
  let system: FakeSystem;
  let topology: Topology;
  beforeEach(() => {
    system = new FakeSystem();
    topology = new Topology(3, 65_536, system);
  });

  test('each shard has a ring, a doorbell and counters, and knows everybody else’s', () => {
    const parts = [0, 1, 2].map((index) => topology.partsFor(index));
    assert.deepEqual(
      parts[0].rings.map((ring) => ring.byteLength),
      [0, 1, 2].map(() => RING_HEADER_BYTES + 65_536),
    );
    assert.equal(new Set(parts.map((each) => each.counters)).size, 3);
    assert.equal(new Set(parts.map((each) => each.doorbellReadFd)).size, 3);
    assert.deepEqual(parts[2].doorbellWriteFds, parts[0].doorbellWriteFds);
    assert.equal(parts[2].rings[0], parts[0].rings[0]);
  });

  test('no ring is taken for that of another shard, or of an earlier one', () => {
    const ids = topology.partsFor(0).rings.map(ringIdOf);
    topology.threadGone(1);
    ids.push(ringIdOf(topology.replace(1, [0, 2]).ring));
    assert.equal(new Set(ids).size, 4);
  });

  test('one shard alone has neither ring nor pipe', () => {
    const alone = new FakeSystem();
    const topologyOfOne = new Topology(1, 65_536, alone);
    assert.equal(topologyOfOne.partsFor(0).doorbellReadFd, -1);
    assert.equal(topologyOfOne.partsFor(0).rings[0].byteLength, 0);
    assert.equal(alone.open.size, 0);
    topologyOfOne.threadGone(0);
    topologyOfOne.replace(0, []);
    topologyOfOne.close();
  });

  test('a dead shard’s doorbell stays open until every peer has welcomed the successor', () => {
    const former = topology.partsFor(1);
    system.close(former.doorbellReadFd);
    topology.threadGone(1);
    const fresh = topology.replace(1, [0, 2]);
    assert.notEqual(fresh.doorbellWriteFd, former.doorbellWriteFds[1]);
    assert.notEqual(fresh.ring, former.rings[1]);
    topology.welcomed(1, 2);
    assert.ok(system.open.has(former.doorbellWriteFds[1]));
    topology.welcomed(1, 0);
    assert.ok(!system.open.has(former.doorbellWriteFds[1]));
    assert.equal(topology.retiredCount, 0);
  });

  test('a peer whose thread is gone no longer holds a retired doorbell open', () => {
    topology.threadGone(1);
    topology.replace(1, [0, 2]);
    topology.welcomed(1, 0);
    assert.equal(topology.retiredCount, 1);
    topology.threadGone(2);
    assert.equal(topology.retiredCount, 0);
  });

  test('a peer whose thread does not end holds it open, whatever its successor welcomes', () => {
    topology.threadGone(1);
    topology.replace(1, [0, 2]);
    topology.threadStuck(2);
    topology.welcomed(1, 0);
    topology.welcomed(1, 2);
    topology.threadGone(2);
    assert.equal(topology.retiredCount, 1);
    topology.close();
    assert.equal(system.open.size, 0);
  });

  test('a shard that dies twice has its doorbells retired one after the other', () => {
    const first = topology.partsFor(1).doorbellWriteFds[1];
    topology.threadGone(1);
    const second = topology.replace(1, [0, 2]).doorbellWriteFd;
    topology.threadGone(1);
    topology.replace(1, [0, 2]);
    topology.welcomed(1, 0);
    topology.welcomed(1, 2);
    assert.ok(!system.open.has(first));
    assert.ok(system.open.has(second));
    topology.welcomed(1, 0);
    topology.welcomed(1, 2);
    assert.ok(!system.open.has(second));
  });

  test('a read end never taken is closed, one whose number is another’s now is not', () => {
    const untaken = topology.partsFor(0).doorbellReadFd;
    topology.threadGone(0);
    assert.ok(!system.open.has(untaken));
    const taken = topology.partsFor(1).doorbellReadFd;
    system.close(taken);
    while (!system.open.has(taken)) system.take(999);
    topology.threadGone(1);
    assert.equal(system.open.get(taken), 999);
  });

  test('what a dead shard had counted stays in the sums, what it held does not', () => {
    const counters = new Counters(topology.countersOf(1));
    counters.add(Counter.messagesReceived, 7);
    counters.add(Counter.connectionsOpen, 2);
    topology.threadGone(1);
    topology.replace(1, []);
    const totals = sumCounters(topology.allCounters());
    assert.equal(totals.messagesReceived, 7);
    assert.equal(totals.connectionsOpen, 0);
    assert.equal(totals.closed['connection-lost'], 2);
    assert.equal(new Counters(topology.countersOf(1)).get(Counter.messagesReceived), 0);
  });

  test('without descriptors for all, none stays open', () => {
    const short = new FakeSystem();
    short.pipesLeft = 2;
    assert.throws(() => new Topology(3, 65_536, short), /EMFILE/);
    assert.equal(short.open.size, 0);
  });

  test('a successor for which there is no pipe leaves everything as it was', () => {
    system.pipesLeft = 0;
    const before = topology.partsFor(1);
    assert.throws(() => topology.replace(1, [0, 2]), /EMFILE/);
    assert.deepEqual(topology.partsFor(1), before);
    topology.close();
    assert.equal(system.open.size, 0);
  });

  test('closing twice closes once', () => {
    topology.close();
    topology.close();
    assert.equal(system.open.size, 0);
  });
});
