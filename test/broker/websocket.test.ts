import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { connectAsync } from 'mqtt';
import { WEBSOCKET_REQUEST_BYTES_MAX } from '../../src/base/limits.js';
import { type Broker, startBroker, unique, WORKER_COUNTS } from '../support/broker.js';
import { connect, hex, publish, subscribe } from '../support/packets.js';
import { proxyV1 } from '../support/proxy-headers.js';
import type { Endpoint } from '../support/raw-client.js';
import { TlsFiles } from '../support/tls-broker.js';
import { eventually, within } from '../support/waiting.js';
import { WebSocketClient } from '../support/websocket-client.js';
import { clientFrame, MALFORMED_FRAMES, upgradeRequest } from '../support/websocket-frames.js';

const CONNACK = '20 02 00 00';
const PINGREQ = hex('c0 00');
const DISCONNECT = hex('e0 00');

async function listenOn(broker: Broker, uri: string): Promise<Endpoint> {
  await broker.server.listenAndServe(uri);
  const { host, port } = broker.server.addresses.at(-1)!;
  return { host, port };
}

for (const workers of WORKER_COUNTS) {
  describe(`MQTT over WebSocket, ${workers} workers`, () => {
    let broker: Broker;
    let at: Endpoint;

    before(async () => {
      broker = await startBroker({ workers });
      at = await listenOn(broker, 'ws://127.0.0.1:0');
    });
    after(() => broker.close());

    /** A client whose CONNECT has been accepted. */
    async function open(clientId = unique('ws'), endpoint = at): Promise<WebSocketClient> {
      const client = await WebSocketClient.open(endpoint);
      client.send(connect({ clientId }));
      await client.expect(CONNACK);
      return client;
    }

    /** A broker for a test that reads its log: of the lines of a second there are only so many. */
    async function alone(context: TestContext): Promise<readonly [Broker, Endpoint]> {
      const own = await startBroker({ workers });
      context.after(() => own.close());
      return [own, await listenOn(own, 'ws://127.0.0.1:0')];
    }

    async function untilClosedAs(own: Broker, reason: string, detail: RegExp): Promise<void> {
      await eventually(
        () =>
          own.logs.some(
            ({ fields }) => fields.reason === reason && detail.test(String(fields.detail)),
          ),
        `a line that says ${reason}, ${detail}`,
      );
    }

    it('serves every QoS, with clients of TCP on the other side', async () => {
      const topic = unique('ws/qos');
      const client = await open();
      const plain = await broker.client();
      await plain.subscribe([topic, 2]);
      client.send(subscribe(1, [topic, 2]));
      await client.expect('90 03 00 01 02');
      client.send(publish({ topic, payload: 'zero' }));
      assert.equal(String((await plain.nextMessage()).payload), 'zero');
      await client.expect(publish({ topic, payload: 'zero' }));
      await plain.publish(topic, 'one', { qos: 1 });
      await client.expect(publish({ topic, payload: 'one', qos: 1, packetId: 1 }));
      client.send('40 02 00 01');
      client.send(publish({ topic, payload: 'two', qos: 2, packetId: 7 }));
      const got = [await client.readPacket(), await client.readPacket()];
      client.send('62 02 00 07');
      got.push(await client.readPacket());
      assert.deepEqual(
        got.map((packet) => packet.toString('hex')).sort(),
        [
          publish({ topic, payload: 'two', qos: 2, packetId: 2 }).toString('hex'),
          '50020007',
          '70020007',
        ].sort(),
      );
      await client.cut();
    });

    it('takes packets however frames split and join them [MQTT-6.0.0-2]', async () => {
      const topic = unique('ws/pieces');
      const packets = Buffer.concat([
        connect({ clientId: unique('ws') }),
        subscribe(1, [topic, 0]),
        ...Array.from({ length: 40 }, (_, n) => publish({ topic, payload: 'x'.repeat(n * 11) })),
        PINGREQ,
      ]);
      for (const frameBytes of [1, 7, 1_000_000]) {
        for (const writeBytes of [1_000_000, 3]) {
          const client = await WebSocketClient.open(at);
          const frames: Buffer[] = [];
          for (let start = 0; start < packets.length; start += frameBytes) {
            frames.push(clientFrame(packets.subarray(start, start + frameBytes)));
          }
          const bytes = Buffer.concat(frames);
          if (writeBytes > bytes.length) client.sendRaw(bytes);
          else {
            for (let start = 0; start < bytes.length; start += 997) {
              client.sendRaw(bytes.subarray(start, start + 997));
              await new Promise((resolve) => setImmediate(resolve));
            }
          }
          await client.expect(CONNACK);
          // What is published behind a SUBSCRIBE may come before its SUBACK [MQTT-3.8.4-2].
          const got: string[] = [];
          for (let n = 0; n < 42; n++) got.push((await client.readPacket()).toString('hex'));
          const messages = got.filter((packet) => packet.startsWith('30'));
          assert.deepEqual(
            messages,
            Array.from({ length: 40 }, (_, n) =>
              publish({ topic, payload: 'x'.repeat(n * 11) }).toString('hex'),
            ),
          );
          assert.ok(got.includes('9003000100') && got.includes('d000'));
          await client.cut();
        }
      }
    });

    it('takes a message in parts, with pings between them', async () => {
      const client = await WebSocketClient.open(at);
      const packet = connect({ clientId: unique('ws') });
      client.sendRaw(
        Buffer.concat([
          clientFrame(packet.subarray(0, 3), 0x02),
          clientFrame('between', 0x89),
          clientFrame(packet.subarray(3, 9), 0x00),
          clientFrame('', 0x8a),
          clientFrame(packet.subarray(9), 0x80),
        ]),
      );
      assert.equal(await client.readControl(), `8a${Buffer.from('between').toString('hex')}`);
      await client.expect(CONNACK);
      await client.cut();
    });

    it('sends and takes packets that are larger than all buffers', async () => {
      const topic = unique('ws/large');
      const client = await open();
      client.send(subscribe(1, [topic, 0]));
      await client.expect('90 03 00 01 00');
      for (const length of [100, 200, 16_000, 17_000, 70_000, 900_000]) {
        const packet = publish({ topic, payload: Buffer.alloc(length, length % 251) });
        client.send(packet);
        await client.expect(packet);
      }
      await client.cut();
    });

    for (const [what, frame, closeCode] of MALFORMED_FRAMES) {
      it(`closes with ${closeCode} for ${what}`, async () => {
        const client = await open();
        client.sendRaw(Buffer.concat([clientFrame(PINGREQ), frame, clientFrame(PINGREQ)]));
        await client.expect('d0 00');
        assert.equal(await client.readControl(), `88${closeCode.toString(16).padStart(4, '0')}`);
        await client.untilClosed();
        assert.equal(client.dataBytes, 6, 'CONNACK and one PINGRESP');
      });
    }

    it('agrees to no compression, and closes who compresses all the same', async (context) => {
      const [own, there] = await alone(context);
      const client = await WebSocketClient.dial(there);
      client.sendRaw(
        Buffer.from(upgradeRequest({ 'Sec-WebSocket-Extensions': 'permessage-deflate' })),
      );
      assert.doesNotMatch(await client.untilAnswered(), /extensions/i);
      // What unpacks to much: it is never unpacked.
      client.sendRaw(clientFrame(hex('ecc1010100000082 90fe afee08'), 0xc2));
      assert.equal(await client.readControl(), '8803ea');
      await client.untilClosed();
      await untilClosedAs(own, 'malformed-packet', /reserved bit/);
    });

    it('answers a close frame, and publishes the will where no DISCONNECT came', async () => {
      const topic = unique('ws/will');
      const watcher = await broker.client();
      await watcher.subscribe([topic, 0]);
      const client = await WebSocketClient.open(at);
      client.send(connect({ clientId: unique('ws'), will: { topic, payload: 'gone' } }));
      await client.expect(CONNACK);
      client.sendRaw(clientFrame(hex('03e8'), 0x88));
      assert.equal(await client.readControl(), '8803e8');
      await client.untilClosed();
      assert.equal(String((await watcher.nextMessage()).payload), 'gone');
    });

    it('handles all that came before a close frame in the same read', async () => {
      const topic = unique('ws/last');
      const watcher = await broker.client();
      await watcher.subscribe([topic, 0]);
      const client = await WebSocketClient.dial(at);
      const will = { topic, payload: 'will' };
      const many = Array.from({ length: 20_000 }, (_, n) => publish({ topic, payload: `${n}` }));
      client.sendRaw(Buffer.from(upgradeRequest()));
      await client.untilAnswered();
      client.sendRaw(
        Buffer.concat([
          clientFrame(connect({ clientId: unique('ws'), will })),
          clientFrame(Buffer.concat(many)),
          clientFrame(DISCONNECT),
          clientFrame(hex('03e8'), 0x88),
        ]),
      );
      for (let n = 0; n < many.length; n++) {
        const { payload } = await watcher.nextMessage();
        assert.equal(String(payload), `${n}`);
      }
      await client.untilClosed();
      await watcher.publish(topic, 'behind');
      assert.equal(String((await watcher.nextMessage()).payload), 'behind', 'and no will');
    });

    it('refuses requests with a short answer, reflecting nothing', async (context) => {
      const [own, there] = await alone(context);
      const cases: readonly [request: string | Buffer, status: number, detail: RegExp][] = [
        [upgradeRequest({}, 'GET /other HTTP/1.1'), 404, /does not ask for \/mqtt/],
        ['GET /mqtt HTTP/1.1\r\nHost: a\r\n\r\n', 426, /asks for no WebSocket/],
        [upgradeRequest({ 'Sec-WebSocket-Protocol': null }), 400, /no subprotocol that is MQTT/],
        [upgradeRequest({ 'X-Evil': '\x1b[31mred' }), 400, /headers is malformed/],
        [connect({ clientId: 'plain' }), 400, /MQTT without WebSocket/],
        [hex('16 03 01 00 05 01'), 400, /TLS to a plain port/],
        [`GET /${'x'.repeat(WEBSOCKET_REQUEST_BYTES_MAX)}`, 431, /longer than/],
      ];
      for (const [request, status, detail] of cases) {
        const client = await WebSocketClient.dial(there);
        client.sendRaw(Buffer.from(request));
        const response = await client.untilAnswered();
        assert.match(response, new RegExp(`^HTTP/1\\.1 ${status} [A-Za-z ]+\r\n`));
        assert.doesNotMatch(response, /evil|31m|other|xxx/i);
        await client.untilClosed();
        await untilClosedAs(own, 'handshake-failed', detail);
      }
      assert.ok(own.server.stats().closed['handshake-failed'] >= cases.length);
    });

    it('takes a request that comes byte by byte, and frames right behind it', async () => {
      const client = await WebSocketClient.dial(at);
      const request = Buffer.from(upgradeRequest());
      for (const byte of request.subarray(0, -1)) {
        client.sendRaw(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const packet = clientFrame(connect({ clientId: unique('ws') }));
      client.sendRaw(Buffer.concat([request.subarray(-1), packet]));
      await client.expect(CONNACK);
      await client.cut();
    });

    it('takes over between WebSocket and TCP', async () => {
      const clientId = unique('ws-taken');
      const first = await open(clientId);
      const plain = await broker.client({ clientId });
      assert.equal(await first.readControl(), '8803e8');
      await first.untilClosed();
      const second = await open(clientId);
      await within(plain.raw.untilClosed(), 'the TCP client to be taken over');
      await second.cut();
    });

    it('keeps a reader that stops from holding up others, and loses nothing', async () => {
      const topic = unique('ws/slow');
      const slow = await open();
      slow.send(subscribe(1, [topic, 1]));
      await slow.expect('90 03 00 01 01');
      slow.socket.pause();
      const publisher = await open();
      const payload = Buffer.alloc(60_000, 7);
      for (let id = 1; id <= 200; id++)
        publisher.send(publish({ topic, payload, qos: 1, packetId: id }));
      for (let id = 1; id <= 200; id++) {
        const puback = await publisher.readPacket(`PUBACK ${id}`);
        assert.equal(puback.readUInt16BE(2), id);
      }
      slow.socket.resume();
      for (let id = 1; id <= 200; id++) {
        const packet = await slow.readPacket(`message ${id}`);
        const packetId = packet.readUInt16BE(packet.length - payload.length - 2);
        slow.send(Buffer.concat([hex('40 02'), Buffer.from([packetId >> 8, packetId & 255])]));
      }
      await publisher.cut();
      await slow.cut();
    });

    it('bounds what a flood of pings costs whose answers are not read', async () => {
      const flooder = await open();
      flooder.socket.pause();
      const flood = Buffer.concat(
        Array.from({ length: 20_000 }, () => clientFrame('x'.repeat(125), 0x89)),
      );
      const quiet = await open();
      const before = process.memoryUsage.rss();
      for (let round = 0; round < 6; round++) {
        flooder.sendRaw(flood);
        quiet.send(PINGREQ);
        await quiet.expect('d0 00');
      }
      await eventually(() => flooder.socket.writableLength === 0, 'the broker to read all of it');
      quiet.send(PINGREQ);
      await quiet.expect('d0 00');
      const grown = process.memoryUsage.rss() - before;
      assert.ok(grown < 100 * 1024 * 1024, `${grown} bytes`);
      flooder.socket.resume();
      await flooder.readControl();
      flooder.send(PINGREQ);
      await flooder.expect('d0 00');
      await flooder.cut();
      await quiet.cut();
    });

    it('does not take pings for signs of life', async (context) => {
      const [own, there] = await alone(context);
      const client = await WebSocketClient.open(there);
      client.send(connect({ clientId: unique('ws'), keepAlive: 1 }));
      await client.expect(CONNACK);
      const timer = setInterval(() => client.sendRaw(clientFrame('', 0x89)), 100);
      await client.untilClosed();
      clearInterval(timer);
      await untilClosedAs(own, 'keep-alive-timeout', /./);
    });

    it('serves MQTT.js', async () => {
      const topic = unique('ws/js');
      const client = await connectAsync(`ws://${at.host}:${at.port}/mqtt`, {
        protocolVersion: 5,
        reconnectPeriod: 0,
      });
      const got: string[] = [];
      client.on('message', (_topic, payload) => got.push(String(payload)));
      await client.subscribeAsync(topic, { qos: 1 });
      for (let n = 0; n < 20; n++) {
        await client.publishAsync(topic, `${n}`, { qos: ((n % 2) + 1) as 1 | 2 });
      }
      await eventually(() => got.length === 20, '20 messages');
      assert.deepEqual(
        got,
        Array.from({ length: 20 }, (_, n) => `${n}`),
      );
      await client.endAsync();
    });
  });
}

describe('MQTT over WebSocket over TLS', () => {
  it('serves MQTT.js, and packets larger than all buffers', async () => {
    using files = new TlsFiles();
    await using broker = await startBroker(files.options);
    const { port } = await listenOn(broker, 'wss://127.0.0.1:0');
    const client = await connectAsync(`wss://localhost:${port}/mqtt`, {
      ca: files.authority.cert,
      reconnectPeriod: 0,
    });
    const got: number[] = [];
    client.on('message', (_topic, payload) => got.push(payload.length));
    await client.subscribeAsync('wss', { qos: 1 });
    const lengths = [1, 200, 17_000, 300_000, 1, 900_000];
    for (const length of lengths)
      await client.publishAsync('wss', Buffer.alloc(length), { qos: 1 });
    await eventually(() => got.length === lengths.length, 'the messages');
    assert.deepEqual(got, lengths);
    await client.endAsync();
  });

  it('agrees on HTTP by ALPN, as browsers ask, and answers requests in TLS', async () => {
    using files = new TlsFiles();
    await using broker = await startBroker({ ...files.options, proxyProtocolFrom: '127.0.0.2' });
    const { host, port } = await listenOn(broker, 'wss://127.0.0.1:0');
    for (const isProxied of [false, true]) {
      const tcp = connectTcp({ host, port, ...(isProxied && { localAddress: '127.0.0.2' }) });
      await within(once(tcp, 'connect'), 'a connection');
      if (isProxied) tcp.write(proxyV1('198.51.100.7'));
      const ALPNProtocols = ['h2', 'http/1.1'];
      const socket = connectTls({ socket: tcp, ...files.clientTls, ALPNProtocols });
      await within(once(socket, 'secureConnect'), 'a handshake');
      assert.equal(socket.alpnProtocol, 'http/1.1');
      const clientId = unique('wss');
      socket.write(upgradeRequest());
      socket.write(clientFrame(connect({ clientId })));
      let text = '';
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1');
      });
      await eventually(() => text.endsWith('\x82\x04\x20\x02\0\0'), 'CONNACK');
      await eventually(() => addressOf(broker, clientId) !== '', 'the client to be logged');
      assert.match(addressOf(broker, clientId), isProxied ? /^198\.51\.100\.7:/ : /^127\.0\.0\.1:/);
      socket.destroy();
    }
  });
});

/** Where the client of this id came from, as the log has it. */
function addressOf(broker: Broker, clientId: string): string {
  const line = broker.logs.find(
    ({ fields, message }) => message === 'client connected' && fields.clientId === clientId,
  );
  return String(line?.fields.address ?? '');
}

describe('a WebSocket listener', () => {
  it('lets in pages of the origins that are listed, and who comes from no page', async () => {
    await using broker = await startBroker({ wsOrigins: ['https://app.example'] });
    const at = await listenOn(broker, 'ws://127.0.0.1:0/other/path');
    const line = 'GET /other/path HTTP/1.1';
    const statusOf = async (headers: Record<string, string>): Promise<string> => {
      const client = await WebSocketClient.dial(at);
      client.sendRaw(Buffer.from(upgradeRequest(headers, line)));
      const response = await client.untilAnswered();
      await client.cut();
      return response.slice(9, 12);
    };
    assert.equal(await statusOf({ Origin: 'https://app.example' }), '101');
    assert.equal(await statusOf({}), '101');
    assert.equal(await statusOf({ Origin: 'https://evil.example' }), '403');
  });

  it('closes who does not get through its request in time', async () => {
    await using broker = await startBroker({ connectTimeout: 0.7 });
    const at = await listenOn(broker, 'ws://127.0.0.1:0');
    const silent = await WebSocketClient.dial(at);
    const slow = await WebSocketClient.dial(at);
    slow.sendRaw(Buffer.from('GET /mqtt HTTP/1.1\r\nHost: a\r\n'));
    const drip = setInterval(() => slow.sendRaw(Buffer.from('X-Slow: a\r\n')), 50);
    const idle = await WebSocketClient.open(at);
    await Promise.all([silent.untilClosed(), slow.untilClosed(), idle.untilClosed()]);
    clearInterval(drip);
    assert.equal(silent.response + slow.response, '');
    assert.equal(broker.server.stats().closed['connect-timeout'], 3);
  });
});
