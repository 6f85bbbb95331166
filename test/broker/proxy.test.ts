import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect, hex } from '../support/packets.js';
import { proxyV1, proxyV2 } from '../support/proxy-headers.js';
import { type Endpoint, RawClient } from '../support/raw-client.js';
import { eventually } from '../support/waiting.js';
import { WebSocketClient } from '../support/websocket-client.js';

const CONNACK = '20 02 00 00';
const IPV4 = Buffer.from([198, 51, 100, 7, 192, 0, 2, 1, 0xdc, 4, 7, 0x5b]);
const IPV6 = Buffer.from(`20010db8${'00'.repeat(11)}0720010db8${'00'.repeat(11)}01dc04075b`, 'hex');
const TLV = Buffer.from([0x04, 0, 3, 0, 0, 0]);

describe('the PROXY protocol', () => {
  let broker: Broker;
  let webSocket: Endpoint;

  before(async () => {
    broker = await startBroker({
      workers: 2,
      proxyProtocolFrom: '127.0.0.0/8',
      connectTimeout: 1.5,
    });
    await broker.server.listenAndServe('ws://127.0.0.1:0');
    webSocket = broker.server.addresses.at(-1)!;
  });
  after(() => broker.close());

  /** Where the client of this id came from, as the log has it. */
  function addressOf(clientId: string): unknown {
    const line = broker.logs.find(
      ({ fields, message }) => message === 'client connected' && fields.clientId === clientId,
    );
    return line?.fields.address;
  }

  const headers: readonly [what: string, header: Buffer, address: RegExp][] = [
    ['version 1', proxyV1('198.51.100.7'), /^198\.51\.100\.7:56324$/],
    [
      'version 1 with IPv6',
      Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 56324 1883\r\n'),
      /^\[2001:db8::7\]:56324$/,
    ],
    ['version 1 that does not know', Buffer.from('PROXY UNKNOWN\r\n'), /^127\.0\.0\.1:/],
    ['version 2', proxyV2(0x21, 0x11, IPV4), /^198\.51\.100\.7:56324$/],
    ['version 2 with IPv6', proxyV2(0x21, 0x21, IPV6), /^\[2001:db8::7\]:56324$/],
    [
      'version 2 with extensions',
      proxyV2(0x21, 0x11, Buffer.concat([IPV4, TLV, TLV])),
      /^198\.51\.100\.7:56324$/,
    ],
    ['a connection of the proxy itself', proxyV2(0x20, 0, Buffer.alloc(0)), /^127\.0\.0\.1:/],
  ];
  for (const [what, header, address] of headers) {
    it(`says the address of the client: ${what}`, async () => {
      for (const pieceBytes of [10_000, 1]) {
        const clientId = unique('proxied');
        const client = await broker.raw();
        await client.sendInPieces(Buffer.concat([header, connect({ clientId })]), pieceBytes);
        await client.expect(CONNACK);
        client.send('c0 00');
        await client.expect('d0 00');
        await eventually(() => addressOf(clientId) !== undefined, 'the client to be logged');
        assert.match(String(addressOf(clientId)), address);
      }
    });
  }

  it('takes the header of a client of a unix socket, which has no address', async () => {
    const client = await broker.raw();
    client.send(Buffer.concat([proxyV2(0x21, 0x31, Buffer.alloc(216)), connect()]));
    await client.expect(CONNACK);
  });

  it('comes before WebSocket', async () => {
    const client = await WebSocketClient.open(webSocket, proxyV2(0x21, 0x11, IPV4));
    const clientId = unique('proxied-ws');
    client.send(connect({ clientId }));
    await client.expect(CONNACK);
    await eventually(() => addressOf(clientId) !== undefined, 'the client to be logged');
    assert.equal(addressOf(clientId), '198.51.100.7:56324');
    await client.cut();
  });

  const wrong: readonly [what: string, bytes: Buffer][] = [
    ['none', connect({ clientId: 'direct' })],
    ['one that is malformed', Buffer.from('PROXY TCP4 198.51.100.7 192.0.2.1 1\r\n')],
    ['one without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
    ['one that is too long', proxyV2(0x21, 0x11, Buffer.alloc(5_000))],
    ['one of an unknown version', proxyV2(0x31, 0x11, IPV4)],
  ];
  for (const [what, bytes] of wrong) {
    it(`closes a proxy that sends ${what}, with nothing said`, async () => {
      const counted = broker.server.stats().closed['proxy-header'];
      const client = await broker.raw();
      client.send(bytes);
      await client.expectClose();
      await eventually(
        () => broker.server.stats().closed['proxy-header'] === counted + 1,
        'it to be counted',
      );
    });
  }

  it('closes one that trickles, or leaves, and leaves no descriptor open', async () => {
    await broker.idle();
    await eventually(() => broker.server.stats().connectionsOpen === 0, 'no connection to be open');
    const open = readdirSync('/proc/self/fd').length;
    const half = await broker.raw();
    half.send(proxyV1('198.51.100.7').subarray(0, 20));
    const silent = await broker.raw();
    const gone = await broker.raw();
    gone.send(proxyV2(0x21, 0x11, IPV4).subarray(0, 15));
    await gone.end();
    const reset = await broker.raw();
    await reset.cut();
    await half.expectClose();
    await silent.expectClose();
    await broker.idle();
    await eventually(() => readdirSync('/proc/self/fd').length <= open, 'all to be closed');
  });

  it('tells who sends a header and is no proxy what to do', async () => {
    await using other = await startBroker();
    const client = await RawClient.open(other);
    client.send(proxyV1('198.51.100.7'));
    await client.expectClose();
    const line = other.logs.find(({ fields }) => /PROXY/.test(String(fields.detail)));
    assert.match(String(line?.fields.detail), /name its address in proxyProtocolFrom/);
  });

  it('is not read from those who are not named', async () => {
    await using other = await startBroker({ proxyProtocolFrom: ['192.0.2.0/24', '::1'] });
    const client = await RawClient.open(other);
    client.send(connect());
    await client.expect(CONNACK);
    client.send(hex('e0 00'));
    await client.expectClose();
  });
});
