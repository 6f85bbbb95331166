import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RING_BACKLOG_CHUNK_BYTES } from '../../../src/base/limits.js';
import { RecordBacklog } from '../../../src/router/backlog.js';
import { createRing, RingWriter } from '../../../src/router/ring.js';
import { RingReader } from '../../../src/router/ring-reader.js';
import { Collector, readSeen } from './collector.js';

/** An empty backlog, and a ring of 4 KiB from shard 0 to shards 1 and 2. */
function setUp() {
  const memory = createRing(4096);
  const writer = new RingWriter(memory, 0b110, new Int32Array(1));
  const readers = [1, 2].map((index) => new RingReader(memory, 0, index));
  const collectors = [new Collector(), new Collector()];
  /** One round: what fits goes on the ring and is read. */
  const moveAndRead = (backlog: RecordBacklog): boolean => {
    const isEmpty = backlog.moveTo(writer);
    writer.publish();
    for (const [at, reader] of readers.entries()) readSeen(reader, collectors[at], 1e9);
    return isEmpty;
  };
  return { backlog: new RecordBacklog(), writer, collectors, moveAndRead };
}

function push(backlog: RecordBacklog, text: string, mask = 0b110): void {
  const bytes = Buffer.from(text);
  backlog.push(1, mask, bytes.length, 1, 2, 3, 4, bytes, 0, bytes.length);
  // What was pushed is a copy: the caller's buffer is used again at once.
  bytes.fill(0);
}

describe('RecordBacklog', () => {
  it('keeps copies, gives them out in order, and counts its bytes down to 0', () => {
    const { backlog, collectors, moveAndRead } = setUp();
    const sent = Array.from({ length: 2000 }, (_, at) => `${at}:${'v'.repeat((at * 31) % 700)}`);
    for (const text of sent) push(backlog, text);
    assert.ok(backlog.bytes > sent.join('').length);
    let rounds = 0;
    for (let before = backlog.bytes; !moveAndRead(backlog); before = backlog.bytes, rounds++) {
      assert.ok(backlog.bytes < before, 'every round makes progress');
    }
    assert.ok(rounds > 100);
    assert.equal(backlog.bytes, 0);
    assert.deepEqual(collectors[0].texts(), sent);
    assert.deepEqual(collectors[0].records[0].words, [1, 2, 3, 4]);
  });

  it('sends a record larger than ring and chunk in fragments that arrive as one', () => {
    const { backlog, collectors, moveAndRead } = setUp();
    const large = Array.from({ length: RING_BACKLOG_CHUNK_BYTES / 4 }, (_, at) => `${at}`).join('');
    push(backlog, 'before');
    push(backlog, large);
    push(backlog, 'after');
    while (!moveAndRead(backlog));
    assert.deepEqual(collectors[0].texts(), ['before', large, 'after']);
    assert.equal(backlog.bytes, 0);
  });

  it('goes on where fragments ended that the ring took directly', () => {
    const { backlog, writer, collectors, moveAndRead } = setUp();
    const whole = Buffer.from('0123456789'.repeat(500));
    // The first 100 bytes are on the ring: first fragment, of a total of 5,000.
    writer.put(1 | 0x100 | 0x200, 0b110, whole.length, 0, 0, 0, 0, whole, 0, 100);
    backlog.push(1, 0b110, whole.length, 0, 0, 0, 0, whole, 100, whole.length);
    while (!moveAndRead(backlog));
    assert.deepEqual(collectors[0].texts(), [whole.toString()]);
  });

  it('leaves out a reader that has died, and what was for it alone', () => {
    const { backlog, collectors, moveAndRead } = setUp();
    const large = 'L'.repeat(10_000);
    push(backlog, large);
    push(backlog, 'for both');
    push(backlog, 'for 2 alone', 0b100);
    push(backlog, 'last');
    assert.equal(moveAndRead(backlog), false, 'a part of the large one is on its way');
    backlog.forgetReader(2);
    while (!moveAndRead(backlog));
    assert.deepEqual(collectors[0].texts(), [large, 'for both', 'last']);
    assert.deepEqual(collectors[1].texts(), []);
    assert.equal(backlog.bytes, 0);
  });
});
