import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, escapeControls, silentLogger } from '../../../src/base/log.js';

function capture(isPretty: boolean) {
  return {
    text: '',
    isPretty,
    write(line: string) {
      this.text += line;
    },
  };
}

/** ESC, DEL, CSI as one C1 character, right-to-left override, zero width space, line separator. */
const HOSTILE = 'a\u001b[2J\u007f\u009b31m\u202egnp.exe\u200b\u2028b';

test('off a terminal a line is one JSON object with level, fields and message', () => {
  const out = capture(false);
  createLogger('info', out).warn({ clientId: 'a' }, 'client closed');
  const line = JSON.parse(out.text) as Record<string, unknown>;
  assert.equal(line.level, 40);
  assert.equal(line.clientId, 'a');
  assert.equal(line.msg, 'client closed');
  assert.ok(out.text.endsWith('\n') && out.text.indexOf('\n') === out.text.length - 1);
});

test('on a terminal a line is out as soon as it is said, and made for people', () => {
  const out = capture(true);
  createLogger('info', out).info({ clientId: 'a' }, 'client closed');
  assert.match(out.text, /INFO/);
  assert.match(out.text, /client closed/);
  assert.match(out.text, /clientId/);
  assert.doesNotMatch(out.text, /"level":/);
});

test('lines below the level are not written, and silent writes none', () => {
  const out = capture(false);
  createLogger('warn', out).info({}, 'no');
  createLogger('silent', out).error({}, 'no');
  silentLogger.error({}, 'no');
  assert.equal(out.text, '');
});

test('what a terminal would act on is escaped, in JSON and for people', () => {
  for (const isPretty of [false, true]) {
    const out = capture(isPretty);
    const err = new Error(HOSTILE);
    createLogger('info', out).info({ clientId: HOSTILE, err, [HOSTILE]: 1 }, HOSTILE);
    for (const character of out.text) {
      const isHarmless = character === '\n' || /^[^\p{Cc}\p{Cf}\u2028\u2029]$/u.test(character);
      assert.ok(isHarmless, `${JSON.stringify(character)} in ${JSON.stringify(out.text)}`);
    }
    if (!isPretty) assert.equal((JSON.parse(out.text) as { clientId: string }).clientId, HOSTILE);
  }
});

test('text without controls is left as it is', () => {
  const text = 'größe 温度 🌡 "quoted" \\u202e\n';
  assert.equal(escapeControls(text), text);
  assert.equal(escapeControls('\u{e0041}'), '\\udb40\\udc41');
});

test('colours are on only where they are wanted, in lines for people', () => {
  for (const hasColors of [false, true]) {
    const out = { ...capture(true), hasColors };
    createLogger('info', out).info({}, 'hello');
    assert.equal(out.text.includes('\u001b[32m'), hasColors);
  }
});

test('a multi-line logger shows each field on a line of its own', () => {
  const out = { ...capture(true), isMultiLine: true };
  createLogger('info', out).info({ one: 1, two: { three: 3 } }, 'numbers');
  assert.match(out.text, /numbers\n +one: 1\n +two: \{\n +"three": 3\n +\}\n/);
});
