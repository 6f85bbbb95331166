import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  isShareFilter,
  parseShareFilter,
  toShareFilter,
} from '../../../../src/protocol/v5/index.js';

// [MQTT-4.8.2-1] [MQTT-4.8.2-2]
test('a share filter has a ShareName without wildcards and a Topic Filter behind it', () => {
  const good = [
    ['$share/g/a', 'g', 'a'],
    ['$share/consumer 1//', 'consumer 1', '/'],
    ['$share/g/#', 'g', '#'],
    ['$share/g/+/b', 'g', '+/b'],
    ['$share/g/$share/h/a', 'g', '$share/h/a'],
    ['$share/$SYS/a', '$SYS', 'a'],
  ] as const;
  for (const [text, shareName, filter] of good) {
    assert.deepEqual(parseShareFilter(text), { shareName, filter }, text);
    assert.equal(toShareFilter({ shareName, filter }), text);
  }
  const bad = ['$share/', '$share//', '$share//a', '$share/g', '$share/g/', '$share/+/a'];
  for (const text of [...bad, '$share/#/a', '$share/a+/a', '$share/a#b/a']) {
    assert.equal(isShareFilter(text), true, text);
    assert.equal(parseShareFilter(text), null, text);
  }
});

test('what does not begin with $share/ is an ordinary filter', () => {
  for (const text of ['$share', '$shared/g/a', '$SHARE/g/a', 'a/$share/g/a', '/$share/g/a', '']) {
    assert.equal(isShareFilter(text), false, text);
    assert.equal(parseShareFilter(text), null, text);
  }
});

test('the parts of any share filter make it again', () => {
  const parts = fc.string({ unit: fc.constantFrom('a', '/', '+', '#', '$', 'ü'), maxLength: 8 });
  fc.assert(
    fc.property(parts, (rest) => {
      const text = `$share/${rest}`;
      const parsed = parseShareFilter(text);
      if (parsed !== null) assert.equal(toShareFilter(parsed), text);
      assert.equal(parsed !== null, /^[^/+#]+\/./s.test(rest));
    }),
  );
});
