import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecordError } from '../../../../src/base/errors.js';
import {
  checkRun5,
  encodePacket5,
  PublishView,
  Sender,
} from '../../../../src/protocol/v5/index.js';
import { publishesOf } from './arbitraries.js';

const runs = fc
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

test('a run that was scanned is found as it was, and where its payloads begin', () => {
  const view = new PublishView();
  fc.assert(
    fc.property(runs, ({ bytes, header, topicLength, count }) => {
      view.readTrusted(bytes, 0, 5);
      const offset = checkRun5(
        bytes,
        0,
        bytes.length,
        header,
        topicLength,
        view.propertiesLength,
        count,
      );
      assert.equal(offset, view.payloadOffset);
    }),
    { numRuns: 500 },
  );
});

test('properties of another length, or beyond their frame, are a RecordError', () => {
  const view = new PublishView();
  fc.assert(
    fc.property(
      runs,
      fc.integer({ min: 1, max: 300 }),
      ({ bytes, header, topicLength, count }, more) => {
        view.readTrusted(bytes, 0, 5);
        const said = view.propertiesLength + more;
        const check = () => checkRun5(bytes, 0, bytes.length, header, topicLength, said, count);
        assert.throws(check, RecordError);
        // The frame says the same, and has not so many bytes.
        if (view.propertiesLength >= 0x80 || said >= 0x80) return;
        const end = view.payloadStart - view.propertiesLength + said;
        bytes[view.propertiesStart - 1] = said;
        view.readTrusted(bytes, 0, 5);
        const first = bytes.length;
        if (count > 1 || end <= first) return;
        assert.throws(check, RecordError);
      },
    ),
    { numRuns: 500 },
  );
});

test('damaged bytes are a RecordError, or a run that stays within its bytes', () => {
  const damages = fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 255 })), { maxLength: 3 });
  const view = new PublishView();
  fc.assert(
    fc.property(runs, damages, ({ bytes, header, topicLength, count }, damage) => {
      view.readTrusted(bytes, 0, 5);
      const { propertiesLength } = view;
      for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
      try {
        checkRun5(bytes, 0, bytes.length, header, topicLength, propertiesLength, count);
      } catch (error) {
        assert.ok(error instanceof RecordError);
        return;
      }
      view.readTrusted(bytes, 0, 5);
      assert.ok(view.payloadStart <= bytes.length);
      assert.deepEqual([view.topicLength, view.propertiesLength], [topicLength, propertiesLength]);
    }),
    { numRuns: 1_000 },
  );
});
