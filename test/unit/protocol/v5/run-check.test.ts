import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecordError } from '../../../../src/base/errors.js';
import { checkRun } from '../../../../src/protocol/run-check.js';
import {
  encodePacket5,
  PublishView,
  propertyBytesOf,
  Sender,
} from '../../../../src/protocol/v5/index.js';
import { publishesOf } from './arbitraries.js';

interface Run {
  readonly bytes: Buffer;
  readonly header: number;
  readonly topicLength: number;
  readonly count: number;
}

const runs: fc.Arbitrary<Run> = fc
  .record({
    packet: publishesOf(Sender.client).map((one) => ({ ...one, topic: one.topic || 't' })),
    payloads: fc.array(
      fc.constantFrom(0, 3, 100, 20_000).map((length) => Buffer.alloc(length)),
      { minLength: 1, maxLength: 4 },
    ),
  })
  .map(({ packet, payloads }) => ({
    bytes: Buffer.concat(
      payloads.map((payload) => encodePacket5({ ...packet, payload }, Sender.client)),
    ),
    header: 0x30 | (packet.qos << 1) | Number(packet.retain),
    topicLength: Buffer.byteLength(packet.topic),
    count: payloads.length,
  }));

/** As a shard reads them of a ring. */
function readProperties({ bytes, header, topicLength, count }: Run): number {
  const topicStart = checkRun(bytes, 0, bytes.length, header, topicLength, count);
  return propertyBytesOf(bytes, 0, topicStart, topicLength, header);
}

test('the properties of a run that was scanned are found as they were', () => {
  const view = new PublishView();
  fc.assert(
    fc.property(runs, (run) => {
      view.readTrusted(run.bytes, 0, 5);
      const idBytes = (run.header & 6) === 0 ? 0 : 2;
      assert.equal(readProperties(run), view.payloadOffset - 2 - run.topicLength - idBytes);
    }),
    { numRuns: 500 },
  );
});

test('properties beyond their frame are a RecordError', () => {
  const view = new PublishView();
  fc.assert(
    fc.property(runs, fc.integer({ min: 1, max: 300 }), (run, more) => {
      const { bytes, count } = run;
      view.readTrusted(bytes, 0, 5);
      const said = view.propertiesLength + more;
      if (view.propertiesLength >= 0x80 || said >= 0x80 || count > 1) return;
      if (view.propertiesStart + said <= bytes.length) return;
      bytes[view.propertiesStart - 1] = said;
      assert.throws(() => readProperties(run), RecordError);
    }),
    { numRuns: 500 },
  );
});

test('damaged bytes are a RecordError, or a run that stays within its bytes', () => {
  const damages = fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 255 })), { maxLength: 3 });
  fc.assert(
    fc.property(runs, damages, (run, damage) => {
      const { bytes, topicLength } = run;
      for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
      try {
        assert.ok(topicLength + readProperties(run) <= bytes.length);
      } catch (error) {
        assert.ok(error instanceof RecordError);
      }
    }),
    { numRuns: 1_000 },
  );
});
