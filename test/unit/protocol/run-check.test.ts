import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RecordError } from '../../../src/base/errors.js';
import {
  copyRunAsQos0,
  copyRunWithHeader,
  copyRunWithIds,
  encodePublish,
} from '../../../src/protocol/publish-frame.js';
import { checkFrames, checkRun } from '../../../src/protocol/run-check.js';

const TOPIC = 'some/topic';
const MARGIN = 7;

interface Damage {
  readonly at: number;
  readonly byte: number;
}

/** Payload lengths of a run: of one to three bytes in the remaining length. */
const lengths = fc.array(fc.constantFrom(0, 3, 100, 115, 200, 20_000), {
  minLength: 1,
  maxLength: 5,
});
const damages = fc.array(
  fc.record<Damage>({ at: fc.nat(400), byte: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }),
  { minLength: 1, maxLength: 6 },
);

/** Frames between other bytes; every second one has DUP, as those of a run may. */
function makeRun(sizes: readonly number[], qos: number) {
  const header = 0x30 | (qos << 1);
  const frames = sizes.map((size, at) =>
    encodePublish(TOPIC, Buffer.alloc(size, 'p'), header | (qos > 0 && at % 2 ? 8 : 0), at + 1),
  );
  const bytes = Buffer.concat([Buffer.alloc(MARGIN, 0xff), ...frames, Buffer.alloc(MARGIN, 0xff)]);
  return { bytes, start: MARGIN, end: bytes.length - MARGIN, header, count: sizes.length };
}

/** Nothing but a RecordError may come out, and nothing may be written outside of the run's room. */
function expectOnlyRecordErrors(copy: (target: Buffer) => void, room: number): void {
  const target = Buffer.alloc(room);
  try {
    copy(target);
  } catch (error) {
    assert.ok(error instanceof RecordError, String(error));
  }
}

describe('checkRun', () => {
  test('finds the topic of any run', () => {
    fc.assert(
      fc.property(lengths, fc.constantFrom(0, 1, 2), (sizes, qos) => {
        const { bytes, start, end, header, count } = makeRun(sizes, qos);
        const at = checkRun(bytes, start, end, header, TOPIC.length, count);
        assert.equal(bytes.toString('latin1', at, at + TOPIC.length), TOPIC);
        checkFrames(bytes, start, end, count);
      }),
    );
  });

  test('refuses a run that is not what its record says', () => {
    const { bytes, start, end, header, count } = makeRun([200, 3], 1);
    const refuseIn = (buffer: Buffer, ...[from, to, first, length, frames]: number[]) =>
      assert.throws(() => checkRun(buffer, from, to, first, length, frames), RecordError);
    const refuse = (...numbers: number[]) => refuseIn(bytes, ...numbers);
    const { length } = TOPIC;
    refuse(start, start, header, length, count);
    refuse(start, end, header | 8, length, count);
    refuse(start, end, 0x34, length, count);
    refuse(start, end, 0x40, length, count);
    refuse(start, end, header, length - 1, count);
    refuse(start, end, header, 0, count);
    refuse(start, end, header, length, 0);
    refuse(start, end, header, length, 1);
    refuse(start, end, header, length, 20);
    refuse(start, end, header, length, 70_000);
    refuse(start, start + 100, header, length, count);
    refuse(start + 1, end, header, length, count);
    // The topic's length is right, but its frame ends within it, or within the packet id.
    const cut = Buffer.from(bytes);
    for (const remaining of [2, 2 + length - 1, 2 + length + 1]) {
      cut.writeUInt16BE(0x8000 | (remaining << 8), start + 1);
      refuseIn(cut, start, end, header, length, count);
    }
    assert.throws(() => checkFrames(bytes, start, end, 3), RecordError);
    assert.throws(() => checkFrames(bytes, start, end, 1), RecordError);
    assert.throws(() => checkFrames(bytes, start, end - 1, 2), RecordError);
  });

  test('a damaged run is an error of its record, or is copied; it never goes on for ever', () => {
    fc.assert(
      fc.property(lengths, fc.constantFrom(0, 1, 2), damages, (sizes, qos, bad) => {
        const { bytes, start, end, header, count } = makeRun(sizes, qos);
        for (const { at, byte } of bad) bytes[start + (at % (end - start))] = byte;
        try {
          checkRun(bytes, start, end, header, TOPIC.length, count);
        } catch (error) {
          assert.ok(error instanceof RecordError, String(error));
          return;
        }
        const room = end - start;
        const withHeader = (target: Buffer) =>
          void copyRunWithHeader(bytes, start, end, target, 0, header);
        expectOnlyRecordErrors(withHeader, room);
        if (qos === 0) return;
        expectOnlyRecordErrors((target) => void copyRunAsQos0(bytes, start, end, target, 0), room);
        for (const isWhole of [true, false]) {
          const withIds = (target: Buffer) =>
            void copyRunWithIds(bytes, start, end, count, isWhole, target, 0, header, 65_534);
          expectOnlyRecordErrors(withIds, room);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('a run with more or fewer frames than it says is not given packet ids', () => {
    const { bytes, start, end, header } = makeRun([3, 3, 3], 1);
    for (const count of [2, 4]) {
      const target = Buffer.alloc(end - start);
      const copy = () => copyRunWithIds(bytes, start, end, count, true, target, 0, header, 65_534);
      assert.throws(copy, RecordError);
    }
  });
});
