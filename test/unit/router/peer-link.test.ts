import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import { closeDescriptor, createPipe } from '../../../src/base/libc.js';
import { RING_LEAD_MARK_WORK, RING_LEAD_WORK_MAX } from '../../../src/base/limits.js';
import { PeerLink } from '../../../src/router/peer-link.js';
import { createRing } from '../../../src/router/ring.js';
import { createTickets } from '../../../src/router/ring-layout.js';
import { within } from '../../support/waiting.js';
import { Collector } from './collector.js';

const CAPACITY = 4096;
const ALL = 0xffffffff;
const NO_LIMIT = Number.POSITIVE_INFINITY;

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** What the primary shares out for a number of shards in this one thread. */
class Ground {
  readonly rings: SharedArrayBuffer[];
  readonly tickets = createTickets();
  readonly readFds: number[] = [];
  readonly writeFds: number[] = [];
  /** Rings of the doorbell, by shard. */
  readonly rung: number[];
  #onRung: () => void = () => {};

  constructor(shardCount: number, ringBytes = CAPACITY) {
    this.rings = Array.from({ length: shardCount }, () => createRing(ringBytes));
    this.rung = new Array<number>(shardCount).fill(0);
    for (let index = 0; index < shardCount; index++) this.newPipe(index);
  }

  newPipe(index: number): void {
    const { readFd, writeFd } = createPipe();
    this.readFds[index] = readFd;
    this.writeFds[index] = writeFd;
    cleanUps.push(() => closeDescriptor(writeFd));
  }

  start(shardIndex: number): PeerLink {
    const link = new PeerLink({
      shardIndex,
      shardCount: this.rings.length,
      rings: this.rings,
      tickets: this.tickets,
      doorbellReadFd: this.readFds[shardIndex],
      doorbellWriteFds: this.writeFds,
      onDoorbell: () => {
        this.rung[shardIndex]++;
        this.#onRung();
      },
    });
    cleanUps.push(() => link.close());
    return link;
  }

  startAll(): PeerLink[] {
    return this.rings.map((_, index) => this.start(index));
  }

  /** Waits for the next doorbell, of whichever shard. */
  nextRing(): Promise<void> {
    return within(new Promise((resolve) => (this.#onRung = resolve)), 'a doorbell');
  }

  /** Rings the doorbell of a shard by hand and waits: everything rung before has arrived then. */
  async settle(index: number): Promise<number> {
    const before = this.rung[index];
    const next = this.nextRing();
    writeSync(this.writeFds[index], Buffer.from([0]));
    await next;
    return before;
  }
}

function send(link: PeerLink, text: string, mask = ALL): void {
  const bytes = Buffer.from(text);
  link.send(1, mask, 0, 0, 0, 0, bytes, 0, bytes.length);
  bytes.fill(0);
}

function drain(link: PeerLink, limitBytes = NO_LIMIT): string[] {
  const collector = new Collector();
  link.drain(collector, limitBytes);
  return collector.texts();
}

describe('PeerLink', () => {
  it('is a no-op for a shard without peers', () => {
    const link = new PeerLink({
      shardIndex: 0,
      shardCount: 1,
      rings: [],
      tickets: createTickets(),
      doorbellReadFd: -1,
      doorbellWriteFds: [],
      onDoorbell: () => {},
    });
    send(link, 'to nobody');
    link.flush();
    assert.equal(link.backlogBytes, 0);
    assert.deepEqual(drain(link), []);
    assert.equal(link.sleep(), true);
    link.dropPeer(0);
    link.close();
  });

  it('brings records to the shards that the mask names, after flush', () => {
    const [first, second, third] = new Ground(3).startAll();
    send(first, 'for 1', 1 << 1);
    send(first, 'for 1 and 2', 0b110);
    send(first, 'for itself and no shard there is', ~0b110);
    assert.deepEqual(drain(second), []);
    first.flush();
    assert.deepEqual(drain(second), ['for 1', 'for 1 and 2']);
    assert.deepEqual(drain(third), ['for 1 and 2']);
    assert.deepEqual(drain(first), []);
  });

  it('hands over what was flushed first, whoever flushed it', () => {
    const [first, second, third] = new Ground(3).startAll();
    for (const [link, text] of [
      [third, 'c0'],
      [second, 'b1'],
      [third, 'c2'],
      [second, 'b3'],
    ] as const) {
      send(link, text);
      link.flush();
    }
    assert.deepEqual(drain(first), ['c0', 'b1', 'c2', 'b3']);
  });

  it('leaves what was flushed in the middle of a drain for the next', () => {
    const [first, second, third] = new Ground(3).startAll();
    send(second, 'old');
    second.flush();
    const texts: string[] = [];
    const collector = new Collector((text) => {
      texts.push(text);
      send(third, 'new');
      third.flush();
    });
    first.drain(collector, NO_LIMIT);
    assert.deepEqual(texts, ['old']);
    assert.deepEqual(drain(first), ['new']);
  });

  it('is past a mark when all is handed over that was visible then', () => {
    const [first, second] = new Ground(2).startAll();
    drain(first);
    assert.equal(first.hasNews, false);
    for (const text of ['a', 'b']) {
      send(second, text);
      second.flush();
    }
    // Nobody was told of it, so nothing can follow from it yet.
    assert.equal(first.hasNews, false);
    second.tell();
    assert.equal(first.hasNews, true);
    const mark = first.mark();
    assert.equal(first.isPast(mark), false);
    assert.deepEqual(drain(first, 1), ['a']);
    assert.equal(first.isPast(mark), false);
    send(second, 'newer');
    second.flush();
    assert.deepEqual(drain(first, 1), ['b']);
    assert.equal(first.isPast(mark), true);
    assert.equal(first.hasNews, true);
    assert.deepEqual(drain(first), ['newer']);
    assert.equal(first.hasNews, false);
  });

  // What a record sets off may have been read before: it waits until the drain is over.
  it('is not past a mark that was made while a record was handled', () => {
    const [first, second] = new Ground(2).startAll();
    send(second, 'a');
    second.flush();
    let mark = 0;
    const marking = new Collector(() => {
      mark = first.mark();
    });
    first.drain(marking, NO_LIMIT);
    assert.equal(first.isPast(mark), false);
    drain(first);
    assert.equal(first.isPast(mark), true);
  });

  it('keeps what was sent before a peer had started', () => {
    const ground = new Ground(2);
    const first = ground.start(0);
    send(first, 'early');
    first.flush();
    const second = ground.start(1);
    send(second, 'answer');
    second.flush();
    assert.deepEqual(drain(second), ['early']);
    assert.deepEqual(drain(first), ['answer']);
  });

  it('is full of small records long before the ring is, until half of them are read', () => {
    const [first, second] = new Ground(2, 2 ** 20).startAll();
    for (let work = 0; work < RING_LEAD_WORK_MAX; work++) send(first, 'small');
    assert.equal(first.isFull, false);
    for (let work = 0; work < RING_LEAD_MARK_WORK; work++) send(first, 'small');
    assert.equal(first.isFull, true);
    assert.equal(first.backlogBytes, 0);
    first.flush();
    assert.equal(first.isFull, true);
    let read = 0;
    while (first.isFull) {
      read += drain(second, 2_048).length;
      first.flush();
    }
    assert.ok(Math.abs(read - RING_LEAD_WORK_MAX / 2) <= 3 * RING_LEAD_MARK_WORK, `${read} read`);
  });

  it('is not full of a few that take long, but for what is said of them', () => {
    const [first] = new Ground(2, 2 ** 20).startAll();
    send(first, 'changes many filters');
    assert.equal(first.isFull, false);
    first.addWork(RING_LEAD_WORK_MAX);
    assert.equal(first.isFull, true);
    first.dropPeer(1);
    first.flush();
    assert.equal(first.isFull, false);
  });

  it('keeps order and content when the ring is full, and counts the backlog down', () => {
    const [first, second] = new Ground(2).startAll();
    const sent: string[] = [];
    for (let at = 0; at < 300; at++) {
      const text = `${at}:${'m'.repeat((at * 53) % 3000)}`;
      send(first, text);
      sent.push(text);
    }
    assert.ok(first.backlogBytes > 100_000);
    const received: string[] = [];
    while (received.length < sent.length) {
      first.flush();
      const batch = drain(second);
      received.push(...batch);
      // A large record may need a few rounds, but its fragments come.
      assert.ok(batch.length > 0 || first.backlogBytes > 0);
    }
    assert.deepEqual(received, sent);
    assert.equal(first.backlogBytes, 0);
  });

  // Both shards had died, and the first successor was given the ring of the other dead one: it met
  // its successor there, and read what had been handed on to somebody else meanwhile.
  it('does not read the ring of a dead shard whose successor has welcomed it', () => {
    const ground = new Ground(2);
    const [first] = ground.startAll();
    send(first, 'never read');
    first.flush();
    const [dead] = ground.rings;
    ground.rings[1] = createRing(CAPACITY);
    ground.newPipe(1);
    const second = ground.start(1);
    ground.rings[0] = createRing(CAPACITY);
    ground.newPipe(0);
    const successor = ground.start(0);
    assert.notEqual(ground.rings[0], dead);
    assert.deepEqual(drain(second), []);
    assert.equal(second.hasUnread(0), false);
    second.dropPeer(0);
    second.replacePeer(0, ground.rings[0], ground.writeFds[0]);
    send(successor, 'new');
    successor.flush();
    assert.deepEqual(drain(second), ['new']);
  });

  it('sends a record larger than the ring whole, between its neighbours', () => {
    const [first, second] = new Ground(2).startAll();
    const large = Array.from({ length: 5000 }, (_, at) => `${at},`).join('');
    for (const text of ['before', large, 'after']) send(first, text);
    const received: string[] = [];
    while (received.length < 3) {
      first.flush();
      received.push(...drain(second));
    }
    assert.deepEqual(received, ['before', large, 'after']);
  });

  it('refuses a kind that is none, and more bytes than any packet has', () => {
    const [first] = new Ground(2).startAll();
    const bytes = Buffer.alloc(1);
    for (const kind of [0, 256]) {
      assert.throws(() => first.send(kind, ALL, 0, 0, 0, 0, bytes, 0, 1), /kind/);
    }
    assert.throws(() => first.send(1, ALL, 0, 0, 0, 0, bytes, 0, 300_000_000), /largest packet/);
  });

  it('stops draining at the limit and goes on in the order of flushes', () => {
    const [first, second, third] = new Ground(3).startAll();
    for (let at = 0; at < 10; at++) {
      for (const [link, name] of [
        [third, 'c'],
        [second, 'b'],
      ] as const) {
        send(link, `${name}${2 * at}`);
        send(link, `${name}${2 * at + 1}`);
        link.flush();
      }
    }
    // 40 bytes a record: one record a call.
    assert.deepEqual(
      [1, 2, 3, 4].flatMap(() => drain(first, 40)),
      ['c0', 'c1', 'b0', 'b1'],
    );
    assert.equal(drain(first).length, 36);
    assert.equal(first.drain(new Collector(), NO_LIMIT), 0);
  });

  it('does not sleep while there is something to drain, and is not rung when awake', async () => {
    const ground = new Ground(2);
    const [first, second] = ground.startAll();
    send(first, 'one');
    first.flush();
    assert.equal(second.sleep(), false);
    send(first, 'two');
    first.flush();
    assert.deepEqual(drain(second), ['one', 'two']);
    assert.equal(await ground.settle(1), 0);
  });

  it('rings a sleeping peer once, however often there is something', async () => {
    const ground = new Ground(2);
    const [first, second] = ground.startAll();
    assert.equal(second.sleep(), true);
    const rung = ground.nextRing();
    for (let at = 0; at < 10; at++) {
      send(first, `${at}`);
      first.flush();
    }
    await rung;
    assert.equal(await ground.settle(1), 1);
    assert.equal(drain(second).length, 10);
  });

  it('lets a peer sleep that nothing is for, until that fills half the ring', async () => {
    const ground = new Ground(3);
    const [first, second, third] = ground.startAll();
    assert.equal(second.sleep(), true);
    assert.equal(third.sleep(), true);
    const rung = ground.nextRing();
    send(first, 'for 1', 1 << 1);
    first.flush();
    await rung;
    assert.equal(await ground.settle(2), 0);
    const rungLater = ground.nextRing();
    for (let at = 0; at < 3; at++) {
      send(first, 'x'.repeat(900), 1 << 1);
      first.flush();
    }
    await rungLater;
    assert.deepEqual([ground.rung[1], ground.rung[2]], [1, 2], 'settle rang shard 2 once itself');
    assert.deepEqual(drain(third), []);
    assert.equal(third.sleep(), true);
  });

  it('is rung when a peer has made room for its backlog', async () => {
    const ground = new Ground(2);
    const [first, second] = ground.startAll();
    for (let at = 0; at < 10; at++) send(first, 'x'.repeat(900));
    first.flush();
    assert.ok(first.backlogBytes > 0);
    assert.equal(first.sleep(), true);
    const rung = ground.nextRing();
    assert.equal(drain(second).length, 4);
    await rung;
    assert.equal(ground.rung[0], 1);
    first.flush();
    assert.equal(drain(second).length, 4);
  });

  it('goes on with the other peers after a handler threw', () => {
    const [first, second, third] = new Ground(3).startAll();
    for (const link of [second, third]) {
      send(link, 'bad');
      send(link, 'good');
      link.flush();
    }
    const throwing = new Collector((text) => assert.notEqual(text, 'bad'));
    assert.throws(() => first.drain(throwing, NO_LIMIT));
    assert.throws(() => first.drain(throwing, NO_LIMIT));
    assert.deepEqual([...throwing.texts(), ...drain(first)], ['good', 'good']);
  });

  it('lets a handler send and flush', () => {
    const [first, second] = new Ground(2).startAll();
    send(first, 'question');
    first.flush();
    second.drain(
      new Collector(() => {
        send(second, 'answer');
        second.flush();
      }),
      NO_LIMIT,
    );
    assert.deepEqual(drain(first), ['answer']);
  });
});

describe('PeerLink, when a peer dies', () => {
  it('reads the dead peer no more, and sends on to the others', () => {
    const [first, second, third] = new Ground(3).startAll();
    send(third, 'last words');
    third.flush();
    send(first, 'x'.repeat(3000));
    first.flush();
    drain(second);
    for (let at = 0; at < 10; at++) send(first, `waits ${at} ${'y'.repeat(500)}`);
    first.flush();
    assert.ok(first.backlogBytes > 0, 'shard 2 has not read');
    first.dropPeer(2);
    assert.deepEqual(drain(first), []);
    const received: string[] = [];
    while (received.length < 10) {
      first.flush();
      received.push(...drain(second));
    }
    assert.equal(first.backlogBytes, 0);
    send(first, 'for the dead alone', 1 << 2);
    first.flush();
    assert.equal(second.sleep(), true, 'it was not put on the ring');
  });

  it('throws away a record that was half here', () => {
    const ground = new Ground(2);
    const [first, second] = ground.startAll();
    send(second, 'h'.repeat(10_000));
    second.flush();
    assert.deepEqual(drain(first), []);
    first.dropPeer(1);
    ground.rings[1] = createRing(CAPACITY);
    first.replacePeer(1, ground.rings[1], ground.writeFds[1]);
    second.close();
    ground.newPipe(1);
    const successor = ground.start(1);
    send(successor, 'new');
    successor.flush();
    assert.deepEqual(drain(first), ['new']);
  });

  it('gives the successor what is sent after the replacement, and nothing before', () => {
    const ground = new Ground(3);
    const [first, second, third] = ground.startAll();
    send(first, 'published before');
    first.flush();
    send(first, 'put before');
    send(first, `too large ${'b'.repeat(9000)}`);
    send(first, 'waits from before');
    assert.ok(first.backlogBytes > 0);
    first.dropPeer(2);
    third.close();
    ground.rings[2] = createRing(CAPACITY);
    ground.newPipe(2);
    // The successor starts before its peers know of it: it must leave their rings alone.
    const successor = ground.start(2);
    assert.deepEqual(drain(successor), []);
    first.replacePeer(2, ground.rings[2], ground.writeFds[2]);
    send(first, 'after');
    const seen: string[] = [];
    const seenBySecond: string[] = [];
    for (let round = 0; round < 20; round++) {
      first.flush();
      seenBySecond.push(...drain(second));
      seen.push(...drain(successor));
    }
    assert.deepEqual(seen, ['after']);
    assert.equal(seenBySecond.length, 5);
    assert.equal(first.backlogBytes, 0);
  });

  it('wakes a successor that slept before it was welcomed, and hears it at once', async () => {
    const ground = new Ground(2);
    const [first, second] = ground.startAll();
    for (let at = 0; at < 30; at++) {
      send(first, `${at}`.repeat(300));
      first.flush();
      drain(second);
    }
    first.dropPeer(1);
    second.close();
    ground.rings[1] = createRing(CAPACITY);
    ground.newPipe(1);
    const successor = ground.start(1);
    assert.equal(successor.sleep(), true);
    assert.equal(first.sleep(), true);
    const rung = ground.nextRing();
    first.replacePeer(1, ground.rings[1], ground.writeFds[1]);
    await rung;
    assert.equal(ground.rung[1], 1);
    const rungFirst = ground.nextRing();
    send(successor, 'hello');
    successor.flush();
    await rungFirst;
    assert.deepEqual(drain(first), ['hello']);
    assert.equal(successor.sleep(), true);
    const rungAgain = ground.nextRing();
    send(first, 'welcome');
    first.flush();
    await rungAgain;
    assert.deepEqual(drain(successor), ['welcome']);
  });

  it('is told twice of the same successor without harm', () => {
    const ground = new Ground(2);
    const [first, second] = ground.startAll();
    send(first, 'one');
    first.flush();
    send(second, 'two');
    second.flush();
    first.replacePeer(1, ground.rings[1], ground.writeFds[1]);
    assert.deepEqual(drain(second), ['one']);
    assert.deepEqual(drain(first), ['two']);
  });
});
