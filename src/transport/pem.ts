/** PEM: the parts of a text. */

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

/** Each part of a PEM text, with its marks: OpenSSL reads only the first of some kinds. */
export function splitPem(text: string): string[] {
  return text.match(BLOCK) ?? [];
}
