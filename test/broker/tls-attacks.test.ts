/** What clients may do to a broker before, in and behind a TLS handshake. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { after, afterEach, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { Broker, LogLine } from '../support/broker.js';
import { connect, PINGREQ } from '../support/packets.js';
import { TlsFiles } from '../support/tls-broker.js';
import { eventually, within } from '../support/waiting.js';

/** 10,000 by hand: `node dist/test/broker/tls-attacks.test.js --half-open=10000`. */
const asked = process.argv.find((word) => word.startsWith('--half-open='));
const HALF_OPEN = asked === undefined ? 300 : Number(asked.split('=')[1]);
const MAX_HANDSHAKES = 40;

/** The bytes of a ClientHello. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(bytes: Buffer, _encoding, done) {
        resolve(bytes);
        done();
      },
    });
    connectTls({ socket: wire, servername: 'localhost' }).on('error', () => {});
  });
}

/** Whatever it ends by. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('TLS and hostile clients', () => {
  let files: TlsFiles;
  let broker: Broker;
  const sockets: Socket[] = [];

  before(async () => {
    files = new TlsFiles();
    broker = await files.start({
      workers: 2,
      handshakeTimeout: '1500ms',
      maxHandshakes: MAX_HANDSHAKES,
    });
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  after(async () => {
    await broker.close();
    files[Symbol.dispose]();
  });

  function dialPlain(): Socket {
    const socket = connectTcp(broker.port, broker.host);
    socket.on('error', () => {}).resume();
    sockets.push(socket);
    return socket;
  }

  async function serves(): Promise<void> {
    const client = await broker.client();
    await client.ping();
    await client.raw.cut();
  }

  function logged(from: number, detail: RegExp): Promise<void> {
    const isIt = ({ fields }: LogLine): boolean => detail.test(String(fields.detail));
    return eventually(() => broker.logs.slice(from).some(isIt), `a line like ${detail}`);
  }

  test('who says nothing, or half of something, is closed in time', async () => {
    const { handshakeTimeouts } = broker.server.stats();
    const silent = dialPlain();
    const half = dialPlain();
    half.write((await clientHello()).subarray(0, 100));
    await within(Promise.all([closed(silent), closed(half)]), 'the close');
    await eventually(() => {
      const stats = broker.server.stats();
      const isTimedOut = stats.handshakeTimeouts === handshakeTimeouts + 2;
      return isTimedOut && stats.closed['handshake-failed'] >= 2;
    }, 'both to be counted');
    await serves();
  });

  test('half-open handshakes give way to a client that means to come in', async () => {
    const hello = await clientHello();
    const { handshakesDisplaced } = broker.server.stats();
    for (let n = 0; n < HALF_OPEN; n++) {
      dialPlain().write(hello);
      if (n % 50 === 0) await serves();
    }
    await serves();
    await eventually(
      () => broker.server.stats().handshakesDisplaced > handshakesDisplaced,
      'the oldest to make room',
    );
  });

  test('what is no TLS is closed at once, and the log says what it is', async () => {
    const cases: [bytes: Buffer | string, detail: RegExp][] = [
      [connect({ clientId: 'plain' }), /speaks MQTT without TLS on a port for TLS/],
      ['GET / HTTP/1.1\r\n\r\n', /an HTTP client on a port for MQTT over TLS/],
      ['PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n', /PROXY protocol header/],
      ['\x00\x01\x02\u001b[2J', /what it sends is no TLS/],
      ['\x16\x03\x01\x00\x05garbage', /./],
      [Buffer.concat([Buffer.of(0x16, 3, 1, 0xff, 0xff), Buffer.alloc(70_000, 7)]), /./],
    ];
    for (const [bytes, detail] of cases) {
      const from = broker.logs.length;
      const socket = dialPlain();
      socket.write(bytes);
      await within(closed(socket), 'the close');
      await logged(from, detail);
    }
    await serves();
  });

  test('a client that begins the handshake anew again and again gets nowhere', async () => {
    const socket = connectTls({
      host: broker.host,
      port: broker.port,
      ...broker.tls,
      maxVersion: 'TLSv1.2',
    });
    sockets.push(socket);
    socket.on('error', () => {});
    await within(once(socket, 'secureConnect'), 'the handshake');
    const { handshakes } = broker.server.stats();
    for (let n = 0; n < 200 && !socket.destroyed; n++) {
      await new Promise<void>((resolve) => {
        socket.once('close', resolve);
        setImmediate(resolve);
        socket.renegotiate({}, () => resolve());
      });
    }
    await serves();
    assert.equal(broker.server.stats().handshakes, handshakes + 1, 'the good client alone');
  });

  test('bytes that nobody has encrypted end one connection, and no other', async () => {
    const other = await broker.client();
    const { server } = broker;
    const tcp = connectTcp(broker.port, broker.host);
    sockets.push(tcp);
    const socket = connectTls({ socket: tcp, ...broker.tls });
    socket.on('error', () => {});
    await within(once(socket, 'secureConnect'), 'the handshake');
    socket.write(connect({ clientId: 'mutated' }));
    await within(once(socket, 'data'), 'the CONNACK');
    const end = within(closed(tcp), 'the close');
    tcp.write(Buffer.alloc(500, 0x17));
    await end;
    await other.ping();
    assert.equal(server.stats().shardDeaths, 0);
  });

  test('one that sends on and reads nothing is not read from, and then closed', async () => {
    await using own = await files.start({ ackTimeout: '500ms' });
    const socket = connectTls({ host: own.host, port: own.port, ...own.tls });
    sockets.push(socket);
    socket.on('error', () => {});
    const end = closed(socket);
    socket.write(connect({ clientId: 'deaf' }));
    socket.pause();
    const batch = Buffer.concat(new Array<Buffer>(20_000).fill(PINGREQ));
    const sendOn = (): void => {
      while (socket.writable && socket.write(batch));
    };
    socket.on('drain', sendOn);
    sendOn();
    await within(end, 'the cut');
    await eventually(() => own.server.stats().closed.unresponsive === 1, 'its reason');
  });

  test('a TLS client on a plain port is closed, and the log says what to do', async () => {
    await broker.server.listenAndServe('tcp://127.0.0.1:0');
    const { host, port } = broker.server.addresses.at(-1)!;
    const from = broker.logs.length;
    const socket = connectTls({ host, port });
    socket.on('error', () => {});
    await within(closed(socket), 'the close');
    await logged(from, /a TLS client on a port for plain MQTT/);
  });
});
