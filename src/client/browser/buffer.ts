/**
 * As much of Node's Buffer as the client uses, for browsers: bytes that can be read as text and
 * written from it. The whole of it, as the package `buffer` has it, would be half of the bundle.
 */

/** Encodings that are read and written. */
export type Encoding = 'utf8' | 'latin1' | 'hex' | 'base64';

const encoder = new TextEncoder();
/** Node keeps a byte order mark as what it is, a character. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
/** Characters that String.fromCharCode is given at once: all have to fit on the stack. */
const CHARACTERS_AT_ONCE = 8_192;

/** Bytes, with the methods of Node's Buffer that the client uses. */
class Bytes extends Uint8Array {
  /** The bytes [start, end) as text. */
  override toString(encoding: Encoding = 'utf8', start = 0, end = this.length): string {
    const bytes = this.subarray(start, end);
    switch (encoding) {
      case 'latin1':
        return latin1Of(bytes);
      case 'hex':
        return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
      case 'base64':
        return btoa(latin1Of(bytes));
      default:
        return decoder.decode(bytes);
    }
  }

  /** As Node has it: for JSON.stringify. */
  toJSON(): { type: 'Buffer'; data: number[] } {
    return { type: 'Buffer', data: Array.from(this) };
  }

  /** Writes text at `offset`, `length` bytes at most. @returns how many it took. */
  write(text: string, offset: number, length: number | Encoding, encoding?: Encoding): number {
    const bytes = typeof length === 'number' ? length : this.length - offset;
    const kind = typeof length === 'number' ? (encoding ?? 'utf8') : length;
    if (kind === 'utf8') {
      return encoder.encodeInto(text, this.subarray(offset, offset + bytes)).written;
    }
    const encoded = bytesOf(text, kind).subarray(0, bytes);
    this.set(encoded, offset);
    return encoded.length;
  }

  /** Copies [start, end) to `target` at `at`, as much as fits there. @returns how many bytes. */
  copy(target: Uint8Array, at = 0, start = 0, end = this.length): number {
    const bytes = this.subarray(start, Math.min(end, start + target.length - at));
    target.set(bytes, at);
    return bytes.length;
  }

  /** 0 where [start, end) is `target`'s [targetStart, targetEnd); else what comes first is less. */
  compare(
    target: Uint8Array,
    targetStart = 0,
    targetEnd = target.length,
    start = 0,
    end = this.length,
  ): number {
    const length = Math.min(targetEnd - targetStart, end - start);
    for (let at = 0; at < length; at++) {
      const difference = this[start + at] - target[targetStart + at];
      if (difference !== 0) return Math.sign(difference);
    }
    return Math.sign(end - start - (targetEnd - targetStart));
  }

  equals(other: Uint8Array): boolean {
    return this.compare(other) === 0;
  }

  readUInt16BE(at = 0): number {
    return (this[at] << 8) | this[at + 1];
  }

  writeUInt16BE(value: number, at = 0): number {
    this[at] = value >> 8;
    this[at + 1] = value;
    return at + 2;
  }

  writeUInt32BE(value: number, at = 0): number {
    this.writeUInt16BE(value >>> 16, at);
    return this.writeUInt16BE(value & 0xff_ff, at + 2);
  }
}

function latin1Of(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHARACTERS_AT_ONCE) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHARACTERS_AT_ONCE));
  }
  return text;
}

function bytesOf(text: string, encoding: Encoding): Uint8Array {
  switch (encoding) {
    case 'latin1':
      return Uint8Array.from(text, (character) => character.charCodeAt(0));
    case 'hex':
      return Uint8Array.from(text.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
    case 'base64':
      return bytesOf(atob(text), 'latin1');
    default:
      return encoder.encode(text);
  }
}

/** A view of an ArrayBuffer's bytes; a copy of anything else. */
function from(content: string | ArrayLike<number> | ArrayBuffer, encoding?: Encoding): Bytes {
  if (content instanceof ArrayBuffer) return new Bytes(content);
  if (typeof content !== 'string') return new Bytes(content);
  return new Bytes(bytesOf(content, encoding ?? 'utf8'));
}

const alloc = (length: number): Bytes => new Bytes(length);

function concat(parts: readonly Uint8Array[]): Bytes {
  const whole = new Bytes(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bytes of text in UTF-8, without writing it; half a surrogate pair counts as U+FFFD, 3 bytes. */
function byteLength(content: string | Uint8Array): number {
  if (typeof content !== 'string') return content.length;
  let bytes = 0;
  for (const character of content) bytes += utf8BytesOf(character.codePointAt(0) ?? 0);
  return bytes;
}

function utf8BytesOf(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x1_00_00 ? 3 : 4;
}

/** What Node's Buffer offers by itself, as far as it is there. */
interface BufferStatic {
  alloc(length: number): Bytes;
  allocUnsafe(length: number): Bytes;
  allocUnsafeSlow(length: number): Bytes;
  byteLength(content: string | Uint8Array): number;
  concat(parts: readonly Uint8Array[]): Bytes;
  from(content: string | ArrayLike<number> | ArrayBuffer, encoding?: Encoding): Bytes;
  [Symbol.hasInstance](value: unknown): boolean;
}
const statics = { alloc, allocUnsafe: alloc, allocUnsafeSlow: alloc, byteLength, concat, from };

/** Node's names. `Uint8Array.from` has another meaning, so they are none of its methods. */
export const Buffer = Object.assign(Bytes, statics) as unknown as BufferStatic;
export type Buffer = Bytes;
