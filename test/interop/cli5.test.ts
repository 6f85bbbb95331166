/** `surgemq pub` and `sub` in MQTT 5.0, beside mosquitto_pub and mosquitto_sub. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const PROPERTIES = [
  'content-type text/plain',
  'response-topic r/t',
  'correlation-data cd',
  'message-expiry-interval 100000',
  'payload-format-indicator 1',
].flatMap((text) => ['-D', 'publish', ...text.split(' ')]);
const USER = [
  '-D',
  'publish',
  'user-property',
  'k',
  'v 1',
  '-D',
  'PUBLISH',
  'user-property',
  'l',
  '2',
];

interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly code?: number;
}

async function run(file: string, args: readonly string[]): Promise<Result> {
  try {
    return await promisify(execFile)(file, args);
  } catch (error) {
    return error as Result;
  }
}

describe('the command line in MQTT 5.0', () => {
  let broker: Mosquitto | null = null;
  before(async () => {
    broker = await startMosquitto();
  });
  after(() => broker?.close());
  const at = (): string[] => ['-h', '127.0.0.1', '-p', String(broker?.port)];
  const ours = (command: 'pub' | 'sub', ...args: string[]): Promise<Result> =>
    run(process.execPath, [MAIN, command, ...at(), ...args]);

  test('properties of -D arrive, and -F prints them as mosquitto_sub does', async () => {
    const message = ['-t', 'a', '-r', '-q', '1', '-m', 'x'];
    const { stderr } = await ours('pub', ...message, ...PROPERTIES, ...USER);
    assert.equal(stderr, '');
    const sub = ['-V', 'mqttv5', '-t', 'a', '-C', '1', '-D', 'subscribe'];
    sub.push('subscription-identifier', '5', '-F');
    const format = '%A|%C|%D|%F|%P|%R|%S|%12R|%.2C';
    const [theirs, mine] = await Promise.all([
      run('mosquitto_sub', [...at(), ...sub, format]),
      ours('sub', ...sub, format),
    ]);
    assert.equal(mine.stdout, theirs.stdout);
    assert.match(mine.stdout, /^\|text\/plain\|cd\|1\|k:v 1 l:2\|r\/t\|5\|/);
    const json = await Promise.all([
      run('mosquitto_sub', [...at(), ...sub, '%j']),
      ours('sub', ...sub, 'json'),
    ]);
    const [their, my] = json.map(({ stdout }) => JSON.parse(stdout).properties);
    delete their['message-expiry-interval'];
    assert(my['message-expiry-interval'] > 0);
    delete my['message-expiry-interval'];
    assert.deepEqual(my, their);
  });

  test('--retain-handling, --retain-as-published and -x reach the server', async () => {
    await ours('pub', '-t', 'h', '-r', '-q', '1', '-m', 'kept');
    const never = await ours('sub', '-V', '5', '-t', 'h', '-W', '1', '--retain-handling', 'never');
    assert.deepEqual([never.stdout, never.code], ['', 27]);
    const session = ['-V', '5', '-i', 'x-client', '-c', '-t', 'h', '-x', '-1', '-q', '1'];
    const first = await ours('sub', ...session, '-E', '--retain-handling', 'never');
    assert.equal(first.stderr, '');
    await ours('pub', '-t', 'h', '-r', '-q', '1', '-m', 'later');
    const flags = ['--retain-as-published', '--retain-handling', 'new', '-C', '1', '-F', '%p %r'];
    const again = await ours('sub', ...session, ...flags);
    assert.equal(again.stdout, 'later 0\n');
  });

  test('what does not fit together is told before anything is sent', async () => {
    for (const [args, told] of [
      [['-D', 'publish', 'content-type'], /-D needs: <command> <property> <value>/],
      [['-D', 'nix', 'content-type', 'a'], /Invalid command 'nix'/],
      [['-D', 'publish', 'nix', 'a'], /Invalid property name 'nix'/],
      [['-D', 'connect', 'content-type', 'a'], /content-type.*not allowed in CONNECT/i],
      [['-D', 'publish', 'message-expiry-interval', 'a'], /must be a whole number/],
      [['-V', '4', '-D', 'publish', 'content-type', 'a'], /-D needs MQTT 5\.0/],
      [['-V', '9'], /Invalid protocol-version given: 9/],
      [['-x', '5'], /-x needs MQTT 5\.0/],
    ] as const) {
      const { code, stderr } = await ours('pub', '-t', 'a', '-m', 'x', ...args);
      assert.equal(code, 1, args.join(' '));
      assert.match(stderr, told);
    }
  });
});
