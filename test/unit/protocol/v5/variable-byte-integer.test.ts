import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  VARIABLE_BYTE_INTEGER_MAX,
  variableByteIntegerAt,
  variableByteIntegerBytes,
  variableByteIntegerEnd,
  writeVariableByteInteger,
} from '../../../../src/protocol/v5/index.js';
import { VariableByteIntegerFault } from '../../../../src/protocol/v5/variable-byte-integer.js';

function endOf(hex: string): number {
  const bytes = Buffer.from(hex, 'hex');
  return variableByteIntegerEnd(bytes, 0, bytes.length);
}

// Table 1-1 of section 1.5.5.
test('writes each value in the fewest bytes and reads it again', () => {
  const ends = [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, VARIABLE_BYTE_INTEGER_MAX];
  const values = fc.oneof(
    fc.constantFrom(...ends),
    fc.integer({ min: 0, max: VARIABLE_BYTE_INTEGER_MAX }),
  );
  fc.assert(
    fc.property(values, (value) => {
      const bytes = Buffer.alloc(6, 0xff);
      const end = writeVariableByteInteger(bytes, 1, value);
      assert.equal(end - 1, variableByteIntegerBytes(value));
      assert.equal(end - 1, value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4);
      assert.equal(variableByteIntegerEnd(bytes, 1, bytes.length), end);
      assert.equal(variableByteIntegerAt(bytes, 1), value);
      assert.equal(variableByteIntegerEnd(bytes, 1, end - 1), VariableByteIntegerFault.cutShort);
    }),
    { numRuns: 1_000 },
  );
});

// [MQTT-1.5.5-1]
test('refuses a value in more bytes than it needs, and more than four bytes', () => {
  for (const hex of ['8000', 'ff00', '808000', '80808000', '8080808000', 'ffffffff01']) {
    assert.equal(endOf(hex), VariableByteIntegerFault.illFormed, hex);
  }
  for (const hex of ['', '80', '8080', '808080']) {
    assert.equal(endOf(hex), VariableByteIntegerFault.cutShort, hex);
  }
  assert.equal(endOf('00'), 1);
  assert.equal(endOf('ffffff7f'), 4);
});
