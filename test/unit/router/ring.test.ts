import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RecordError } from '../../../src/base/errors.js';
import { putRecord } from '../../../src/router/backlog.js';
import { createRing, RingWriter, recordBytesMax, recordSpace } from '../../../src/router/ring.js';
import {
  HEAD_WORD,
  RING_HEADER_BYTES,
  RING_LINE_WORDS,
  TAIL_WORD,
} from '../../../src/router/ring-layout.js';
import { RingReader } from '../../../src/router/ring-reader.js';
import {
  FLAG_FIRST,
  FLAG_FRAGMENT,
  FLAG_LAST,
  FLUSH_HEADER_BYTES,
} from '../../../src/router/ring-record.js';
import { Collector, readSeen } from './collector.js';

const CAPACITY = 4096;
const WRITER = 0;

/** A ring written by shard 0, with a reader for each of the others, all at `position`. */
function setUp(readerCount: number, position = 0) {
  const memory = createRing(CAPACITY);
  const words = new Int32Array(memory);
  words[HEAD_WORD] = position;
  let readerMask = 0;
  for (let index = 1; index <= readerCount; index++) {
    words[TAIL_WORD + index * RING_LINE_WORDS] = position;
    readerMask |= 1 << index;
  }
  const writer = new RingWriter(memory, readerMask, new Int32Array(1));
  const readers = Array.from({ length: readerCount }, (_, at) => {
    const reader = new RingReader(memory, WRITER, at + 1);
    reader.begin();
    return reader;
  });
  const records = new Int32Array(memory, RING_HEADER_BYTES);
  return { writer, readers, records };
}

/** Puts a record that holds `text`, for the readers in `mask`. */
function put(writer: RingWriter, text: string, mask = 0xffffffff, kind = 1): boolean {
  const bytes = Buffer.from(text);
  return writer.put(kind, mask, bytes.length, 0, 0, 0, 0, bytes, 0, bytes.length);
}

function read(reader: RingReader, limitBytes = Number.POSITIVE_INFINITY): string[] {
  const collector = new Collector();
  readSeen(reader, collector, limitBytes);
  return collector.texts();
}

describe('ring', () => {
  it('shows a record only after publish', () => {
    const { writer, readers } = setUp(1);
    assert.ok(put(writer, 'first'));
    assert.equal(readers[0].hasRecords(), false);
    assert.deepEqual(read(readers[0]), []);
    assert.equal(writer.publish(), true);
    assert.equal(readers[0].hasRecords(), true);
    assert.deepEqual(read(readers[0]), ['first']);
    assert.deepEqual(read(readers[0]), []);
    assert.equal(writer.publish(), false);
  });

  it('hands over kind, source, words as uint32 and the bytes asked for', () => {
    const { writer, readers } = setUp(1);
    const bytes = Buffer.from('..payload..');
    assert.ok(writer.put(255, 2, 7, 0, 1, 0x80000000, 0xffffffff, bytes, 2, 9));
    writer.publish();
    const collector = new Collector();
    assert.equal(readSeen(readers[0], collector, 1), recordSpace(7));
    assert.deepEqual(collector.records, [
      { from: WRITER, kind: 255, words: [0, 1, 0x80000000, 0xffffffff], text: 'payload' },
    ]);
  });

  it('carries a record without bytes', () => {
    const { writer, readers } = setUp(1);
    assert.ok(put(writer, ''));
    writer.publish();
    assert.deepEqual(read(readers[0]), ['']);
  });

  it('steps over records for others, and they take no part of the limit', () => {
    const { writer, readers } = setUp(2);
    for (let at = 0; at < 10; at++) put(writer, `for 2: ${at}`, 1 << 2);
    put(writer, 'for 1', 1 << 1);
    put(writer, 'for both');
    writer.publish();
    assert.deepEqual(read(readers[0], 1), ['for 1']);
    assert.deepEqual(read(readers[0], 1), ['for both']);
    assert.equal(read(readers[1]).length, 11);
  });

  it('is full when the slowest reader is a whole capacity behind, and not before', () => {
    const { writer, readers } = setUp(2);
    const text = 'x'.repeat(32);
    const records = CAPACITY / recordSpace(text.length) - 1;
    for (let at = 0; at < records; at++) assert.ok(put(writer, text), `record ${at}`);
    assert.equal(put(writer, text), false);
    writer.publish();
    assert.equal(read(readers[0]).length, records);
    assert.equal(put(writer, text), false, 'the other reader has read nothing');
    assert.equal(read(readers[1], 1).length, 1);
    assert.ok(put(writer, text));
    assert.equal(put(writer, text), false);
  });

  it('does not wait for a reader that was removed', () => {
    const { writer, readers } = setUp(2);
    while (put(writer, 'x'.repeat(100)));
    writer.publish();
    read(readers[0]);
    writer.removeReader(2);
    assert.ok(put(writer, 'again'));
  });

  it('gives an added reader what is put from then on', () => {
    const { writer, readers } = setUp(2);
    writer.removeReader(2);
    put(writer, 'before, published');
    writer.publish();
    put(writer, 'before, not published');
    writer.addReader(2);
    readers[1].begin();
    assert.deepEqual(read(readers[1]), []);
    put(writer, 'after');
    assert.deepEqual(read(readers[1]), []);
    writer.publish();
    assert.deepEqual(read(readers[1]), ['after']);
    assert.deepEqual(read(readers[0]), ['before, published', 'before, not published', 'after']);
  });

  // 0x7fffffff to -0x80000000 and -1 to 0 are where a comparison without wraparound would break.
  for (const position of [0, 0x7ffffff8 - 2048, -2048]) {
    it(`keeps every record through many wraps of the data area from position ${position}`, () => {
      const { writer, readers } = setUp(2, position & -8);
      const sent: string[] = [];
      const received: string[][] = [[], []];
      for (let at = 0; at < 500; at++) {
        const text = `${at}:${'y'.repeat((at * 37) % 900)}`;
        while (!put(writer, text)) {
          writer.publish();
          // Reader 1 keeps up, reader 2 takes one record at a time.
          received[0].push(...read(readers[0]));
          received[1].push(...read(readers[1], 1));
        }
        sent.push(text);
      }
      writer.publish();
      for (const [at, reader] of readers.entries()) received[at].push(...read(reader));
      assert.deepEqual(received[0], sent);
      assert.deepEqual(received[1], sent);
    });
  }

  it('goes on behind the record at which a handler threw', () => {
    const { writer, readers } = setUp(1);
    for (const text of ['one', 'two', 'three']) put(writer, text);
    writer.publish();
    const seen: string[] = [];
    const throwing = new Collector((text) => {
      if (text === 'two') throw new Error('no twos');
      seen.push(text);
    });
    assert.throws(() => readSeen(readers[0], throwing, 1000), /no twos/);
    readSeen(readers[0], throwing, 1000);
    assert.deepEqual(seen, ['one', 'three']);
    for (let at = 0; at < 100; at++) {
      assert.ok(put(writer, 'x'.repeat(300)), 'the room of all three is free again');
      writer.publish();
      read(readers[0]);
    }
  });

  it('refuses a record larger than its part of the ring', () => {
    const { writer } = setUp(1);
    const largest = 'z'.repeat(recordBytesMax(CAPACITY));
    assert.ok(put(writer, largest));
    assert.throws(() => put(writer, `${largest}z`), /fits its part/);
  });

  it('refuses a capacity that is no power of two, or too small or large', () => {
    for (const capacity of [0, 1024, 5000, 2 ** 31, -4096]) {
      assert.throws(() => createRing(capacity), /power of two/);
    }
    assert.throws(
      () => new RingWriter(new SharedArrayBuffer(12_345), 1, new Int32Array(1)),
      /power of two/,
    );
  });

  it('lets one side alone take a sleep flag', () => {
    const { writer, readers } = setUp(1);
    assert.equal(writer.takeSleeper(1), false);
    readers[0].setSleeping(true);
    assert.equal(writer.takeSleeper(1), true);
    assert.equal(writer.takeSleeper(1), false);
    readers[0].setSleeping(true);
    readers[0].setSleeping(false);
    assert.equal(writer.takeSleeper(1), false);
  });

  it('lets one reader alone take the flag of a writer that waits for room', () => {
    const { writer, readers } = setUp(2);
    assert.equal(readers[0].takeWaitingWriter(), false);
    writer.wantRoom();
    assert.equal(readers[1].takeWaitingWriter(), true);
    assert.equal(readers[0].takeWaitingWriter(), false);
  });

  it('passes over what it has seen when the length of a record cannot be, and goes on', () => {
    for (const length of [-3, -(2 ** 31), CAPACITY, 1_000, 2 ** 31 - 1]) {
      const { writer, readers, records } = setUp(1);
      put(writer, 'first');
      put(writer, 'second');
      writer.publish();
      records[(FLUSH_HEADER_BYTES + recordSpace(5)) >> 2] = length;
      const collector = new Collector();
      assert.throws(() => readSeen(readers[0], collector, Number.POSITIVE_INFINITY), RecordError);
      assert.deepEqual(collector.texts(), ['first']);
      assert.deepEqual(read(readers[0]), []);
      put(writer, 'third');
      writer.publish();
      assert.deepEqual(read(readers[0]), ['third']);
    }
  });

  it('does not go beyond what was published for padding where none should be', () => {
    const { writer, readers, records } = setUp(1);
    put(writer, 'first');
    writer.publish();
    records[FLUSH_HEADER_BYTES >> 2] = -1;
    assert.deepEqual(read(readers[0]), []);
    put(writer, 'second');
    writer.publish();
    assert.deepEqual(read(readers[0]), ['second']);
  });

  it('leaves out a record whose fragments do not fit together, and hands over the next', () => {
    const { writer, readers } = setUp(1);
    const fragment = (flags: number, total: number, text: string) => {
      const bytes = Buffer.from(text);
      const kind = 1 | FLAG_FRAGMENT | flags;
      writer.put(kind, 2, total, 0, 0, 0, 0, bytes, 0, bytes.length);
    };
    fragment(FLAG_FIRST, 4, 'too');
    fragment(0, 4, 'long');
    fragment(FLAG_LAST, 4, 'by far');
    fragment(FLAG_FIRST, 5, 'wh');
    fragment(FLAG_LAST, 5, 'ole');
    put(writer, 'next');
    writer.publish();
    assert.throws(() => read(readers[0]), RecordError);
    assert.deepEqual(read(readers[0]), ['whole', 'next']);
  });

  it('hands a record over again that was left, and nothing behind it meanwhile', () => {
    const { writer, readers } = setUp(1);
    const large = 'x'.repeat(recordBytesMax(CAPACITY) + 10);
    putRecord(writer, 1, 2, large.length, 0, 0, 0, 0, Buffer.from(large), 0, large.length);
    for (const text of ['one', 'two']) put(writer, text);
    writer.publish();
    const given: string[] = [];
    const collector = new Collector((text) => given.push(text.slice(0, 3)));
    const leaving = Object.assign(collector, { isLeft: true });
    readSeen(readers[0], leaving, Number.POSITIVE_INFINITY);
    readSeen(readers[0], leaving, Number.POSITIVE_INFINITY);
    assert.deepEqual(given, ['xxx', 'xxx']);
    assert.equal(readers[0].hasRecords(), true);
    assert.deepEqual(read(readers[0]), [large, 'one', 'two']);
    assert.equal(readers[0].hasRecords(), false);
  });

  it('stops behind the record at which its time was over', () => {
    const { writer, readers } = setUp(1);
    for (const text of ['one', 'two']) put(writer, text);
    writer.publish();
    const spent = Object.assign(new Collector(), { isSpent: true });
    readSeen(readers[0], spent, Number.POSITIVE_INFINITY);
    assert.deepEqual(spent.texts(), ['one']);
    assert.deepEqual(read(readers[0]), ['two']);
  });
});
