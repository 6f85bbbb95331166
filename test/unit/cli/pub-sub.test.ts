/** Command lines of `surgemq pub` and `surgemq sub` that are refused before a connection. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { mock, test } from 'node:test';
import { linesOf } from '../../../src/cli/message-source.js';
import { run as pub } from '../../../src/cli/pub.js';
import { run as rr } from '../../../src/cli/rr.js';
import { run as sub } from '../../../src/cli/sub.js';
import {
  type ConnectPacket5,
  type ControlPacket5,
  parsePacket5,
  Sender,
  type SubscribePacket5,
} from '../../../src/protocol/v5/index.js';
import { hex } from '../../support/packets.js';
import { FakeServer } from '../client/fake-server.js';

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  pub,
  rr,
  sub,
};

/**
 * Runs a command in this process and keeps what it says on the standard error; the standard output
 * is how the test runner reports.
 */
async function outcomeOf([name, ...args]: readonly string[]) {
  let printed = '';
  const write = (text: string | Uint8Array): boolean => {
    printed += text;
    return true;
  };
  const stderr = mock.method(process.stderr, 'write', write);
  try {
    return { code: await COMMANDS[name](args), printed: () => printed };
  } finally {
    stderr.mock.restore();
  }
}

const cases: [string, string[], RegExp][] = [
  ['no topic', ['pub', '-m', 'x'], /Both topic and message must be supplied/],
  ['no message', ['pub', '-t', 'x'], /Both topic and message must be supplied/],
  ['two messages', ['pub', '-t', 'x', '-m', 'x', '-n'], /Only one type of message/],
  ['a wildcard', ['pub', '-t', 'a/#', '-m', 'x'], /Invalid publish topic 'a\/#'/],
  ['QoS 3', ['pub', '-t', 'a', '-m', 'x', '-q', '3'], /Invalid qos given: 3/],
  ['no filter', ['sub'], /You must specify a topic to subscribe to/],
  ['a bad filter', ['sub', '-t', 'a#'], /Invalid subscription topic 'a#'/],
  ['port 0', ['sub', '-t', 'a', '-p', '0'], /Invalid port given: 0/],
  ['-c without -i', ['sub', '-t', 'a', '-c'], /-c needs a client id/],
  ['version 6', ['sub', '-t', 'a', '-V', 'mqttv6'], /Invalid protocol-version given: mqttv6/],
  ['a bad URL', ['sub', '-L', 'http://x/a'], /Invalid URL given/],
  ['a will without topic', ['sub', '-t', 'a', '--will-retain'], /--will-retain needs --will-topic/],
  ['a password alone', ['sub', '-t', 'a', '-P', 'p'], /password needs a username/],
  ['no percentage', ['sub', '-t', 'a', '--random-filter', '0'], /Invalid random-filter given: 0/],
  ['a request to nobody', ['rr', '-m', 'x'], /Both topic and message must be supplied/],
  ['a request of lines', ['rr', '-t', 'a', '-l'], /-l is no flag/],
  ['no place for a response', ['rr', '-t', 'a', '-n', '-V', '4'], /A response topic must be/],
  ['a bad response topic', ['rr', '-t', 'a', '-n', '-e', '#'], /Invalid response topic '#'/],
  ['data without method', ['pub', '-D', 'connect', 'authentication-data', 'x'], /needs auth/],
  ['a file that is not there', ['pub', '-t', 'a', '-f', '/nowhere'], /ENOENT.*nowhere/],
];
for (const [name, args, message] of cases) {
  test(`${name}: said in a line, exit code 1`, async () => {
    const { code, printed } = await outcomeOf(args);
    assert.equal(code, 1);
    assert.match(printed(), message);
    assert.doesNotMatch(printed(), /\n {4}at /);
  });
}

test('all faults of a command line are said at once', async () => {
  const { printed } = await outcomeOf(['pub', '-q', '9', '-p', 'x', '--bogus', 'word']);
  for (const part of [/qos/, /port/, /--bogus/, /'word'/, /Both topic and message/, /pub --help/]) {
    assert.match(printed(), part);
  }
});

test('--quiet keeps quiet, but not the exit code', async () => {
  const { code, printed } = await outcomeOf(['sub', '--quiet']);
  assert.deepEqual([code, printed()], [1, '']);
});

test('lines are cut as bytes, whatever pieces they come in', async () => {
  const bytes = Buffer.from([97, 10, 10, 255, 0, 10, 98, 13, 10, 99]);
  const expected = ['61', '', 'ff00', '620d', '63'];
  for (let piece = 1; piece <= bytes.length; piece++) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += piece) chunks.push(bytes.subarray(at, at + piece));
    const lines: string[] = [];
    for await (const line of linesOf(Readable.from(chunks))) lines.push(line.toString('hex'));
    assert.deepEqual(lines, expected, `pieces of ${piece}`);
  }
});

test('-D of each command is in its packet', async (t) => {
  const server = await FakeServer.start();
  t.after(() => server.stop());
  const args = [
    'sub',
    '-p',
    new URL(server.uri).port,
    '-h',
    '127.0.0.1',
    '-t',
    'a',
    '-U',
    'b',
    '-E',
  ];
  const properties = [
    ['connect', 'authentication-data', 'x'],
    ['connect', 'authentication-method', 'M'],
    ['subscribe', 'user-property', 'k', 's'],
    ['unsubscribe', 'user-property', 'k', 'u'],
    ['disconnect', 'user-property', 'k', 'd'],
  ].flatMap((words) => ['-D', ...words]);
  const ended = outcomeOf([...args, ...properties]);
  const connection = await server.accept();
  const read = async (): Promise<ControlPacket5> => {
    const packet = await connection.readPacket();
    return parsePacket5(packet, 0, packet.length, Sender.client);
  };
  const connect = (await read()) as ConnectPacket5;
  assert.equal(connect.properties.authenticationMethod, 'M');
  assert.equal(connect.properties.authenticationData?.toString(), 'x');
  connection.send(hex('20 07 00 00 04 15 0001 4d'));
  const said: unknown[] = [];
  for (const answer of ['90 04 0001 00 00', 'b0 04 0002 00 00', '']) {
    const packet = (await read()) as SubscribePacket5;
    said.push([packet.type, packet.properties.userProperties]);
    connection.send(hex(answer));
  }
  connection.end();
  assert.equal((await ended).code, 0);
  assert.deepEqual(said, [
    ['subscribe', [['k', 's']]],
    ['unsubscribe', [['k', 'u']]],
    ['disconnect', [['k', 'd']]],
  ]);
});
