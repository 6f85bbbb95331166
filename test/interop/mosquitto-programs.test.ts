/** Debian's mosquitto_pub and mosquitto_sub as clients of the broker. They must be installed. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type Broker, unique } from '../support/broker.js';
import { describeTheme, numbers } from '../support/suite.js';
import { eventually, within } from '../support/waiting.js';

const execFileAsync = promisify(execFile);

/** A running mosquitto_sub. */
interface Subscriber {
  readonly child: ChildProcess;
  /** Everything it has printed, one line a message, once it has ended by itself. */
  readonly lines: Promise<string[]>;
}

/** Where the broker is, as the Mosquitto programs want to be told. */
const at = ({ host, port }: Broker): string[] => ['-h', host, '-p', String(port)];

/** Runs mosquitto_pub to its end. @throws Error when it is not installed or fails. */
async function pub(broker: Broker, ...args: string[]): Promise<void> {
  await execFileAsync('mosquitto_pub', [...at(broker), ...args]);
}

/** Subscriptions of a broker, of the programs that run and of sessions that are kept. */
const held = new WeakMap<Broker, number>();
/** The ends of those that tests before have started. */
const leaving: Promise<unknown>[] = [];

/**
 * Starts mosquitto_sub and waits until it has subscribed. @throws Error when it is not installed.
 */
async function sub(t: TestContext, broker: Broker, ...args: string[]): Promise<Subscriber> {
  // Those that a test has left behind count until they are gone.
  await Promise.all(leaving.splice(0));
  const before = held.get(broker) ?? 0;
  // A subscriber that has ended may still be counted, and its end would hide this one's beginning.
  await eventually(
    () => broker.server.stats().subscriptions <= before,
    'those who have left to be gone',
  );
  held.set(broker, before + 1);
  const child = spawn('mosquitto_sub', [...at(broker), '-F', '%t %q %r %p', ...args]);
  const closed = once(child, 'close');
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  const lines = closed.then(() => {
    if (!args.includes('-c')) held.set(broker, (held.get(broker) ?? 0) - 1);
    return output.split('\n').slice(0, -1);
  });
  t.after(() => {
    child.kill('SIGKILL');
    leaving.push(lines);
  });
  await Promise.race([
    once(child, 'spawn'),
    once(child, 'error').then(([error]) => {
      throw new Error(`Debian's mosquitto-clients are needed for this test: ${error.message}`);
    }),
  ]);
  await eventually(
    () => broker.server.stats().subscriptions > before || child.exitCode !== null,
    'mosquitto_sub to subscribe',
  );
  return { child, lines: within(lines, 'mosquitto_sub to end') };
}

describeTheme('mosquitto_pub and mosquitto_sub', (theme) => {
  for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
    test(`of ${version} exchange messages of every QoS`, async (t) => {
      const { broker } = theme;
      const topic = unique('qos');
      const protocol = ['-V', version];
      const subscriber = await sub(
        t,
        broker,
        ...protocol,
        '-t',
        `${topic}/#`,
        '-q',
        '2',
        '-C',
        '4',
      );
      for (const qos of ['0', '1', '2']) {
        await pub(broker, ...protocol, '-t', `${topic}/${qos}`, '-m', `at ${qos}`, '-q', qos);
      }
      await pub(broker, ...protocol, '-t', `${topic}/empty`, '-n', '-q', '1');
      // It prints one of QoS 2 at its PUBREL, which others may pass [section 4.6].
      assert.deepEqual((await subscriber.lines).sort(), [
        `${topic}/0 0 0 at 0`,
        `${topic}/1 1 0 at 1`,
        `${topic}/2 2 0 at 2`,
        `${topic}/empty 1 0 `,
      ]);
    });
  }

  test('of MQTT 5.0 and 3.1.1 exchange messages', async (t) => {
    const { broker } = theme;
    for (const [from, to] of [
      ['mqttv5', 'mqttv311'],
      ['mqttv311', 'mqttv5'],
    ]) {
      const topic = unique('versions');
      const subscriber = await sub(t, broker, '-V', to, '-t', topic, '-q', '1', '-C', '1');
      await pub(broker, '-V', from, '-t', topic, '-m', 'text', '-q', '1');
      assert.deepEqual(await subscriber.lines, [`${topic} 1 0 text`]);
    }
  });

  test('see retained messages set and cleared', async (t) => {
    const { broker } = theme;
    const topic = unique('retained');
    await pub(broker, '-t', topic, '-m', 'kept', '-q', '1', '-r');
    const first = await sub(t, broker, '-t', topic, '-C', '1');
    assert.deepEqual(await first.lines, [`${topic} 0 1 kept`]);
    await pub(broker, '-t', topic, '-n', '-q', '1', '-r');
    const second = await sub(t, broker, '-t', topic, '-C', '1');
    await pub(broker, '-t', topic, '-m', 'live', '-q', '1');
    assert.deepEqual(await second.lines, [`${topic} 0 0 live`]);
  });

  test('see the will of one that is killed', async (t) => {
    const { broker } = theme;
    const topic = unique('will');
    const watcher = await sub(t, broker, '-t', topic, '-q', '1', '-C', '1');
    const will = ['--will-topic', topic, '--will-payload', 'killed', '--will-qos', '1'];
    const mortal = await sub(t, broker, '-t', `${topic}/other`, ...will);
    mortal.child.kill('SIGKILL');
    assert.deepEqual(await watcher.lines, [`${topic} 1 0 killed`]);
  });

  test('resume a persistent session', async (t) => {
    const { broker } = theme;
    const topic = unique('session');
    const session = ['-i', unique('session'), '-c', '-t', topic, '-q', '2'];
    const first = await sub(t, broker, ...session);
    // A signal while mosquitto_sub writes SUBSCRIBE has it wait for itself for ever: it is idle
    // when it has printed something.
    const hasPrinted = once(first.child.stdout!, 'data');
    await pub(broker, '-t', topic, '-m', 'idle?', '-q', '0');
    await within(hasPrinted, 'mosquitto_sub to print');
    const { connectionsOpen } = broker.server.stats();
    first.child.kill('SIGTERM');
    await first.lines;
    const isGone = () => broker.server.stats().connectionsOpen < connectionsOpen;
    await eventually(isGone, 'the first subscriber to be gone');
    for (const payload of numbers(1, 5)) await pub(broker, '-t', topic, '-m', payload, '-q', '2');
    const second = spawn('mosquitto_sub', [...at(broker), ...session, '-C', '5']);
    t.after(() => second.kill('SIGKILL'));
    let output = '';
    second.stdout.on('data', (text) => {
      output += text;
    });
    await within(once(second, 'close'), 'the waiting messages');
    assert.deepEqual(output.split('\n').slice(0, -1), numbers(1, 5));
  });

  test('exchange thousands of lines in order', async (t) => {
    const { broker } = theme;
    const topic = unique('lines');
    const subscriber = await sub(t, broker, '-t', topic, '-q', '1', '-C', '3000');
    const publisher = spawn('mosquitto_pub', [...at(broker), '-t', topic, '-q', '1', '-l']);
    t.after(() => publisher.kill('SIGKILL'));
    publisher.stdin.end(`${numbers(1, 3_000).join('\n')}\n`);
    const lines = await subscriber.lines;
    assert.deepEqual(
      lines,
      numbers(1, 3_000).map((n) => `${topic} 1 0 ${n}`),
    );
  });
});
