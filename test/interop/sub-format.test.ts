/** `surgemq sub -F` beside mosquitto_sub, with the same messages: the same is printed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connect } from '../../src/client/index.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import * as packets from '../support/packets.js';
import { FakeConnection } from '../unit/client/fake-server.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const run = promisify(execFile);
const PAYLOADS = ['plain text', '{"a":1.5,"b":[1,"ü",{"c":null}],"d":{"e":true}}', '"s"', '[]'];

describe('surgemq sub and mosquitto_sub print the same', () => {
  let broker: Mosquitto | null = null;
  before(async () => {
    broker = await startMosquitto();
    await using client = await connect(`mqtt://127.0.0.1:${broker.port}`);
    // Retained messages, so that both get the same ones whenever they come.
    for (const [index, payload] of PAYLOADS.entries()) {
      await client.publish(`format/${index}`, payload, { qos: 1, retain: true });
    }
  });
  after(() => broker?.close());
  const address = (): string[] => ['-h', '127.0.0.1', '-p', String(broker?.port)];
  const both = async (...args: string[]): Promise<[string, string]> => {
    const all = [...address(), '-q', '1', '-W', '20', ...args];
    const [theirs, ours] = await Promise.all([
      run('mosquitto_sub', all).catch((error) => error),
      run(process.execPath, [MAIN, 'sub', ...all]).catch((error) => error),
    ]);
    return [theirs.stdout, ours.stdout];
  };
  const everything = ['-t', 'format/#', '-C', String(PAYLOADS.length)];

  for (const [name, ...args] of [
    ['topic, payload, numbers', '-F', '%t|%p|%q|%r|%l|%m|%%|%x|%X'],
    ['widths', '-F', '%12t|%-12t|%.3t|%3.2t|%05l|%5l|%-5l|%12m|'],
    ['escapes', '-F', '%t\\t%l\\0\\a\\e\\r\\v\\\\@@', '-N'],
    ['properties that 3.1.1 has not', '-F', '%A|%C|%D|%E|%F|%P|%R|%S|%t'],
    ['JSON', '-F', '%j'],
    ['JSON payloads', '-F', '%J'],
    ['JSON over several lines', '-F', '%J', '--pretty'],
  ]) {
    test(name, async () => {
      const [theirs, ours] = await both(...everything, ...args);
      const withoutTime = (text: string): string => text.replaceAll(/"tst":\s*"[^"]*"/g, 'tst');
      assert.equal(withoutTime(ours), withoutTime(theirs));
      assert.notEqual(ours, '');
    });
  }

  test('times have the same shape', async () => {
    const [theirs, ours] = await both(
      '-t',
      'format/0',
      '-C',
      '1',
      '-F',
      '%I|%U|@Y-@m-@dT@H:@M:@S@z',
    );
    const shape = (text: string): string => text.replaceAll(/\d/g, '0');
    assert.equal(shape(ours), shape(theirs));
  });

  test('--remove-retained has the server forget them, but not those that -T hides', async () => {
    await using client = await connect(`mqtt://127.0.0.1:${broker?.port}`);
    for (const name of ['a', 'b', 'c']) {
      await client.publish(`remove/${name}`, name, { qos: 1, retain: true });
    }
    const args = [
      '-t',
      'remove/#',
      '-T',
      'remove/b',
      '--remove-retained',
      '-F',
      '%t %r',
      '-C',
      '2',
    ];
    const removed = await run(process.execPath, [MAIN, 'sub', ...address(), ...args]);
    assert.equal(removed.stdout, 'remove/a 1\nremove/c 1\n');
    const kept: string[] = [];
    client.on('message', ({ topic }) => kept.push(topic));
    await client.subscribe('remove/#', { qos: 1 });
    await client.publish('remove/end', '', { qos: 1 });
    await client.ping();
    assert.deepEqual(kept, ['remove/b', 'remove/end']);
  });

  test('-A chooses the address that the connection comes from', async () => {
    const args = ['-t', 'format/0', '-C', '1', '-A', '127.0.0.9'];
    const { stdout } = await run(process.execPath, [MAIN, 'sub', ...address(), ...args]);
    assert.equal(stdout, 'plain text\n');
  });
});

/** A server on a Unix domain socket that sends one message to each that subscribes. */
async function unixServer(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'surgemq-unix-'));
  const path = join(directory, 'mqtt #1.sock');
  const server = createServer(async (socket) => {
    const connection = new FakeConnection(socket);
    await connection.readPacket('CONNECT');
    connection.send(packets.connack(false, 0));
    const packet = await connection.readPacket();
    if (packet[0] >> 4 !== 8) return;
    connection.send(packets.suback(packet.readUInt16BE(2), 0));
    connection.send(packets.publish({ topic: 'a', payload: 'by unix' }));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(async () => {
    server.close();
    await rm(directory, { recursive: true });
  });
  return path;
}

test('--unix and unix:// connect by a Unix domain socket', async (t) => {
  const path = await unixServer(t);
  const uri = `unix://${path.split('/').map(encodeURIComponent).join('/')}`;
  for (const where of [
    ['--unix', path],
    ['-L', uri],
  ]) {
    const { stdout } = await run(process.execPath, [MAIN, 'sub', ...where, '-t', 'a', '-C', '1']);
    assert.equal(stdout, 'by unix\n');
    await run(process.execPath, [MAIN, 'pub', ...where, '-t', 'a', '-m', 'x']);
  }
});
