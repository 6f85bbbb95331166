import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PROXY_HEADER_BYTES_MAX } from '../../../src/base/limits.js';
import { type ProxyHeaderState, readProxyHeader } from '../../../src/transport/proxy-header.js';
import { proxyV2 } from '../../support/proxy-headers.js';

/** Reads from `stream` what the header asks for, as a transport does. */
function readFrom(stream: Buffer): { state: ProxyHeaderState; read: number; asked: number } {
  let read = 0;
  for (;;) {
    const state = readProxyHeader(stream.subarray(0, read));
    if (state.kind !== 'more') return { state, read, asked: read };
    assert.ok(state.bytes > 0);
    if (read + state.bytes > stream.length) return { state, read, asked: read + state.bytes };
    read += state.bytes;
  }
}

const V1: readonly [line: string, address: string | null, port: number][] = [
  ['PROXY TCP4 198.51.100.7 192.0.2.1 56324 1883', '198.51.100.7', 56324],
  ['PROXY TCP4 0.0.0.0 0.0.0.0 0 0', '0.0.0.0', 0],
  ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535', '255.255.255.255', 65535],
  ['PROXY TCP6 2001:db8::7 2001:db8::1 56324 1883', '2001:db8::7', 56324],
  ['PROXY TCP6 :: :: 1 1', '::', 1],
  ['PROXY TCP6 ::ffff:198.51.100.7 ::1 1 1', '198.51.100.7', 1],
  [
    `PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535`,
    `${'ffff:'.repeat(7)}ffff`,
    65535,
  ],
  ['PROXY UNKNOWN', null, 0],
  ['PROXY UNKNOWN ffff::1 ffff::2 65535 65535', null, 0],
];
const V1_FAULTS: readonly string[] = [
  'PROXY TCP4 198.51.100.7 192.0.2.1 56324\r\n',
  'PROXY TCP4 198.51.100.7 192.0.2.1 56324 1883 1\r\n',
  'PROXY TCP4  198.51.100.7 192.0.2.1 56324 1883\r\n',
  'PROXY TCP4 198.51.100.7 192.0.2.1 56324 65536\r\n',
  'PROXY TCP4 198.51.100.7 192.0.2.1 -1 1883\r\n',
  'PROXY TCP4 198.51.100.7 192.0.2.1 01 1883\r\n',
  'PROXY TCP4 198.51.100.256 192.0.2.1 1 1883\r\n',
  'PROXY TCP4 2001:db8::7 2001:db8::1 1 1883\r\n',
  'PROXY TCP6 198.51.100.7 192.0.2.1 1 1883\r\n',
  'PROXY TCP6 fe80::1%eth0 fe80::2 1 1883\r\n',
  'PROXY UDP4 198.51.100.7 192.0.2.1 1 1883\r\n',
  'PROXY tcp4 198.51.100.7 192.0.2.1 1 1883\r\n',
  'PROXY constructor 198.51.100.7 192.0.2.1 1 1883\r\n',
  'PROXY TCP4 198.51.100.7 192.0.2.1 1 1883\n\r\n',
  `PROXY UNKNOWN ${'x'.repeat(200)}\r\n`,
  'proxy TCP4 198.51.100.7 192.0.2.1 1 1883\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  '\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0',
  '\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c',
];
const IPV4 = Buffer.from([198, 51, 100, 7, 192, 0, 2, 1, 0xdc, 4, 7, 0x5b]);
const IPV6 = Buffer.from(`20010db8${'00'.repeat(11)}0720010db8${'00'.repeat(11)}01dc04075b`, 'hex');
const TLV = Buffer.from([0x04, 0, 3, 0, 0, 0]);
const V2: readonly [header: Buffer, address: string | null, port: number][] = [
  [proxyV2(0x21, 0x11, IPV4), '198.51.100.7', 56324],
  [proxyV2(0x21, 0x11, Buffer.concat([IPV4, TLV])), '198.51.100.7', 56324],
  [proxyV2(0x21, 0x21, IPV6), '2001:db8::7', 56324],
  [proxyV2(0x21, 0x31, Buffer.alloc(216)), '', 0],
  [proxyV2(0x21, 0x00, Buffer.alloc(0)), null, 0],
  [proxyV2(0x21, 0x01, TLV), null, 0],
  [proxyV2(0x20, 0x00, Buffer.alloc(0)), null, 0],
  [proxyV2(0x20, 0x11, IPV4), null, 0],
  [proxyV2(0x20, 0xff, Buffer.alloc(9)), null, 0],
  [proxyV2(0x21, 0x11, Buffer.alloc(PROXY_HEADER_BYTES_MAX - 16)), '0.0.0.0', 0],
];
const V2_FAULTS: readonly Buffer[] = [
  proxyV2(0x11, 0x11, IPV4),
  proxyV2(0x31, 0x11, IPV4),
  proxyV2(0x22, 0x11, IPV4),
  proxyV2(0x21, 0x12, IPV4),
  proxyV2(0x21, 0x41, IPV4),
  proxyV2(0x21, 0x11, IPV4.subarray(1)),
  proxyV2(0x21, 0x21, IPV6.subarray(1)),
  proxyV2(0x21, 0x31, Buffer.alloc(215)),
  proxyV2(0x21, 0x11, Buffer.alloc(PROXY_HEADER_BYTES_MAX - 15)),
  proxyV2(0x20, 0x00, Buffer.alloc(65_535)),
];

describe('the PROXY protocol header', () => {
  for (const [line, address, port] of V1) {
    it(`reads ${line.slice(0, 60)}`, () => {
      const header = Buffer.from(`${line}\r\n`);
      const { state, read } = readFrom(Buffer.concat([header, Buffer.from('\r\nPROXY behind')]));
      assert.deepEqual(state, { kind: 'header', header: { address, port } });
      assert.equal(read, header.length, 'and no byte behind it');
    });
  }

  for (const [header, address, port] of V2) {
    it(`reads version 2: ${header.toString('hex', 12, 28)}, ${header.length} bytes`, () => {
      const { state, read } = readFrom(Buffer.concat([header, Buffer.alloc(300, 1)]));
      assert.deepEqual(state, { kind: 'header', header: { address, port } });
      assert.equal(read, header.length, 'and no byte behind it');
    });
  }

  for (const bytes of [...V1_FAULTS.map((text) => Buffer.from(text, 'latin1')), ...V2_FAULTS]) {
    it(`refuses ${JSON.stringify(bytes.toString('latin1', 0, 48))}`, () => {
      const { state, read } = readFrom(bytes);
      assert.equal(state.kind, 'fault');
      assert.match(state.kind === 'fault' ? state.detail : '', /^PROXY protocol: /);
      assert.ok(read <= 107 || read <= PROXY_HEADER_BYTES_MAX);
    });
  }

  it('asks for more while a header is not whole, never for more than it has', () => {
    const headers = [
      ...V1.map(([line]) => Buffer.from(`${line}\r\n`)),
      ...V2.map(([bytes]) => bytes),
    ];
    for (const header of headers) {
      for (let length = 0; length < header.length; length++) {
        const state = readProxyHeader(header.subarray(0, length));
        assert.equal(state.kind, 'more', `${length} of ${header.toString('latin1')}`);
        assert.ok(state.kind === 'more' && length + state.bytes <= header.length);
      }
    }
  });

  it('survives any bytes, and mutated headers, within its bound', () => {
    const headers = [
      ...V1.map(([line]) => Buffer.from(`${line}\r\n`)),
      ...V2.map(([bytes]) => bytes),
    ];
    const mutated = fc
      .tuple(
        fc.constantFrom(...headers),
        fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 4 }),
      )
      .map(([header, changes]) => {
        const bytes = Buffer.concat([header, Buffer.alloc(64)]);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      });
    const any = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(any, mutated), (bytes) => {
        const { state, asked } = readFrom(bytes);
        assert.ok(asked <= PROXY_HEADER_BYTES_MAX);
        if (state.kind === 'fault') assert.doesNotMatch(state.detail, /[^ -~]/);
      }),
      { numRuns: 2_000 },
    );
  });
});
