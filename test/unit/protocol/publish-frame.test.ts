import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as mqttPacket from 'mqtt-packet';
import { REMAINING_LENGTH_MAX } from '../../../src/base/limits.js';
import {
  copyRunAsQos0,
  copyRunWithHeader,
  copyRunWithIds,
  encodePublish,
  frameEnd,
  remainingLengthBytes,
  writeRemainingLength,
} from '../../../src/protocol/publish-frame.js';
import {
  oracleParse,
  type Publish,
  packetIds,
  payloads,
  publishBytes,
  qualities,
  runPublishes,
  topics,
} from './arbitraries.js';

/** Where the remaining length takes one byte more. */
const LENGTH_STEPS = [128, 16_384, 2_097_152];
/** In place of a number of frames: as many as there are. */
const ALL = Number.POSITIVE_INFINITY;
const MARGIN = 5;

/** A run in the middle of other bytes, and a target with a guard behind the room it offers. */
class Copying {
  readonly source: Buffer;
  readonly start = MARGIN;
  readonly end: number;
  readonly target: Buffer;
  readonly at = MARGIN;
  constructor(run: readonly Publish[]) {
    const frames = run.map(publishBytes);
    const guard = Buffer.alloc(MARGIN, 0xee);
    this.source = Buffer.concat([guard, ...frames, guard]);
    this.end = this.source.length - MARGIN;
    this.target = Buffer.alloc(this.source.length, 0xee);
  }
  /** What was written up to `end`; nothing may have been written before, or behind the room. */
  written(end: number): Buffer {
    const guard = Buffer.alloc(MARGIN, 0xee);
    assert.deepEqual(this.target.subarray(0, MARGIN), guard);
    assert.deepEqual(this.target.subarray(-MARGIN), guard);
    return this.target.subarray(this.at, end);
  }
}

function encoded(run: readonly Publish[]): Buffer {
  return Buffer.concat(run.map(publishBytes));
}

const qos12Runs = runPublishes.filter(([first]) => first.qos > 0);
const headers12 = fc.constantFrom(0x32, 0x33, 0x34, 0x35, 0x3a, 0x3b, 0x3c, 0x3d);

function flagsOf(header: number): Pick<Publish, 'qos' | 'retain' | 'dup'> {
  const qos = (header >> 1) & 3;
  assert.ok(qos === 0 || qos === 1 || qos === 2);
  return { qos, retain: (header & 1) === 1, dup: (header & 8) === 8 };
}

function asQos0(run: readonly Publish[]): Publish[] {
  return run.map((publish) => ({ ...publish, qos: 0, retain: false, dup: false }));
}

function checkAsQos0(run: readonly Publish[]): void {
  const copying = new Copying(run);
  const { source, start, end, target, at } = copying;
  const written = copying.written(copyRunAsQos0(source, start, end, target, at));
  assert.ok(written.equals(encoded(asQos0(run))));
}

describe('rewriting runs against mqtt-packet', () => {
  test('frameEnd finds the end of each frame', () => {
    fc.assert(
      fc.property(runPublishes, (run) => {
        const bytes = encoded(run);
        let at = 0;
        for (const publish of run) {
          at = frameEnd(bytes, at);
          assert.deepEqual(oracleParse(bytes.subarray(0, at)).at(-1)?.cmd, 'publish');
          assert.ok(publish.payload.equals(bytes.subarray(at - publish.payload.length, at)));
        }
        assert.equal(at, bytes.length);
      }),
    );
  });

  test('copyRunWithHeader gives what mqtt-packet writes with the other flags', () => {
    const ofSameQos = runPublishes.chain((run) =>
      fc.record({
        run: fc.constant(run),
        flags: fc.record({
          retain: fc.boolean(),
          dup: run[0].qos === 0 ? fc.constant(false) : fc.boolean(),
        }),
      }),
    );
    fc.assert(
      fc.property(ofSameQos, ({ run, flags }) => {
        const copying = new Copying(run);
        const { source, start, end, target, at } = copying;
        const header = 0x30 | (run[0].qos << 1) | Number(flags.retain) | (Number(flags.dup) << 3);
        const targetEnd = copyRunWithHeader(source, start, end, target, at, header);
        assert.equal(targetEnd, at + end - start);
        const expected = encoded(run.map((publish) => ({ ...publish, ...flags })));
        assert.deepEqual(copying.written(targetEnd), expected);
      }),
      { numRuns: 200 },
    );
  });

  test('copyRunWithIds gives what mqtt-packet writes with the other packet ids', () => {
    const counts = fc.oneof(fc.integer({ min: 0, max: 8 }), fc.constant(ALL));
    const firstIds = fc.oneof(packetIds, fc.integer({ min: 65_530, max: 65_535 }));
    fc.assert(
      fc.property(qos12Runs, counts, headers12, firstIds, (run, count, header, firstId) => {
        const copying = new Copying(run);
        const { source, start, end, target, at } = copying;
        const isWhole = count === ALL;
        const frames = isWhole ? run.length : count;
        const next = copyRunWithIds(
          source,
          start,
          end,
          frames,
          isWhole,
          target,
          at,
          header,
          firstId,
        );
        const copied = run.slice(0, count);
        assert.equal(next, start + encoded(copied).length);
        const expected = copied.map((publish, index) => ({
          ...publish,
          ...flagsOf(header),
          // 1 follows 65,535: packet id 0 is forbidden [MQTT-2.3.1-1].
          messageId: ((firstId - 1 + index) % 65_535) + 1,
        }));
        assert.deepEqual(copying.written(at + next - start), encoded(expected));
      }),
      { numRuns: 300 },
    );
  });

  test('copyRunAsQos0 gives what mqtt-packet writes without packet ids', () => {
    fc.assert(fc.property(qos12Runs, checkAsQos0), { numRuns: 300 });
  });

  test('copyRunAsQos0 shortens the remaining length where two bytes less need a byte less', () => {
    const publish = (remainingLength: number, messageId: number): Publish => ({
      topic: 'a/b',
      payload: Buffer.alloc(remainingLength - 7, messageId),
      qos: 1,
      retain: true,
      dup: true,
      messageId,
    });
    for (const step of LENGTH_STEPS) {
      for (let length = step - 2; length <= step + 3; length++) {
        // Alone, first, between others and last; beside one that keeps its length and one that does
        // not.
        checkAsQos0([publish(length, 1)]);
        checkAsQos0([publish(length, 1), publish(20, 2), publish(length, 3), publish(129, 4)]);
        checkAsQos0([publish(20, 2), publish(length, 3), publish(129, 4), publish(length, 5)]);
      }
    }
  });

  test('copyRunWithIds and copyRunWithHeader handle remaining lengths of one to four bytes', () => {
    for (const step of [...LENGTH_STEPS]) {
      const run = [step - 1, step].map(
        (length): Publish => ({
          topic: 'a/b',
          payload: Buffer.alloc(length - 7, 1),
          qos: 2,
          retain: false,
          dup: false,
          messageId: 9,
        }),
      );
      const copying = new Copying(run);
      const { source, start, end, target, at } = copying;
      copyRunWithIds(source, start, end, 2, true, target, at, 0x32, 65_535);
      const numbered = run.map((publish, i) => ({
        ...publish,
        qos: 1 as const,
        messageId: i || 65_535,
      }));
      assert.ok(copying.written(at + end - start).equals(encoded(numbered)));
      copyRunWithHeader(source, start, end, target, at, 0x35);
      const retained = run.map((publish) => ({ ...publish, retain: true }));
      assert.ok(copying.written(at + end - start).equals(encoded(retained)));
    }
  });

  test('a target too small for the run is a programmer error', () => {
    const source = encodePublish('t', Buffer.alloc(9), 0x32, 1);
    const target = Buffer.alloc(source.length - 1);
    assert.throws(() => copyRunAsQos0(source, 0, source.length, target, 0), /room/);
    assert.throws(() => copyRunWithHeader(source, 0, source.length, target, 0, 0x32), /room/);
    const withIds = () => copyRunWithIds(source, 0, source.length, 1, true, target, 0, 0x32, 1);
    assert.throws(withIds, /room/);
  });
});

describe('encodePublish', () => {
  test('writes what mqtt-packet writes', () => {
    fc.assert(
      fc.property(
        topics,
        payloads,
        qualities,
        fc.boolean(),
        packetIds,
        (topic, payload, qos, retain, id) => {
          const key = Buffer.from(topic).toString('latin1');
          const header = 0x30 | (qos << 1) | Number(retain);
          const expected = publishBytes({ topic, payload, qos, retain, dup: false, messageId: id });
          assert.deepEqual(encodePublish(key, payload, header, id), expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('writes every size of remaining length, and the longest topic', () => {
    const topic = 't'.repeat(65_535);
    const long = encodePublish(topic, Buffer.from('x'), 0x32, 258);
    const expected = mqttPacket.generate({
      cmd: 'publish',
      topic,
      payload: 'x',
      qos: 1,
      retain: false,
      dup: false,
      messageId: 258,
    });
    assert.ok(long.equals(expected));
    for (const step of LENGTH_STEPS) {
      for (const length of [step - 1, step]) {
        const frame = encodePublish('abc', Buffer.alloc(length - 5), 0x30, 0);
        assert.equal(frameEnd(frame, 0), frame.length);
        assert.equal(oracleParse(frame)[0].length, length);
      }
    }
  });

  test('does not make a frame that MQTT cannot say', () => {
    const tooLong = { length: REMAINING_LENGTH_MAX } as Uint8Array;
    assert.throws(() => encodePublish('t', tooLong, 0x30, 0), /268,435,455/);
    assert.throws(() => encodePublish('t'.repeat(65_536), Buffer.alloc(0), 0x30, 0), /65,535/);
  });
});

test('remaining lengths are written in their shortest form [MQTT 3.1.1, table 2.4]', () => {
  const table: readonly (readonly [number, string])[] = [
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [16_383, 'ff7f'],
    [16_384, '808001'],
    [2_097_151, 'ffff7f'],
    [2_097_152, '80808001'],
    [268_435_455, 'ffffff7f'],
  ];
  for (const [length, hex] of table) {
    const target = Buffer.alloc(5, 0xee);
    const end = writeRemainingLength(target, 0, length);
    assert.equal(target.toString('hex', 0, end), hex);
    assert.equal(end, remainingLengthBytes(length));
    assert.equal(target[end], 0xee);
  }
});
