/** Filters of a packet, checked and read some at a time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProtocolError } from '../../../src/base/errors.js';
import {
  FilterCursor,
  SUBSCRIBE_RULES,
  UNSUBSCRIBE_RULES,
} from '../../../src/protocol/filter-cursor.js';

/** Filters behind three bytes that are none of them, and before two. */
function inBuffer(filters: readonly string[], qos: number | null): Buffer {
  const parts = filters.map((filter) => {
    const text = Buffer.from(filter, 'utf8');
    const options = qos === null ? [] : [qos];
    return Buffer.from([text.length >> 8, text.length & 0xff, ...text, ...options]);
  });
  return Buffer.concat([Buffer.alloc(3), ...parts, Buffer.alloc(2)]);
}

function subscribed(filters: readonly string[], qos = 0): FilterCursor {
  const bytes = inBuffer(filters, qos);
  return new FilterCursor(bytes, 3, bytes.length - 2, SUBSCRIBE_RULES);
}

function readAll(cursor: FilterCursor): [filterKey: string, options: number][] {
  const read: [string, number][] = [];
  while (!cursor.isAtEnd) read.push([cursor.next(), cursor.options]);
  return read;
}

describe('a filter cursor', () => {
  test('checks a part at a time and then reads from the first filter on', () => {
    const filters = Array.from({ length: 100 }, (_, index) => `f/${index}`);
    for (const bytesMax of [1, 7, 8, 64, 600, 1_000_000]) {
      const cursor = subscribed(filters, 2);
      let parts = 0;
      let before = 0;
      while (!cursor.checkSome(bytesMax)) {
        parts++;
        const checked = cursor.count - before;
        assert.ok(checked > 0 && (checked - 1) * 6 < bytesMax, `${checked} in ${bytesMax} bytes`);
        before = cursor.count;
      }
      assert.equal(parts > 0, bytesMax < 1_000_000);
      assert.equal(cursor.count, 100);
      assert.deepEqual(
        readAll(cursor),
        filters.map((filter) => [filter, 2]),
      );
    }
  });

  test('reads the filters of an UNSUBSCRIBE, which have no options, as topic keys', () => {
    const bytes = inBuffer(['a', 'ü/+', '#'], null);
    const cursor = new FilterCursor(bytes, 3, bytes.length - 2, UNSUBSCRIBE_RULES);
    assert.equal(cursor.checkSome(1_000), true);
    const keys = readAll(cursor).map(([filterKey]) => filterKey);
    assert.deepEqual(keys, ['a', Buffer.from('ü/+').toString('latin1'), '#']);
  });

  test('refuses a bad filter when it comes to it, wherever parts end', () => {
    const bad: [string, string][] = [
      ['', 'MQTT-4.7.3-1'],
      ['zero\0', 'MQTT-1.5.3-2'],
    ];
    for (const [filter, clause] of bad) {
      for (let bytesMax = 1; bytesMax < 30; bytesMax++) {
        const cursor = subscribed(['one', 'two', filter]);
        assert.throws(
          () => {
            while (!cursor.checkSome(bytesMax));
          },
          (error) => error instanceof ProtocolError && error.clause === clause,
        );
        assert.equal(cursor.count, 2);
      }
    }
  });

  test('reads in parts of so many filters, or bytes and the filter that they end in', () => {
    const cursor = subscribed(['a', 'b', 'c', 'long/long', 'long/longer', 'd']);
    while (!cursor.checkSome(100));
    const parts: string[][] = [];
    while (!cursor.isAtEnd) {
      const part: string[] = [];
      cursor.beginPart(2, 12);
      while (!cursor.isPartRead) part.push(cursor.next());
      parts.push(part);
      cursor.keep(Buffer.alloc(0));
    }
    assert.deepEqual(parts, [['a', 'b'], ['c', 'long/long'], ['long/longer'], ['d']]);
  });

  test('keeps what it has yet to read where its bytes are about to be overwritten', () => {
    const bytes = inBuffer(['one', 'two', 'three'], 1);
    const cursor = new FilterCursor(bytes, 3, bytes.length - 2, SUBSCRIBE_RULES);
    while (!cursor.checkSome(1));
    assert.equal(cursor.next(), 'one');
    const left = cursor.left;
    cursor.keep(bytes);
    bytes.fill(0xff);
    assert.equal(cursor.left, left);
    assert.deepEqual(readAll(cursor), [
      ['two', 1],
      ['three', 1],
    ]);
  });

  test('keeps its place when it is moved in the middle of the check', () => {
    const bytes = inBuffer(['one', 'two', 'three'], 1);
    const cursor = new FilterCursor(bytes, 3, bytes.length - 2, SUBSCRIBE_RULES);
    assert.equal(cursor.checkSome(1), false);
    cursor.keep(bytes);
    bytes.fill(0xff);
    while (!cursor.checkSome(1));
    assert.equal(cursor.count, 3);
    assert.equal(readAll(cursor).length, 3);
  });
});
