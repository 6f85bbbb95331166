/** Frames of a WebSocket client, right and wrong, and those of the server in parts. */

/** A frame of a client. @param first its first byte: 0x82 is a whole one of data. */
export function clientFrame(payload: Buffer | string, first = 0x82, mask = 0x1b2c3d4e): Buffer {
  const bytes = Buffer.from(payload);
  const header = lengthHeader(first, 0x80, bytes.length);
  const key = Buffer.alloc(4);
  key.writeUInt32BE(mask >>> 0);
  return Buffer.concat([header, key, bytes.map((byte, at) => byte ^ key[at & 3])]);
}

/** A frame without a mask, as servers send it. */
export function serverFrame(payload: Buffer | string, first = 0x82): Buffer {
  const bytes = Buffer.from(payload);
  return Buffer.concat([lengthHeader(first, 0, bytes.length), bytes]);
}

function lengthHeader(first: number, masked: number, length: number): Buffer {
  if (length < 126) return Buffer.from([first, masked | length]);
  const isShort = length < 65_536;
  const header = Buffer.alloc(isShort ? 4 : 10);
  header[0] = first;
  header[1] = masked | (isShort ? 126 : 127);
  if (isShort) header.writeUInt16BE(length, 2);
  else header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

/** Whole frames of a server at the beginning of `bytes`. */
export interface ServerFrames {
  readonly frames: { readonly first: number; readonly payload: Buffer }[];
  readonly rest: Buffer;
}

/** Takes frames of a server apart. @throws Error for a masked one. */
export function splitServerFrames(bytes: Buffer): ServerFrames {
  const frames: { first: number; payload: Buffer }[] = [];
  let at = 0;
  while (bytes.length - at >= 2) {
    const first = bytes[at];
    let length = bytes[at + 1];
    let start = at + 2;
    if (length > 127) throw new Error('a frame of the server is masked');
    if (length === 126) {
      if (bytes.length < at + 4) break;
      length = bytes.readUInt16BE(at + 2);
      start = at + 4;
    } else if (length === 127) {
      if (bytes.length < at + 10) break;
      length = Number(bytes.readBigUInt64BE(at + 2));
      start = at + 10;
    }
    if (bytes.length < start + length) break;
    frames.push({ first, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** A request that is upgraded; each header may be replaced, or left out by null. */
export function upgradeRequest(
  changes: Readonly<Record<string, string | null>> = {},
  line = 'GET /mqtt HTTP/1.1',
): string {
  const headers: Record<string, string | null> = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': 'mqtt',
    ...changes,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === null ? [] : [`${name}: ${value}`],
  );
  return `${[line, ...lines].join('\r\n')}\r\n\r\n`;
}

/** What is malformed in frames of a client: the code that it is closed with. */
export const MALFORMED_FRAMES: readonly [what: string, frame: Buffer, closeCode: number][] = [
  ['a frame that is not masked', serverFrame('x'), 1002],
  ['reserved bit 1, that of a compressed message', clientFrame('x', 0xc2), 1002],
  ['reserved bit 2', clientFrame('x', 0xa2), 1002],
  ['reserved bit 3', clientFrame('x', 0x92), 1002],
  ['a text frame', clientFrame('x', 0x81), 1003],
  ['the first part of a text message', clientFrame('x', 0x01), 1003],
  ['a continuation of nothing', clientFrame('x', 0x80), 1002],
  [
    'a message that begins in another one',
    Buffer.concat([clientFrame('', 0x02), clientFrame('x')]),
    1002,
  ],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer, number] => [
    `a frame of the unknown kind ${opcode}`,
    clientFrame('x', 0x80 | opcode),
    1002,
  ]),
  ['a ping in parts', clientFrame('x', 0x09), 1002],
  ['a close frame in parts', clientFrame('', 0x08), 1002],
  ['a ping of 126 bytes', clientFrame('x'.repeat(126), 0x89), 1002],
  ['a 16-bit length that 7 bits say', Buffer.from([0x82, 0xfe, 0, 125, 1, 2, 3, 4]), 1002],
  [
    'a 64-bit length that 16 bits say',
    Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4]),
    1002,
  ],
  [
    'a frame longer than any packet',
    Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 5, 1, 2, 3, 4]),
    1009,
  ],
  [
    'a length of 2^64 - 1',
    Buffer.from([0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]),
    1009,
  ],
  ['half a close code', clientFrame('x', 0x88), 1002],
  ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535].map((code): [string, Buffer, number] => [
    `close code ${code}`,
    clientFrame(Buffer.from([code >> 8, code & 255]), 0x88),
    1002,
  ]),
  [
    'a close reason that is no UTF-8',
    clientFrame(Buffer.from([0x03, 0xe8, 0xff, 0xfe]), 0x88),
    1007,
  ],
];
