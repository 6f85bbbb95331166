/** Which segments are written together: never one without what has led to it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CutQueue, type SegmentSource } from '../../../src/store/cut-queue.js';
import type { Segment } from '../../../src/store/store-messages.js';
import { Random } from '../../fuzz/random.js';

interface TestSegment extends Segment {
  /** By journal: how many segments of it had been seen by who made this one. */
  readonly seen: readonly number[];
}

/** Journals that go on while the queue looks at their ports. */
class Journals {
  readonly sources: SegmentSource[];
  readonly #posted: TestSegment[][];
  readonly #counts: number[];
  readonly #seen: number[][];
  readonly #random: Random;
  #ticket: number;

  constructor(random: Random, count: number, firstTicket: number) {
    this.#random = random;
    this.#ticket = firstTicket;
    this.#posted = Array.from({ length: count }, () => []);
    this.#counts = new Array<number>(count).fill(0);
    this.#seen = Array.from({ length: count }, () => new Array<number>(count).fill(0));
    this.sources = this.#posted.map((port) => ({
      receive: () => {
        while (random.onceIn(4)) this.act();
        return port.shift();
      },
    }));
  }

  /** One journal sees what others have made visible, and submits. */
  act(): void {
    const random = this.#random;
    const self = random.below(this.#counts.length);
    const other = random.below(this.#counts.length);
    const seen = this.#seen[self];
    // What it has seen, with what that was made of.
    seen[other] = this.#counts[other];
    for (const [index, count] of this.#seen[other].entries()) {
      seen[index] = Math.max(seen[index], count);
    }
    this.#ticket = (this.#ticket + 1) | 0;
    this.#counts[self]++;
    seen[self] = this.#counts[self];
    const bytes = new ArrayBuffer(0);
    const segment = { ticket: this.#ticket, position: this.#counts[self], bytes, length: 10 };
    this.#posted[self].push({ ...segment, seen: [...seen] });
  }
}

describe('a cut', () => {
  for (const [what, firstTicket] of [
    ['', 0],
    [', when tickets wrap', 2 ** 31 - 300],
  ] as const) {
    test(`has with every segment what was seen before it${what}`, () => {
      for (let seed = 1; seed <= 200; seed++) {
        const random = new Random(seed);
        const journals = new Journals(random, 2 + random.below(3), firstTicket);
        const queue = new CutQueue(random.onceIn(2) ? 35 : 1_000);
        for (const source of journals.sources) queue.add(source);
        const written = journals.sources.map(() => 0);
        for (let round = 0; round < 100; round++) {
          const cut = queue.next();
          for (const { source, segment } of cut) {
            const index = journals.sources.indexOf(source);
            assert.equal(segment.position, written[index] + 1, `seed ${seed}`);
            written[index] = segment.position;
          }
          for (const { segment } of cut) {
            for (const [index, count] of (segment as TestSegment).seen.entries()) {
              assert.ok(count <= written[index], `seed ${seed}`);
            }
          }
        }
      }
    });
  }

  test('takes one segment at least, and no more bytes than it may', () => {
    const queue = new CutQueue<SegmentSource>(100);
    const ports: Segment[] = [];
    const source = { receive: () => ports.shift() };
    queue.add(source);
    for (const [ticket, length] of [500, 50, 50, 1].entries()) {
      ports.push({ ticket, position: ticket, bytes: new ArrayBuffer(0), length });
    }
    assert.deepEqual(
      [queue.next(), queue.next(), queue.next()].map((cut) => cut.length),
      [1, 2, 1],
    );
    assert.ok(queue.isEmpty);
  });

  test('has what a journal posted before it was taken away', () => {
    const queue = new CutQueue<SegmentSource>();
    const ports = [{ ticket: 1, position: 1, bytes: new ArrayBuffer(0), length: 1 }];
    const source = { receive: () => ports.shift() };
    queue.add(source);
    queue.remove(source);
    assert.ok(queue.has(source));
    assert.equal(queue.next().length, 1);
  });
});
