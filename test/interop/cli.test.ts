/** `surgemq pub` and `surgemq sub` as processes, with Mosquitto's broker and beside its clients. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Authority } from '../../bench/support/certificates.js';
import { connect } from '../../src/client/index.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import * as packets from '../support/packets.js';
import { eventually, within } from '../support/waiting.js';
import { FakeServer } from '../unit/client/fake-server.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** What a command has printed and how it ended. */
interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `surgemq` command. */
class Command {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  stderr = '';

  constructor(t: TestContext, args: readonly string[], input: string | Buffer | null = null) {
    const child = spawn(process.execPath, [MAIN, ...args]);
    this.child = child;
    t.after(() => child.kill('SIGKILL'));
    child.stdin.end(input ?? undefined);
    let stdout = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      this.stderr += text;
    });
    this.outcome = once(child, 'close').then(([code]) => ({ code, stdout, stderr: this.stderr }));
  }

  /** How it ends. */
  ended(): Promise<Outcome> {
    return within(this.outcome, 'the end of the command');
  }

  /** Waits for a `sub -d` to have subscribed. */
  async subscribed(): Promise<this> {
    await eventually(() => this.stderr.includes('received SUBACK'), `SUBACK; ${this.stderr}`);
    return this;
  }
}

describe('surgemq pub and sub with Mosquitto', () => {
  let broker: Mosquitto | null = null;
  before(async () => {
    broker = await startMosquitto();
  });
  after(() => broker?.close());
  const at = (): string[] => ['-h', '127.0.0.1', '-p', String(broker?.port)];
  const pub = (t: TestContext, args: string[], input?: string | Buffer): Promise<Outcome> =>
    new Command(t, ['pub', ...at(), ...args], input).ended();
  /** Publishes by the library, where `pub` is not what is tested: a process takes its time. */
  const publish = async (topic: string, payload: string, retain = false): Promise<void> => {
    await using client = await connect(`mqtt://127.0.0.1:${broker?.port}`);
    await client.publish(topic, payload, { qos: 1, retain });
  };
  const sub = (t: TestContext, ...args: string[]): Promise<Command> =>
    new Command(t, ['sub', ...at(), '-d', ...args]).subscribed();

  test('a message of each kind is printed, with its topic when asked', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'surgemq-cli-'));
    t.after(() => rm(directory, { recursive: true }));
    const file = join(directory, 'message');
    await writeFile(file, 'from a file');
    const receiver = await sub(t, '-t', 'kinds/#', '-v', '-C', '6');
    for (const [args, input] of [
      [['-t', 'kinds/m', '-m', '-größe-']],
      [['-t', 'kinds/f', '-f', file, '-q', '1']],
      [['-t', 'kinds/n', '-n', '-q', '2']],
      [['-t', 'kinds/s', '-s'], 'all\nof it'],
      [['-L', `mqtt://127.0.0.1:${broker?.port}/kinds/L`, '-m', 'by URL', '--repeat', '2']],
    ] as [string[], string?][]) {
      assert.deepEqual(await pub(t, args, input), { code: 0, stdout: '', stderr: '' });
    }
    const { code, stdout } = await receiver.ended();
    assert.equal(code, 0);
    assert.equal(
      stdout,
      'kinds/m -größe-\nkinds/f from a file\nkinds/n (null)\nkinds/s all\nof it\n' +
        'kinds/L by URL\nkinds/L by URL\n',
    );
  });

  for (const qos of ['0', '2']) {
    test(`-l sends each line of the input, QoS ${qos}, bytes as they are`, async (t) => {
      const count = 1_000;
      const args = ['-t', `lines/${qos}`, '-q', qos];
      const receiver = await sub(t, ...args, '-C', String(count + 3));
      const lines = Array.from({ length: count }, (_, i) => `line ${i}`);
      const input = Buffer.concat([
        Buffer.from(`${lines.join('\n')}\n\n`),
        Buffer.from([255, 10, 0]),
      ]);
      const sent = await pub(t, [...args, '-l'], input);
      assert.deepEqual([sent.code, sent.stderr], [0, '']);
      const { stdout } = await receiver.ended();
      assert.equal(stdout, `${lines.join('\n')}\n\n\ufffd\n\0\n`);
    });
  }

  test('filters: several -t, -T hides, -R hides retained, -N prints no line ends', async (t) => {
    await publish('filters/a', 'kept', true);
    const filters = ['-t', 'filters/a', '-t', 'filters/b', '-t', 'filters/c', '-T', 'filters/b'];
    const receiver = await sub(t, ...filters, '-R', '-N', '-C', '2');
    for (const name of ['a', 'b', 'c']) await publish(`filters/${name}`, name);
    assert.equal((await receiver.ended()).stdout, 'ac');
    const retained = await sub(t, '-t', 'filters/#', '--retained-only', '-W', '10');
    await publish('filters/x', 'live');
    assert.deepEqual((await retained.ended()).stdout, 'kept\n');
  });

  test('-W ends it with exit code 27', async (t) => {
    const receiver = await sub(t, '-t', 'silence', '-W', '1');
    const { code, stderr } = await receiver.ended();
    assert.equal(code, 27);
    assert.match(stderr, /Timed out/);
  });

  test('-c keeps the session: what came meanwhile is printed the next time', async (t) => {
    const session = ['-c', '-i', 'surgemq-cli-test', '-q', '1'];
    await (await sub(t, ...session, '-t', 'kept', '-E')).ended();
    await publish('kept', 'meanwhile');
    // It comes right behind CONNACK, before there is time for a SUBACK.
    const receiver = new Command(t, ['sub', ...at(), ...session, '-t', 'other', '-C', '1']);
    assert.equal((await receiver.ended()).stdout, 'meanwhile\n');
    const cleaner = await sub(t, ...session, '-t', 'other', '-U', 'kept', '-U', 'other', '-W', '1');
    await eventually(() => cleaner.stderr.includes('received UNSUBACK'), 'UNSUBACK');
    await publish('kept', 'too late');
    assert.equal((await cleaner.ended()).stdout, '');
  });

  test('the will is sent when sub is killed, and not when it is interrupted', async (t) => {
    await using watcher = await connect(`mqtt://127.0.0.1:${broker?.port}`);
    const wills: string[] = [];
    await watcher.subscribe(
      'wills/#',
      ({ topic, payload, qos, retain }) => {
        wills.push(`${topic} ${payload} ${qos} ${retain}`);
      },
      { qos: 2 },
    );
    const will = (name: string): string[] => [
      ...['--will-topic', `wills/${name}`, '--will-payload', 'gone', '--will-qos', '1'],
      '--will-retain',
    ];
    const interrupted = await sub(t, '-t', 'x', ...will('interrupted'));
    interrupted.child.kill('SIGINT');
    assert.equal((await interrupted.ended()).code, 0);
    const killed = await sub(t, '-t', 'x', ...will('killed'));
    killed.child.kill('SIGKILL');
    await eventually(() => wills.length > 0, 'the will');
    assert.deepEqual(wills, ['wills/killed gone 1 false']);
    await publish('wills/killed', '', true);
  });

  test('-V mqttv31 speaks MQTT 3.1, with Mosquitto at the other end', async (t) => {
    const receiver = await sub(t, '-t', 'old', '-V', 'mqttv31', '-C', '1');
    await promisify(execFile)('mosquitto_pub', [...at(), '-t', 'old', '-m', 'text', '-V', '31']);
    assert.equal((await receiver.ended()).stdout, 'text\n');
  });
});

describe('surgemq pub and sub: exit codes', () => {
  test('--help lists the flags', async (t) => {
    for (const command of ['pub', 'sub']) {
      const { code, stdout } = await new Command(t, [command, '--help']).ended();
      assert.equal(code, 0);
      for (const flag of ['-h, --host', '-t, --topic', '-q, --qos', '--will-topic']) {
        assert(stdout.includes(flag), `${flag} in ${stdout}`);
      }
    }
  });

  test('nobody listens: exit code 1; a refusal exits with its return code', async (t) => {
    const server = await FakeServer.start();
    t.after(() => server.stop());
    const port = new URL(server.uri).port;
    const args = ['-h', '127.0.0.1', '-p', port, '-t', 'a'];
    for (const command of [['pub', '-m', 'x'], ['sub']]) {
      const refused = new Command(t, [...command, ...args]);
      const connection = await server.accept();
      await connection.readPacket();
      connection.send(packets.connack(false, 5));
      const { code, stderr } = await refused.ended();
      assert.equal(code, 5);
      assert.match(stderr, /Connection error: Connection Refused: not authorised\./);
    }
    await server.stop();
    const { code, stderr } = await new Command(t, ['pub', '-m', 'x', ...args]).ended();
    assert.equal(code, 1);
    assert.match(stderr, /ECONNREFUSED/);
  });

  test('a lost connection ends pub with exit code 7; sub comes back', async (t) => {
    const server = await FakeServer.start();
    t.after(() => server.stop());
    const args = ['-h', '127.0.0.1', '-p', new URL(server.uri).port, '-t', 'a'];
    const pub = new Command(t, ['pub', ...args, '-m', 'x', '-q', '1']);
    (await server.acceptClient()).end();
    assert.equal((await pub.ended()).code, 7);
    const sub = new Command(t, ['sub', ...args, '-C', '1']);
    const first = await server.acceptClient();
    await first.readPacket();
    first.send(packets.suback(1, 0));
    first.cut();
    const second = await server.acceptClient();
    second.send(packets.publish({ topic: 'a', payload: 'back' }));
    assert.deepEqual(await sub.ended(), { code: 0, stdout: 'back\n', stderr: '' });
  });

  test('all filters refused: it says so and ends', async (t) => {
    const server = await FakeServer.start();
    t.after(() => server.stop());
    const port = new URL(server.uri).port;
    const sub = new Command(t, ['sub', '-h', '127.0.0.1', '-p', port, '-t', 'a', '-t', 'b']);
    const connection = await server.acceptClient();
    await connection.readPacket();
    connection.send(packets.suback(1, 0x80, 0x80));
    const { code, stderr } = await sub.ended();
    assert.equal(code, 1);
    assert.match(stderr, /All subscription requests were denied\./);
  });

  test('sub tries its first connection again; pub and --no-retry do not', async (t) => {
    const server = await FakeServer.start();
    t.after(() => server.stop());
    const args = ['-h', '127.0.0.1', '-p', new URL(server.uri).port, '-t', 'a'];
    const sub = new Command(t, ['sub', ...args, '-C', '1']);
    (await server.accept()).end();
    (await server.accept()).end();
    const third = await server.acceptClient();
    third.send(packets.suback((await third.readPacket()).readUInt16BE(2), 0));
    third.send(packets.publish({ topic: 'a', payload: 'there' }));
    const { code, stdout, stderr } = await sub.ended();
    assert.deepEqual([code, stdout], [0, 'there\n']);
    // The reason is said once, not at each attempt.
    assert.match(stderr, /^cannot connect to mqtt:.*closed by the server; trying again\n$/);
    const once = new Command(t, ['sub', ...args, '--no-retry']);
    (await server.accept()).end();
    assert.equal((await once.ended()).code, 1);
  });

  test('pub and sub speak TLS by the flags of mosquitto_pub, or by mqtts://', async (t) => {
    const authority = new Authority();
    const directory = await mkdtemp(join(tmpdir(), 'surgemq-cli-'));
    t.after(() => rm(directory, { recursive: true }));
    const client = authority.issue({ name: 'client' });
    const [ca, cert, key] = ['ca.crt', 'client.crt', 'client.key'].map((n) => join(directory, n));
    await writeFile(ca, authority.cert);
    await writeFile(cert, client.cert);
    await writeFile(key, client.key);
    const server = await FakeServer.startTls({
      ...authority.issue({ name: 'server', hosts: ['elsewhere.example'] }),
      ca: authority.cert,
      requestCert: true,
      ALPNProtocols: ['mqtt'],
    });
    t.after(() => server.stop());
    const { port } = new URL(server.uri);
    const at = ['-h', '127.0.0.1', '-p', port, '-t', 'a', '-m', 'x'];
    const own = ['--cert', cert, '--key', key, '--tls-alpn', 'mqtt', '--tls-version', 'tlsv1.2'];
    for (const flags of [
      ['--cafile', ca, ...own, '--insecure', ...at],
      ['--capath', directory, ...own, '--servername', 'elsewhere.example', ...at],
      ['-L', `mqtts://127.0.0.1:${port}/a`, '-m', 'x', '--cafile', ca, ...own, '--insecure'],
    ]) {
      const pub = new Command(t, ['pub', ...flags]);
      const connection = await server.acceptClient();
      assert.equal((connection.socket as TLSSocket).alpnProtocol, 'mqtt');
      await connection.expect(packets.publish({ topic: 'a', payload: 'x' }));
      assert.equal((await pub.ended()).code, 0);
    }
    const untrusting = new Command(t, ['pub', '-L', `mqtts://127.0.0.1:${port}/a`, '-m', 'x']);
    const { code, stderr } = await untrusting.ended();
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^Error: cannot connect to mqtts:.*no root that is trusted.*--cafile\)\n$/,
    );
  });

  test('-L ws:// has the path of the WebSocket, and its topic is by -t', async (t) => {
    const server = await FakeServer.startWebSocket();
    t.after(() => server.stop());
    const pub = new Command(t, ['pub', '-L', `${server.uri}/mqtt`, '-t', 'a', '-m', 'x']);
    await (await server.acceptClient()).expect(packets.publish({ topic: 'a', payload: 'x' }));
    assert.equal((await pub.ended()).code, 0);
  });

  test('what is wrong with the flags of TLS is a line each', async (t) => {
    for (const [flags, fault] of [
      [['--cafile', '/nowhere/ca.crt'], /--cafile \/nowhere\/ca\.crt cannot be read: ENOENT/],
      [['--capath', '/nowhere'], /--capath \/nowhere cannot be read: ENOENT/],
      [['--insecure'], /--insecure needs TLS: add --cafile, -L mqtts:\/\//],
      [['--tls-use-os-certs', '--tls-version', 'tlsv1.1'], /allowed: tlsv1\.2, tlsv1\.3/],
      [['-p', '8883', '--keyform', 'engine'], /Invalid keyform given: engine; allowed: pem/],
      [['--cafile', MAIN], /option tls\.ca is not a certificate in PEM/],
    ] as const) {
      const { code, stderr } = await new Command(t, ['sub', '-t', 'a', ...flags]).ended();
      assert.equal(code, 1);
      assert.match(stderr, fault);
    }
  });

  test('what is wrong with a format or a URL is a line, without its password', async (t) => {
    for (const [flags, fault] of [
      [['-F', '%y'], /Invalid format specifier '%y'/],
      [['-F', '%t', '-v'], /-v and -F exclude each other/],
      [['--pretty'], /--pretty needs -F/],
      [['-L', 'mqtt://me:secret@host:x/t'], /Invalid URL given: mqtt:\/\/me:…@host:x\/t/],
      [['--unix', '/tmp/x', '-p', '1'], /--unix stands alone/],
      [['-A', 'nowhere'], /localAddress is 'nowhere'; allowed: an IP address/],
    ] as const) {
      const { code, stderr } = await new Command(t, ['sub', '-t', 'a', ...flags]).ended();
      assert.equal(code, 1);
      assert.match(stderr, fault);
      assert(!stderr.includes('secret'), stderr);
    }
  });
});
