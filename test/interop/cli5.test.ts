/** `surgemq pub` and `sub` in MQTT 5.0, beside mosquitto_pub and mosquitto_sub. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connect, type Message } from '../../src/client/index.js';
import { startBroker } from '../support/broker.js';
import { startMosquitto } from '../support/mosquitto.js';
import type { RunningBroker } from './client-suite.js';

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

const USER_PAIRS = [
  ['k', 'v'],
  ['k', 'w'],
] as const;

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

const BROKERS: Readonly<Record<string, () => Promise<RunningBroker>>> = {
  Mosquitto: startMosquitto,
  'our broker': () => startBroker({ workers: 2 }),
};

for (const [name, start] of Object.entries(BROKERS)) {
  describe(`the command line in MQTT 5.0 with ${name}`, () => commandTests(start));
}

function commandTests(start: () => Promise<RunningBroker>): void {
  let broker: RunningBroker | null = null;
  before(async () => {
    broker = await start();
  });
  after(() => broker?.close());
  const at = (): string[] => ['-h', '127.0.0.1', '-p', String(broker?.port)];
  const ours = (command: 'pub' | 'sub' | 'rr', ...args: string[]): Promise<Result> =>
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

  /** Answers requests on topic `request` until the test is over. */
  async function responder(respond: (message: Message) => readonly (readonly [string, string])[]) {
    const options = { protocolVersion: 5 } as const;
    const client = await connect(`mqtt://127.0.0.1:${broker?.port}`, options);
    await client.subscribe({ filter: 'request', qos: 1 }, async (message) => {
      const { responseTopic, correlationData } = message.properties;
      for (const [topic, payload] of respond(message)) {
        const properties = { correlationData, contentType: 'text', userProperties: USER_PAIRS };
        await client.publish(responseTopic ?? topic, payload, { qos: 1, properties });
      }
    });
    return client;
  }

  /** What mosquitto_rr and rr print and exit with. */
  async function both(...args: string[]): Promise<[string, number][]> {
    const theirs = await run('mosquitto_rr', [...at(), ...args]);
    const mine = await ours('rr', ...args);
    return [theirs, mine].map(({ stdout, code = 0 }) => [stdout, code]);
  }

  test('rr prints the response that mosquitto_rr prints', async () => {
    await using _ = await responder(({ payload }) => [['response/1', `re: ${payload}`]]);
    const request = ['-t', 'request', '-m', 'hello', '-q', '1', '-e', 'response/1', '-W', '20'];
    const formats = [
      ['-F', '%t|%p|%C|%P|%q|%l'],
      ['-F', '%D', '-D', 'publish', 'correlation-data', 'cd'],
      ['-v'],
      ['-N'],
      ['-V', 'mqttv311'],
    ];
    for (const format of formats) {
      const [theirs, mine] = await both(...request, ...format);
      assert.deepEqual(mine, theirs);
      assert.match(mine[0], /re: hello|cd/);
    }
  });

  test('rr waits no longer than -W, as mosquitto_rr', async () => {
    const [theirs, mine] = await both('-t', 'nobody', '-n', '-e', 'response/2', '-W', '1');
    assert.deepEqual(mine, theirs);
    assert.deepEqual(mine, ['', 27]);
  });

  test('rr without -e has the response to itself, and is not taken in by another', async () => {
    await using _ = await responder(({ properties }) => {
      assert.match(properties.responseTopic ?? '', /^surgemq\/response\//);
      return [['', 'mine']];
    });
    const { stdout } = await ours('rr', '-t', 'request', '-m', 'x', '-W', '20');
    assert.equal(stdout, 'mine\n');
    await using client = await connect(`mqtt://127.0.0.1:${broker?.port}`, { protocolVersion: 5 });
    await client.subscribe('two', async () => {
      for (const [data, payload] of [
        ['other', 'wrong'],
        ['cd', 'right'],
      ]) {
        const properties = { correlationData: Buffer.from(data) };
        await client.publish('response/3', payload, { properties });
      }
    });
    const data = ['-D', 'publish', 'correlation-data', 'cd'];
    const two = ['-t', 'two', '-m', 'x', '-W', '20', '-e', 'response/3', ...data];
    assert.equal((await ours('rr', ...two)).stdout, 'right\n');
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
}
