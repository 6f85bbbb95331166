/** `surgemq sub -F`: what the formats print, and what is refused. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { type FormatOptions, readFormat } from '../../../src/cli/message-format.js';
import { strftime } from '../../../src/cli/strftime.js';
import { Message } from '../../../src/client/index.js';

const MOMENT = { date: new Date(1_795_875_501_505), nanoseconds: 505_434_868 };
const PLAIN: FormatOptions = { isPretty: false, onNoJson: () => {} };

function formatted(format: string, message: Message, options = PLAIN): string {
  const { parts, fault } = readFormat(format, options);
  assert.equal(fault, null);
  return Buffer.concat((parts ?? []).map((part) => Buffer.from(part(message, MOMENT)))).toString();
}
const message = (payload: string | Buffer, qos: 0 | 1 | 2 = 1): Message =>
  new Message('x/topic', Buffer.from(payload), qos, false, false, qos === 0 ? 0 : 7);

test('parameters, flags, widths, escapes', () => {
  for (const [format, expected] of [
    ['%t|%p|%q|%r|%l|%m|%%', 'x/topic|hé|1|0|3|7|%'],
    ['%x|%X', '68c3a9|68C3A9'],
    ['%10t|%-10t|%.3t|%3.2t|%-5.2t|', '   x/topic|x/topic   |x/t| x/|x/   |'],
    ['%5l|%-5l|%05l|%-05l|%4m|%8x|%08x', '    3|3    |00003|3    |   7|  68c3a9|0068c3a9'],
    ['%5p|%-5p|', '  hé|hé  |'],
    ['a\\tb\\nc\\0d\\\\e\\a\\e\\r\\v', 'a\tb\nc\0d\\e\x07\x1b\r\v'],
    ['@@|@N', '@|505434868'],
    ['%U', '1795875501.505434868'],
    ['[%A%C%D%E%F%P%R%S]', '[]'],
    ['größe %t', 'größe x/topic'],
    ['', ''],
  ]) {
    assert.equal(formatted(format, message('hé')), expected, format);
  }
});

test('JSON: payload as text, payload as JSON, over several lines', () => {
  const fields = '"topic":"x/topic","qos":1,"retain":0,"payloadlen"';
  const withoutTime = (text: string): string => text.replace(/"tst":"[^"]*",/, '');
  const json = message('{"a":[1,"b"]}');
  assert.equal(
    withoutTime(formatted('%j', json)),
    `{${fields}:13,"mid":7,"payload":"{\\"a\\":[1,\\"b\\"]}"}`,
  );
  assert.equal(formatted('json', json), formatted('%j', json));
  assert.equal(
    withoutTime(formatted('%J', json)),
    `{${fields}:13,"mid":7,"payload":{"a":[1,"b"]}}`,
  );
  assert.match(formatted('%j', message('x', 0)), /"payloadlen":1,"payload":"x"}$/);
  assert.match(formatted('%J', message('')), /"payload":null}$/);
  assert.match(formatted('%j', json), /"tst":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.505434[+-]\d{4}"/);
  const faults: string[] = [];
  const options = { isPretty: false, onNoJson: (topic: string) => void faults.push(topic) };
  assert.equal(formatted('<%J>', message('plain'), options), '<>');
  assert.deepEqual(faults, ['x/topic']);
  assert.match(
    formatted('%J', message('{"a":[1,{"b":{}}]}'), { ...PLAIN, isPretty: true }),
    /^{\n\t"tst":\t".*",\n\t"topic":\t"x\/topic",\n(\t.*\n)*\t"payload":\t{\n\t\t"a":\t\[1, {\n/,
  );
});

test('what is no format is refused', () => {
  for (const format of ['%z', '%', '%5', '@', '@E', '\\', '\\q', 'a%.']) {
    const { parts, fault } = readFormat(format, PLAIN);
    assert.equal(parts, null, format);
    assert.match(String(fault), /specifier/);
  }
});

test('times are those of the C library', () => {
  const letters = [...'aAbBcCdDeFhHIjklmMnprRsStTuwxXyYz'];
  for (const seconds of [1_795_875_501, 951_782_400, 1_704_067_199, 0]) {
    const format = `+${letters.map((letter) => `%${letter}`).join('|')}`;
    const command = ['LC_ALL=C', 'date', '-d', `@${seconds}`, format];
    const expected = execFileSync('env', command).toString();
    const moment = { date: new Date(seconds * 1_000), nanoseconds: 0 };
    const actual = letters.map((letter) => strftime(letter)?.(moment)).join('|');
    assert.equal(`${actual}\n`, expected);
  }
});
