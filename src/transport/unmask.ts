/** Takes the mask off what a WebSocket client sends [RFC 6455, 5.3], in place. */

/**
 * Fewer bytes are unmasked as they are moved: words that lie as the machine likes them, and a move
 * of memory, are quicker from some 200 bytes on, and a frame of one small packet is what many
 * clients send.
 */
const WORDS_FROM = 192;

/** The memory that was unmasked last, which is a shard's one read buffer: its words, and a view. */
let words = new Int32Array(0);
let view: DataView = new DataView(words.buffer);

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
  if (words.buffer !== buffer.buffer) lookAt(buffer);
  if (length < WORDS_FROM) unmaskShort(buffer, from, to, length, turned);
  else unmaskWords(buffer, from, to, length, turned);
}

function unmaskShort(buffer: Buffer, from: number, to: number, length: number, mask: number): void {
  const end = from + length;
  const down = to - from;
  const base = buffer.byteOffset;
  const wholeEnd = base + from + (length & ~3);
  for (let at = base + from; at < wholeEnd; at += 4) {
    view.setInt32(at + down, view.getInt32(at, true) ^ mask, true);
  }
  let rest = mask;
  for (let at = from + (length & ~3); at < end; at++, rest >>>= 8) {
    buffer[at + down] = buffer[at]! ^ rest;
  }
}

function unmaskWords(buffer: Buffer, from: number, to: number, length: number, mask: number): void {
  const base = buffer.byteOffset;
  const end = from + length;
  const wordsFrom = from + (-(base + from) & 3);
  unmaskShort(buffer, from, from, wordsFrom - from, mask);
  const turned = turn(mask, wordsFrom - from);
  const wordEnd = (base + end) >> 2;
  for (let word = (base + wordsFrom) >> 2; word < wordEnd; word++) words[word] ^= turned;
  const bytesFrom = (wordEnd << 2) - base;
  unmaskShort(buffer, bytesFrom, bytesFrom, end - bytesFrom, turned);
  if (to !== from) buffer.copyWithin(to, from, end);
}

/** The mask as it is behind so many bytes. */
function turn(mask: number, bytes: number): number {
  const bits = (bytes & 3) << 3;
  return bits === 0 ? mask : (mask >>> bits) | (mask << (32 - bits));
}

function lookAt({ buffer }: Buffer): void {
  words = new Int32Array(buffer as ArrayBuffer, 0, buffer.byteLength >> 2);
  view = new DataView(buffer);
}
