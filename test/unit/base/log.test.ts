import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, silentLogger } from '../../../src/base/log.js';

function capture(isTTY: boolean): { text: string; isTTY: boolean; write(line: string): void } {
  return {
    text: '',
    isTTY,
    write(line) {
      this.text += line;
    },
  };
}

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
