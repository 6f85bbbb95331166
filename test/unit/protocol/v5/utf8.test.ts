import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkUtf8, Utf8Fault } from '../../../../src/protocol/v5/index.js';

function check(hex: string): Utf8Fault {
  const bytes = Buffer.from(hex, 'hex');
  return checkUtf8(bytes, 0, bytes.length);
}

// [MQTT-1.5.4-1] [MQTT-1.5.4-2]
test('agrees with Node on what is UTF-8, NUL apart', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 12 }),
    // Bytes that often make characters of two to four bytes.
    fc
      .array(fc.constantFrom(0x61, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0), {
        maxLength: 8,
      })
      .map((values) => Uint8Array.from(values)),
    fc
      .array(
        fc.constantFrom(0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4),
        {
          maxLength: 8,
        },
      )
      .map((values) => Uint8Array.from(values)),
    fc.string({ unit: 'binary', maxLength: 8 }).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, (drawn) => {
      const padded = Uint8Array.from([0xff, ...drawn, 0x80]);
      const fault = checkUtf8(padded, 1, padded.length - 1);
      if (fault === Utf8Fault.nul) assert.ok(drawn.includes(0));
      else if (!drawn.includes(0)) assert.equal(fault === Utf8Fault.none, isUtf8(drawn));
      else assert.equal(fault, Utf8Fault.illFormed);
    }),
    { numRuns: 5_000 },
  );
});

// [MQTT-1.5.4-1]
test('refuses surrogates, overlong forms, what is cut short and what lies past U+10FFFF', () => {
  for (const hex of ['eda080', 'edbfbf', 'c080', 'c1bf', 'e09fbf', 'f08fbfbf', 'f4908080']) {
    assert.equal(check(hex), Utf8Fault.illFormed, hex);
  }
  for (const hex of ['80', 'bf', 'c2', 'e0a0', 'f09080', 'f5808080', 'ff', 'c241', 'e1808041']) {
    assert.equal(check(hex), hex === 'e1808041' ? Utf8Fault.none : Utf8Fault.illFormed, hex);
  }
});

// [MQTT-1.5.4-2]
test('refuses U+0000 wherever it stands', () => {
  for (const hex of ['00', '6100', '0061', 'c3bc00']) assert.equal(check(hex), Utf8Fault.nul, hex);
});

// [MQTT-1.5.4-3]; control characters and non-characters should not be sent, and may.
test('takes U+FEFF, control characters, non-characters and the whole of Unicode', () => {
  for (const hex of ['', 'efbbbf', '01', '7f', 'c285', 'efbfbe', 'efbfbf', 'ee8080', 'f48fbfbf']) {
    assert.equal(check(hex), Utf8Fault.none, hex);
  }
});
