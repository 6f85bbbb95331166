/** Takes the mask off what a WebSocket client sends [RFC 6455, 5.3], in place. */

/**
 * Fewer bytes are unmasked one by one, as they are moved: words and a move of memory are quicker
 * from some 200 bytes on, and a frame of one small packet is what many clients send.
 */
const WORDS_FROM = 192;

/** Words of the memory that was unmasked last: of a shard's one read buffer. */
let words = new Int32Array(0);

/**
 * Unmasks `length` bytes at `from` and moves them down to `to`.
 * @param mask its four bytes, the first one lowest.
 * @param phase of the mask, 0 to 3: that of the first byte.
 */
export function unmaskDown(
  buffer: Buffer,
  from: number,
  to: number,
  length: number,
  mask: number,
  phase: number,
): void {
  const turned = turn(mask, phase);
  if (length < WORDS_FROM) unmaskBytes(buffer, from, to, length, turned);
  else unmaskWords(buffer, from, to, length, turned);
}

function unmaskBytes(buffer: Buffer, from: number, to: number, length: number, mask: number): void {
  const end = from + length;
  const wholeEnd = from + (length & ~3);
  const down = to - from;
  let at = from;
  while (at < wholeEnd) {
    buffer[at + down] = buffer[at] ^ mask;
    buffer[at + down + 1] = buffer[at + 1] ^ (mask >>> 8);
    buffer[at + down + 2] = buffer[at + 2] ^ (mask >>> 16);
    buffer[at + down + 3] = buffer[at + 3] ^ (mask >>> 24);
    at += 4;
  }
  for (let rest = mask; at < end; at++, rest >>>= 8) buffer[at + down] = buffer[at] ^ rest;
}

function unmaskWords(buffer: Buffer, from: number, to: number, length: number, mask: number): void {
  if (words.buffer !== buffer.buffer) words = wordsOf(buffer);
  const base = buffer.byteOffset;
  const end = from + length;
  const wordsFrom = from + (-(base + from) & 3);
  unmaskBytes(buffer, from, from, wordsFrom - from, mask);
  const turned = turn(mask, wordsFrom - from);
  const wordEnd = (base + end) >> 2;
  for (let word = (base + wordsFrom) >> 2; word < wordEnd; word++) words[word] ^= turned;
  const bytesFrom = (wordEnd << 2) - base;
  unmaskBytes(buffer, bytesFrom, bytesFrom, end - bytesFrom, turned);
  if (to !== from) buffer.copyWithin(to, from, end);
}

/** The mask as it is behind so many bytes. */
function turn(mask: number, bytes: number): number {
  const bits = (bytes & 3) << 3;
  return bits === 0 ? mask : (mask >>> bits) | (mask << (32 - bits));
}

function wordsOf({ buffer }: Buffer): Int32Array<ArrayBuffer> {
  return new Int32Array(buffer as ArrayBuffer, 0, buffer.byteLength >> 2);
}
